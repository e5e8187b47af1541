#include "statistics.hh"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace banyan::bench {
namespace {

double quantile(const std::vector<double>& sorted, double part) {
  const double at = part * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Statistics statistics(std::vector<double> samples) {
  std::ranges::sort(samples);
  const std::size_t count = samples.size();
  Statistics result;
  result.min = samples.front();
  result.max = samples.back();
  result.mean = std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(count);
  result.median = (samples[(count - 1) / 2] + samples[count / 2]) / 2;
  result.lower_quartile = quantile(samples, 0.25);
  result.upper_quartile = quantile(samples, 0.75);
  result.p99 = samples[(count * 99 + 99) / 100 - 1];
  double squares = 0;
  for (const double sample : samples) squares += (sample - result.mean) * (sample - result.mean);
  if (count > 1) result.stddev = std::sqrt(squares / static_cast<double>(count - 1));
  return result;
}

}  // namespace banyan::bench
