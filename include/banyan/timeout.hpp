// How long an operation may take: any std::chrono duration, or none, or what the options say.
#pragma once

#include <chrono>

namespace banyan {

class Timeout {
 public:
  // The default of the operation: Options::call_timeout.
  constexpr Timeout() noexcept = default;
  // Implicit, so that `barrier(std::chrono::seconds(5))` reads as it does. A duration beyond 292 years is none().
  template <typename Number, typename Period>
  constexpr Timeout(std::chrono::duration<Number, Period> duration) noexcept  // NOLINT(google-explicit-constructor)
      : is_default_(false), duration_(limited(duration)) {}
  // No deadline: the operation ends by its result, by a failure or by close().
  static constexpr Timeout none() noexcept { return Timeout(std::chrono::nanoseconds::max()); }

  constexpr bool is_default() const noexcept { return is_default_; }
  constexpr bool is_none() const noexcept { return !is_default_ && duration_ == std::chrono::nanoseconds::max(); }
  constexpr std::chrono::nanoseconds duration() const noexcept { return duration_; }

 private:
  template <typename Number, typename Period>
  static constexpr std::chrono::nanoseconds limited(std::chrono::duration<Number, Period> duration) {
    using Seconds = std::chrono::duration<double>;
    if (Seconds(duration) >= Seconds(std::chrono::nanoseconds::max())) return std::chrono::nanoseconds::max();
    if (Seconds(duration) <= Seconds(std::chrono::nanoseconds::min())) return std::chrono::nanoseconds::min();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(duration);
  }

  bool is_default_ = true;
  std::chrono::nanoseconds duration_{};
};

}  // namespace banyan
