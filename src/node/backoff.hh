// Waits between tries: doubled up to a limit, each with jitter of a half, so that those who failed together do not come
// back together. Source: "Exponential Backoff And Jitter", M. Brooker, 2015 ("equal jitter").
#pragma once

#include <algorithm>

#include "base/random.hh"
#include "base/time.hh"

namespace banyan::node {

class Backoff {
 public:
  Backoff(Duration first, Duration greatest) : first_(first), greatest_(greatest), wait_(first) {}

  Duration next(Random& random) {
    const auto half = static_cast<std::uint64_t>(wait_.count()) / 2;
    wait_ = std::min(greatest_, wait_ * 2);
    ++count_;
    return Duration(static_cast<Duration::rep>(half + random.below(half + 1)));
  }
  void reset() {
    wait_ = first_;
    count_ = 0;
  }
  // Waits since the last reset.
  std::uint32_t count() const { return count_; }

 private:
  Duration first_;
  Duration greatest_;
  Duration wait_;
  std::uint32_t count_ = 0;
};

}  // namespace banyan::node
