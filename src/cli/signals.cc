#include "cli/signals.hh"

#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include <fmt/format.h>

#include "cli/error.hh"

namespace banyan::cli {
namespace {

constexpr std::array kPassedOn = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT};

bool ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

sigset_t signals_to_read() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  for (const int signal : kPassedOn) {
    if (!ignored(signal)) sigaddset(&set, signal);
  }
  return set;
}

}  // namespace

sigset_t block_signals() {
  // Were SIGCHLD ignored, as some parents leave it, the kernel would throw exit statuses away.
  std::signal(SIGCHLD, SIG_DFL);
  sigset_t blocked = signals_to_read();
  for (const int signal : {SIGPIPE, SIGTTIN, SIGTTOU}) sigaddset(&blocked, signal);
  sigset_t before;
  if (::sigprocmask(SIG_BLOCK, &blocked, &before) != 0) throw system_error("block signals");
  return before;
}

Descriptor signal_descriptor() {
  const sigset_t set = signals_to_read();
  Descriptor signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals) throw system_error("make a descriptor for signals");
  return signals;
}

int next_signal(const Descriptor& signals) {
  signalfd_siginfo info{};
  return ::read(signals.get(), &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

bool asks_to_end(int signal) { return signal == SIGHUP || signal == SIGINT || signal == SIGQUIT || signal == SIGTERM; }

std::string describe_signal(int signal) { return fmt::format("signal {} ({})", signal, ::strsignal(signal)); }

}  // namespace banyan::cli
