// Where a thread waits for a time that others set, again and again, without waking up to hear of it: setting is one
// system call, and only the time that was set last counts.
#pragma once

#include "base/time.hh"

namespace banyan::driver {

class Park {
 public:
  Park() = default;
  ~Park();
  Park(const Park&) = delete;
  Park& operator=(const Park&) = delete;

  // Once, before the rest. False when the system has no descriptor left.
  bool open();
  // Whoever waits goes on after this time, once. Any thread.
  void release_after(Duration time);
  void wait();

 private:
  int timer_ = -1;
};

}  // namespace banyan::driver
