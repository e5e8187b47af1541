// Time as the core sees it: integer nanoseconds that a driver hands in. The core never asks a clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace banyan {

struct EngineClock {
  using duration = std::chrono::duration<std::int64_t, std::nano>;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<EngineClock>;
  static constexpr bool is_steady = true;
};

using Duration = EngineClock::duration;
using Time = EngineClock::time_point;

inline constexpr Time kNever = Time::max();
inline constexpr Duration kForever = Duration::max();

// `from + wait` that saturates at "never" instead of overflowing.
constexpr Time after(Time from, Duration wait) { return wait >= kNever - from ? kNever : from + wait; }

// For sentences, to the millisecond: "30 s", "1.5 s".
std::string seconds_text(Duration duration);

}  // namespace banyan
