// Figures of a list of samples.
#pragma once

#include <vector>

namespace banyan::bench {

struct Statistics {
  double min = 0;
  double max = 0;
  double mean = 0;
  double median = 0;
  double lower_quartile = 0;  // linear between samples
  double upper_quartile = 0;
  double p99 = 0;     // the smallest sample that is not below 99 of 100
  double stddev = 0;  // of the samples as a sample (n - 1); 0 for one
};

// Of at least one.
Statistics statistics(std::vector<double> samples);

}  // namespace banyan::bench
