#include "shared_run.hh"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstring>
#include <stdexcept>

namespace banyan::bench {
namespace {

// How often a process that waits looks after the others.
constexpr timespec kGlance{0, 100'000'000};

// Highest use of memory since the last call that forgot it, and what is used now, in KiB.
struct Memory {
  std::int64_t peak = 0;
  std::int64_t now = 0;
};

Memory memory() {
  Memory memory;
  if (std::FILE* const file = std::fopen("/proc/self/status", "re")) {
    char line[256];
    while (std::fgets(line, sizeof(line), file) != nullptr) {
      if (std::strncmp(line, "VmHWM:", 6) == 0) memory.peak = std::atoll(line + 6);
      if (std::strncmp(line, "VmRSS:", 6) == 0) memory.now = std::atoll(line + 6);
    }
    std::fclose(file);
  }
  return memory;
}

void forget_peak() {
  const int file = ::open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  if (file < 0) return;  // the peak is then that of the whole process
  [[maybe_unused]] const auto written = ::write(file, "5", 1);
  ::close(file);
}

}  // namespace

SharedRun::SharedRun(int processes, const std::string& name, Access access) : processes_(processes) {
  static_assert(sizeof(Head) <= kHeadBytes && std::atomic<std::uint32_t>::is_always_lock_free);
  // New memory is all zeros, which is a valid beginning.
  const int file = checked(
      ::shm_open(name.c_str(), O_RDWR | O_CLOEXEC | (access == Access::make ? O_CREAT | O_EXCL : 0), 0600), "shm_open");
  if (access == Access::make) checked(::ftruncate(file, static_cast<off_t>(size())), "ftruncate");
  void* const memory = ::mmap(nullptr, size(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ::close(file);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  head_ = static_cast<Head*>(memory);
  samples_ = reinterpret_cast<Sample*>(static_cast<std::byte*>(memory) + kHeadBytes);
}

SharedRun::~SharedRun() { ::munmap(head_, size()); }

void SharedRun::forget(const std::string& name) { ::shm_unlink(name.c_str()); }

long SharedRun::futex(int operation, std::uint32_t value, const timespec* patience) {
  return ::syscall(SYS_futex, &head_->round, operation, value, patience, nullptr, 0);
}

void SharedRun::barrier(const std::function<void()>& look_after) {
  const std::uint32_t round = head_->round.load();
  if (head_->arrived.fetch_add(1) + 1 == static_cast<std::uint32_t>(processes_)) {
    head_->arrived.store(0);
    head_->round.fetch_add(1);
    futex(FUTEX_WAKE, INT_MAX, nullptr);
    return;
  }
  while (head_->round.load() == round) {
    futex(FUTEX_WAIT, round, look_after ? &kGlance : nullptr);
    if (look_after && head_->round.load() == round) look_after();
  }
}

void SharedRun::measure(int process, const std::function<void()>& work, const std::function<void()>& look_after) {
  forget_peak();
  const std::int64_t memory_begin = memory().now;
  barrier(look_after);
  const std::int64_t cpu_begin = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
  const auto begin = std::chrono::steady_clock::now();
  work();
  const auto end = std::chrono::steady_clock::now();
  const std::int64_t wait_begin = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
  barrier(look_after);
  const std::int64_t wait = cpu_ns(CLOCK_THREAD_CPUTIME_ID) - wait_begin;
  const std::int64_t cpu = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_begin - wait;
  sample(process) = {std::chrono::duration<double, std::milli>(end - begin).count(),
                     static_cast<double>(cpu) / 1e3,
                     std::max<std::int64_t>(0, memory().peak - memory_begin),
                     {}};
}

void SharedRun::fail(int rank, const std::string& text) {
  std::uint32_t none = 0;
  if (!head_->failure.compare_exchange_strong(none, 1)) return;
  const std::string whole = "rank " + std::to_string(rank) + ": " + text;
  const std::size_t count = std::min(whole.size(), kTextBytes - 1);
  std::memcpy(head_->text, whole.data(), count);
  head_->failure.store(2);
}

std::string SharedRun::failure() const { return head_->failure.load() == 2 ? std::string(head_->text) : std::string(); }

}  // namespace banyan::bench
