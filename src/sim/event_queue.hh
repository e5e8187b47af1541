// What will happen, in order of time and, at one time, of being planned: the same on every machine.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/time.hh"

namespace banyan::sim {

struct Event {
  enum class Kind : std::uint8_t {
    run,      // process `a` can go on
    core,     // host `a` has a core for whoever waits for one
    alarm,    // process `a` may have a deadline
    arrival,  // the next bytes, or the end, of connection `a` reach side `b`
    drained,  // side `b` of connection `a` hears that the other side has read
    action,   // what stands in slot `a`
  };
  Time at;
  std::uint64_t sequence = 0;
  Kind kind{};
  std::uint32_t a = 0;
  std::uint32_t b = 0;
};

class EventQueue {
 public:
  bool empty() const { return heap_.empty(); }
  Time next_time() const { return heap_.front().at; }
  void plan(Time at, Event::Kind kind, std::uint32_t a = 0, std::uint32_t b = 0) {
    heap_.push_back({at, ++sequence_, kind, a, b});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  Event take() {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Event event = heap_.back();
    heap_.pop_back();
    return event;
  }

 private:
  static bool later(const Event& x, const Event& y) { return x.at != y.at ? x.at > y.at : x.sequence > y.sequence; }

  std::vector<Event> heap_;
  std::uint64_t sequence_ = 0;
};

}  // namespace banyan::sim
