#include "cli/descendants.hh"

#include <dirent.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "cli/error.hh"

namespace banyan::cli {
namespace {

// A death that SIGCHLD did not tell of, since several were told at once, is noticed after this.
constexpr long kLookAgainNanoseconds = 20'000'000;

// 0 for a process that is gone.
pid_t parent_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  // "pid (name) state parent ...": the name may itself hold spaces and parentheses.
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos || name_end + 4 > line.size()) return 0;
  return static_cast<pid_t>(std::strtol(line.c_str() + name_end + 4, nullptr, 10));
}

std::vector<pid_t> children() {
  std::vector<pid_t> found;
  DIR* processes = ::opendir("/proc");
  if (processes == nullptr) return found;
  while (const dirent* entry = ::readdir(processes)) {
    const auto pid = static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10));
    if (pid > 0 && parent_of(pid) == ::getpid()) found.push_back(pid);
  }
  ::closedir(processes);
  return found;
}

// False: there are no children.
bool reap_dead_children() {
  while (true) {
    const pid_t pid = ::waitpid(-1, nullptr, WNOHANG);
    if (pid == 0) return true;
    if (pid < 0 && errno != EINTR) return false;
  }
}

}  // namespace

void adopt_orphans() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) throw system_error("adopt orphaned processes");
}

bool kill_descendants(Duration patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  sigset_t child_signal;
  sigemptyset(&child_signal);
  sigaddset(&child_signal, SIGCHLD);
  while (reap_dead_children()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    // None of them is reaped yet, so no number can have become somebody else's.
    for (const pid_t child : children()) ::kill(child, SIGKILL);
    const timespec wait{0, kLookAgainNanoseconds};
    ::sigtimedwait(&child_signal, nullptr, &wait);
  }
  return true;
}

}  // namespace banyan::cli
