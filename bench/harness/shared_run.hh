// Memory that the processes of one measurement share: a barrier to start at together, and where each leaves its
// figures. The coordinator, which is not a rank, is the last process.
//
// The CPU time of a phase is all that a process used between the two barriers around it, its background threads
// included, less what waiting at the second barrier cost: so work that goes on after a process is done itself (a
// server that still serves the others) counts as well.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "implementation.hh"
#include "system.hh"

namespace banyan::bench {

struct Sample {
  double ms = 0;                // this process's own way from the barrier to its end of the phase
  double cpu_us = 0;            // user and system
  std::int64_t memory_kib = 0;  // by which resident memory grew in the phase, at its peak
  std::array<double, kMostSteps> steps_ms{};
};

// What the ranks do next.
struct Command {
  enum class Kind : std::uint32_t { quit, start };
  Kind kind = Kind::quit;
  std::uint32_t implementation = 0;  // place in the list that the coordinator and its ranks have in common
  std::uint32_t start_alone = 0;     // no calls after it
  std::uint32_t number = 0;          // of the start; no two have the same
};

class SharedRun {
 public:
  static constexpr std::size_t kTextBytes = 480;

  // The coordinator makes the memory, others find it by its name; forget() takes the name away.
  enum class Access : std::uint8_t { make, find };
  SharedRun(int processes, const std::string& name, Access access);
  static void forget(const std::string& name);
  SharedRun(const SharedRun&) = delete;
  SharedRun& operator=(const SharedRun&) = delete;
  ~SharedRun();

  int processes() const { return processes_; }
  int coordinator() const { return processes_ - 1; }

  // Returns when every process has called it. `look_after` is called several times a second while this one waits; it
  // throws when there is no point in waiting.
  void barrier(const std::function<void()>& look_after = {});

  // Runs `work` in all processes at once and leaves time and CPU of this one in its sample.
  void measure(int process, const std::function<void()>& work, const std::function<void()>& look_after = {});

  Sample& sample(int process) { return samples_[process]; }
  Command& command() { return head_->command; }
  // A number from one process to the others, who read it after a barrier.
  std::atomic<int>& port() { return head_->port; }

  // The first failure of any rank is kept.
  void fail(int rank, const std::string& text);
  // Empty: no rank has failed.
  std::string failure() const;

 private:
  struct Head {
    std::atomic<std::uint32_t> arrived;
    std::atomic<std::uint32_t> round;  // the futex
    std::atomic<int> port;
    std::atomic<std::uint32_t> failure;  // 0: none; 1: its text is being written; 2: its text stands there
    Command command;
    char text[kTextBytes];
  };
  static constexpr std::size_t kHeadBytes = 512;

  std::size_t size() const { return kHeadBytes + static_cast<std::size_t>(processes_) * sizeof(Sample); }
  long futex(int operation, std::uint32_t value, const timespec* patience);

  int processes_;
  Head* head_ = nullptr;
  Sample* samples_ = nullptr;
};

}  // namespace banyan::bench
