#include "cli/foreground.hh"

#include <poll.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <vector>

#include <fmt/format.h>

#include "cli/descendants.hh"
#include "cli/error.hh"
#include "cli/keyboard.hh"
#include "cli/signals.hh"

namespace banyan::cli {
namespace {

// What the supervisor left behind, if anything, is dead in milliseconds or stuck in the kernel.
constexpr Duration kSweepPatience = std::chrono::seconds(2);

int end_with(int wait_status) {
  kill_descendants(kSweepPatience);
  if (WIFEXITED(wait_status)) return WEXITSTATUS(wait_status);
  const int signal = WTERMSIG(wait_status);
  fmt::print(stderr, "banyan run: the supervisor of the ranks was killed by {}; all ranks were ended\n",
             describe_signal(signal));
  return kExitSignalBase + signal;
}

void pass_on(int signal, pid_t supervisor, Keyboard& keyboard) {
  ::kill(supervisor, signal);
  if (signal == SIGTSTP) ::raise(SIGSTOP);
  if (signal == SIGCONT) keyboard.resume();
}

}  // namespace

int stay_in_foreground(pid_t supervisor, Descriptor to_rank) {
  const Descriptor signals = signal_descriptor();
  Keyboard keyboard(std::move(to_rank));
  std::vector<pollfd> waits;
  while (true) {
    waits.assign({{signals.get(), POLLIN, 0}});
    keyboard.add_waits(waits);
    ::poll(waits.data(), waits.size(), -1);

    while (const int signal = next_signal(signals)) {
      if (signal != SIGCHLD) pass_on(signal, supervisor, keyboard);
    }
    int wait_status = 0;
    if (::waitpid(supervisor, &wait_status, WNOHANG) == supervisor) return end_with(wait_status);
    keyboard.carry();
  }
}

}  // namespace banyan::cli
