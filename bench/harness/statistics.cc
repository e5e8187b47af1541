#include "statistics.hh"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace banyan::bench {

Statistics statistics(std::vector<double> samples) {
  std::ranges::sort(samples);
  const std::size_t count = samples.size();
  Statistics result;
  result.min = samples.front();
  result.max = samples.back();
  result.mean = std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(count);
  result.median = (samples[(count - 1) / 2] + samples[count / 2]) / 2;
  result.p99 = samples[(count * 99 + 99) / 100 - 1];
  double squares = 0;
  for (const double sample : samples) squares += (sample - result.mean) * (sample - result.mean);
  if (count > 1) result.stddev = std::sqrt(squares / static_cast<double>(count - 1));
  return result;
}

}  // namespace banyan::bench
