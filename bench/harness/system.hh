// What the benchmarks ask the operating system for.
#pragma once

#include <cerrno>
#include <cstdint>
#include <ctime>
#include <system_error>

namespace banyan::bench {

template <typename Result>
Result checked(Result result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

// User and system time, in nanoseconds: the sum that getrusage tells in microseconds.
inline std::int64_t cpu_ns(clockid_t clock) {
  timespec now{};
  checked(::clock_gettime(clock, &now), "clock_gettime");
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

}  // namespace banyan::bench
