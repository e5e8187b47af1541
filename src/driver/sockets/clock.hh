// The driver's clock: CLOCK_MONOTONIC in the core's type.
#pragma once

#include <chrono>

#include "base/time.hh"

namespace banyan::driver {

inline Time now() {
  return Time(std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

inline std::chrono::steady_clock::time_point to_system(Time time) {
  return std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(time.time_since_epoch()));
}

}  // namespace banyan::driver
