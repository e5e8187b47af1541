// What the benchmark programs have in common, so that Banyan and a floor are measured with one ruler: processes of one
// machine share a page of memory, start together at a barrier in it, and leave their figures there.
//
// The CPU time of a start is all that a process used between the two barriers around it, its background threads
// included, less what waiting at the second barrier cost: so work that goes on after a process has its own table (a
// server that still serves the others) counts as well.
#pragma once

#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace banyan::bench {

// What every rank tells about itself, as NCCL and its kin do: the size of a socket address, rounded up.
constexpr std::size_t kBlobBytes = 128;
// A process that waits longer for the others gives up.
constexpr std::chrono::seconds kPatience{120};

inline int checked(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

// User and system time, in nanoseconds: the sum that getrusage tells in microseconds.
inline std::int64_t cpu_ns(clockid_t clock) {
  timespec now{};
  checked(::clock_gettime(clock, &now), "clock_gettime");
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

// A socket on a free port of loopback, and the port.
inline std::pair<int, int> listen_on_a_free_port() {
  const int listener = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  sockaddr_in address{};
  socklen_t length = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  checked(::bind(listener, generic, length), "bind");
  checked(::listen(listener, SOMAXCONN), "listen");
  checked(::getsockname(listener, generic, &length), "getsockname");
  return {listener, ntohs(address.sin_port)};
}

struct Sample {
  double ms = 0;      // this process's own way from the barrier to the table
  double cpu_us = 0;  // user and system
  bool ok = false;    // the table was right
};

// The shared memory. Process 0 .. processes - 1 each have one Sample.
class SharedRun {
 public:
  // For processes that fork after this.
  explicit SharedRun(int processes) : SharedRun(processes, -1) {}

  // For processes that know each other by a name alone. The first one makes the memory; forget() takes the name away.
  SharedRun(int processes, const std::string& name)
      : SharedRun(processes, checked(::shm_open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600), "shm_open")) {}
  static void forget(const std::string& name) { ::shm_unlink(name.c_str()); }

  SharedRun(const SharedRun&) = delete;
  SharedRun& operator=(const SharedRun&) = delete;
  ~SharedRun() { ::munmap(head_, size()); }

  // Returns when every process has called it.
  void barrier() {
    const std::uint32_t round = head_->round.load();
    if (head_->arrived.fetch_add(1) + 1 == static_cast<std::uint32_t>(processes_)) {
      head_->arrived.store(0);
      head_->round.fetch_add(1);
      futex(FUTEX_WAKE, INT_MAX, nullptr);
      return;
    }
    const timespec patience{kPatience.count(), 0};
    while (head_->round.load() == round) {
      if (futex(FUTEX_WAIT, static_cast<int>(round), &patience) < 0 && errno == ETIMEDOUT) {
        throw std::runtime_error("other processes did not come to the barrier");
      }
    }
  }

  // Runs `start` in all processes at once and leaves time and CPU of this one in its sample.
  template <typename Start>
  void measure(int process, Start start) {
    barrier();
    const std::int64_t cpu_begin = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
    const auto begin = std::chrono::steady_clock::now();
    start();
    const auto end = std::chrono::steady_clock::now();
    const std::int64_t wait_begin = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
    barrier();
    const std::int64_t wait = cpu_ns(CLOCK_THREAD_CPUTIME_ID) - wait_begin;
    const std::int64_t cpu = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_begin - wait;
    sample(process) = {std::chrono::duration<double, std::milli>(end - begin).count(), static_cast<double>(cpu) / 1e3,
                       false};
  }

  Sample& sample(int process) { return samples_[process]; }
  // A number from one process to the others, who read it after a barrier.
  std::atomic<int>& port() { return head_->port; }

  // One line of JSON about the start that the samples tell of. They are those of `ranks` ranks and, behind them, of
  // helpers whose time does not count but whose CPU does. Call it between barriers.
  void print(const std::string& what, int ranks, int run) const {
    const std::vector<Sample> samples(samples_, samples_ + processes_);
    double slowest_ms = 0;
    double cpu_us = 0;
    bool ok = true;
    std::vector<double> each;
    for (int process = 0; process < processes_; ++process) {
      const Sample& sample = samples[static_cast<std::size_t>(process)];
      if (process < ranks) {
        slowest_ms = std::max(slowest_ms, sample.ms);
        ok = ok && sample.ok;
      }
      cpu_us += sample.cpu_us;
      each.push_back(sample.cpu_us);
    }
    std::sort(each.begin(), each.end());
    std::printf(
        "{\"what\":\"%s\",\"ranks\":%d,\"run\":%d,\"ok\":%s,\"slowest_ms\":%.3f,\"cpu_ms\":%.3f,"
        "\"cpu_us_per_rank\":%.1f,\"cpu_us_median_process\":%.1f,\"cpu_us_busiest_process\":%.1f}\n",
        what.c_str(), ranks, run, ok ? "true" : "false", slowest_ms, cpu_us / 1e3, cpu_us / ranks,
        each[each.size() / 2], each.back());
    std::fflush(stdout);
  }

 private:
  struct Head {
    std::atomic<std::uint32_t> arrived;
    std::atomic<std::uint32_t> round;  // the futex
    std::atomic<int> port;
  };
  static constexpr std::size_t kHeadBytes = 64;
  static_assert(sizeof(Head) <= kHeadBytes && std::atomic<std::uint32_t>::is_always_lock_free);

  // New memory is all zeros, which is a valid beginning; so nobody has to be the first to write.
  SharedRun(int processes, int descriptor) : processes_(processes) {
    if (descriptor >= 0) checked(::ftruncate(descriptor, static_cast<off_t>(size())), "ftruncate");
    void* const memory = ::mmap(nullptr, size(), PROT_READ | PROT_WRITE,
                                MAP_SHARED | (descriptor < 0 ? MAP_ANONYMOUS : 0), descriptor, 0);
    if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    if (descriptor >= 0) ::close(descriptor);
    head_ = static_cast<Head*>(memory);
    samples_ = reinterpret_cast<Sample*>(static_cast<std::byte*>(memory) + kHeadBytes);
  }

  std::size_t size() const { return kHeadBytes + static_cast<std::size_t>(processes_) * sizeof(Sample); }
  long futex(int operation, int value, const timespec* patience) {
    return ::syscall(SYS_futex, &head_->round, operation, value, patience, nullptr, 0);
  }

  int processes_;
  Head* head_ = nullptr;
  Sample* samples_ = nullptr;
};

}  // namespace banyan::bench
