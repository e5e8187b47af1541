// What a thread can wait for with Loop::wait.
#pragma once

#include <atomic>
#include <condition_variable>

namespace banyan::driver {

struct Waitable {
  std::atomic<bool> done{false};
  std::condition_variable changed;  // goes with the loop's mutex
};

}  // namespace banyan::driver
