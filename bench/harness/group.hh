// The processes of a measurement, and what the coordinator finds out about one start.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "counters.hh"
#include "rank.hh"
#include "sockets.hh"

namespace banyan::bench {

// Why a start has no figures: a rank failed or died, or time is up. The group is of no further use.
struct StartFailed : std::runtime_error {
  explicit StartFailed(const std::string& text, bool by_time = false)
      : std::runtime_error(text), time_was_up(by_time) {}
  bool time_was_up;
};

// The user has had enough (SIGINT, SIGTERM): what has been measured is still of use.
struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};
// From now on such a signal ends what is waited for by Interrupted.
void heed_interrupts();

// Of one phase.
struct Found {
  Phase phase;
  bool offered = true;
  double slowest_ms = 0;        // of all `times` calls
  double cpu_us = 0;            // of all processes together
  double cpu_us_busiest = 0;    // of the process that used most
  std::int64_t memory_kib = 0;  // of the process that grew most
  Counters counted;
  std::array<double, kMostSteps> steps_ms{};  // of the slowest rank
};

class Group {
 public:
  // Forks the ranks. Each enters the network namespace of its host, if there are any ("/proc/7/fd/3").
  Group(const Shape& shape, const Implementations& implementations, const std::vector<std::string>& namespaces,
        std::chrono::seconds patience);
  // Starts the ranks by this implementation's launcher; good for one start.
  Group(const Shape& shape, const Implementations& implementations, std::size_t implementation,
        std::chrono::seconds patience);
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  ~Group();

  // One job, from its start to its end; with no calls between them, if `start_alone`. No phase may take longer than
  // `patience`.
  std::vector<Found> start(std::size_t implementation, bool start_alone);

 private:
  Group(const Shape& shape, const Implementations& implementations, std::chrono::seconds patience);
  void fork_ranks(const std::vector<std::string>& namespaces);
  void barrier(const std::string& what);
  void barrier(const std::string& what, std::chrono::seconds patience);
  void end(pid_t process);
  void look_after(std::chrono::steady_clock::time_point deadline, const std::string& what);
  Found measure(const Phase& phase, Server* server, const Counters& before);
  Found sum_up(const Phase& phase, std::int64_t server_cpu_ns, const Counters& counted);

  const Shape shape_;
  const Implementations& implementations_;
  const std::chrono::seconds patience_;
  const std::string run_;
  SharedRun shared_;
  std::vector<pid_t> processes_;   // ranks, or the launcher
  std::vector<pid_t> of_network_;  // one in each network namespace
  Socket home_;                    // the coordinator's own network namespace, when it has left it
  bool launched_ = false;
  bool healthy_ = false;  // all processes are there and in step
};

// What the program of a launched implementation, its only one, does with the arguments that Group has given it: it is
// the rank that its environment says. Returns the exit code.
int be_launched_rank(int argument_count, char** arguments, const Implementations& implementations);
// Whether these are such arguments.
bool is_launched_rank(int argument_count, char** arguments);

}  // namespace banyan::bench
