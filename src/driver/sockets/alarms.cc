#include "driver/sockets/alarms.hh"

#include <utility>

namespace banyan::driver {

void Alarms::set(Alarm& alarm, Time due) {
  if (alarm.due_ == due) return;
  const Time before = std::exchange(alarm.due_, due);
  if (before == kNever) {
    heap_.push_back(&alarm);
    alarm.index_ = heap_.size() - 1;
    move_up(alarm.index_);
  } else if (due == kNever) {
    const std::size_t hole = std::exchange(alarm.index_, Alarm::kNowhere);
    Alarm* last = heap_.back();
    heap_.pop_back();
    if (last == &alarm) return;
    place(hole, last);
    move_up(hole);
    move_down(last->index_);
  } else if (due < before) {
    move_up(alarm.index_);
  } else {
    move_down(alarm.index_);
  }
}

Time Alarms::ring(Time now) {
  while (!heap_.empty() && heap_.front()->due_ <= now) {
    Alarm& alarm = *heap_.front();
    clear(alarm);
    alarm.on_alarm(now);
  }
  return earliest();
}

void Alarms::place(std::size_t index, Alarm* alarm) {
  heap_[index] = alarm;
  alarm->index_ = index;
}

void Alarms::move_up(std::size_t index) {
  Alarm* alarm = heap_[index];
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (heap_[parent]->due_ <= alarm->due_) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, alarm);
}

void Alarms::move_down(std::size_t index) {
  Alarm* alarm = heap_[index];
  for (;;) {
    std::size_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1]->due_ < heap_[child]->due_) ++child;
    if (alarm->due_ <= heap_[child]->due_) break;
    place(index, heap_[child]);
    index = child;
  }
  place(index, alarm);
}

}  // namespace banyan::driver
