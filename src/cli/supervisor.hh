// Starts the ranks of a job and stays until all have ended: the one event loop that watches over signals, exits and
// output. It decides what happens when; how is in the files it includes.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/ids.hh"
#include "base/time.hh"
#include "cli/command.hh"
#include "cli/console.hh"
#include "cli/descriptor.hh"
#include "cli/escalation.hh"
#include "cli/job.hh"
#include "cli/outcomes.hh"
#include "cli/progress_feed.hh"
#include "cli/rank_output.hh"
#include "cli/run_options.hh"

namespace banyan::cli {

class Error;

// What the ranks inherit from the launcher as the user started it.
struct Inheritance {
  sigset_t signal_mask;
  rlimit descriptor_limit;
  Descriptor keyboard;  // rank 0's input where the launcher's is a terminal
};

class Supervisor {
 public:
  // `foreground_alive` reads end of file when the process in the foreground is gone.
  Supervisor(const RunOptions& options, Command command, Inheritance inheritance, Descriptor foreground_alive);

  // The exit code of the whole. No rank and nothing that a rank started is left when it returns.
  int run();

 private:
  struct RankProcess {
    pid_t pid = 0;  // 0 when it has ended
    Descriptor exit_event;
  };

  // Starting.
  void take_ports();
  void start_more_ranks(Time now);
  void start_rank(Rank rank);
  bool starting() const { return started_ < to_start_; }
  void start_no_more() { to_start_ = started_; }

  // The turns of the event loop.
  void wait_for_events(Time now);
  void take_signals(Time now);
  void take_exits(Time now);
  bool take_exit_events(Time now);  // true when a rank has ended
  void take_output();
  void take_notices();
  void escalate(Time now);
  void sweep();
  void report();
  bool over() const;      // no rank runs, and none will
  bool finished() const;  // nor is anything left to print
  bool foreground_gone() const;

  void pass_on(int signal, Time now);
  void interrupt_again(Time now);
  void send(int signal);
  void end_rank(Rank rank, int wait_status, Time now);
  void fail(const Error& error, Time now);
  int exit_code() const;

  const RunOptions& options_;
  Command command_;
  Inheritance inheritance_;
  Descriptor foreground_alive_;
  Descriptor signals_;
  Descriptor null_device_;
  Descriptor exits_;  // epoll over the ranks' exit events: it yields them in the order in which the ranks ended

  Console console_;
  std::optional<RankOutput> output_;  // none with --no-prefix
  ProgressFeed progress_;
  bool rewrite_progress_ = false;  // as one line of a terminal

  Job job_;
  Descriptor rendezvous_;               // until rank 0 has it
  std::vector<Descriptor> held_ports_;  // of the other hosts' leaders
  std::optional<RankEnvironments> environments_;

  std::vector<RankProcess> ranks_;
  std::unordered_map<pid_t, Rank> rank_of_;
  std::uint32_t started_ = 0;
  std::uint32_t to_start_ = 0;
  Outcomes outcomes_;
  Escalation escalation_;

  std::optional<Time> interrupted_at_;
  int ended_by_signal_ = 0;           // a signal to end the job came from outside
  std::optional<int> own_exit_code_;  // counts more than any rank's
  bool swept_ = false;
  bool reported_ = false;
  bool abandoned_ = false;  // somebody is tired of waiting for output to be read
};

}  // namespace banyan::cli
