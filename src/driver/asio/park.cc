#include "driver/asio/park.hh"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace banyan::driver {

Park::~Park() {
  if (timer_ >= 0) ::close(timer_);
}

bool Park::open() {
  if (timer_ < 0) timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  return timer_ >= 0;
}

void Park::release_after(Duration time) {
  constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
  // Zero would mean never.
  const std::int64_t nanoseconds = std::max<std::int64_t>(time.count(), 1);
  itimerspec when{};
  when.it_value = {nanoseconds / kNanosecondsPerSecond, nanoseconds % kNanosecondsPerSecond};
  ::timerfd_settime(timer_, 0, &when, nullptr);
}

void Park::wait() {
  std::uint64_t expirations = 0;
  while (::read(timer_, &expirations, sizeof(expirations)) < 0 && errno == EINTR) {
  }
}

}  // namespace banyan::driver
