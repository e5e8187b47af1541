// Who wants to be called when: a heap of deadlines whose members know their place in it, so that moving or removing one
// costs O(log n) and no memory. One timer of the system serves them all.
#pragma once

#include <cstddef>
#include <vector>

#include "base/time.hh"

namespace banyan::driver {

class Alarms;

// Something that can be called at a time. Must be cleared before it is destroyed.
class Alarm {
 public:
  virtual void on_alarm(Time now) = 0;
  Time due() const { return due_; }

 protected:
  Alarm() = default;
  ~Alarm() = default;
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

 private:
  friend class Alarms;
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);
  Time due_ = kNever;
  std::size_t index_ = kNowhere;
};

class Alarms {
 public:
  // kNever clears.
  void set(Alarm& alarm, Time due);
  void clear(Alarm& alarm) { set(alarm, kNever); }
  Time earliest() const { return heap_.empty() ? kNever : heap_.front()->due_; }
  // Clears and calls those that are due at `now`; they may set alarms again. Returns the next deadline.
  Time ring(Time now);

 private:
  void place(std::size_t index, Alarm* alarm);
  void move_up(std::size_t index);
  void move_down(std::size_t index);

  std::vector<Alarm*> heap_;
};

}  // namespace banyan::driver
