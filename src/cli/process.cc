#include "cli/process.hh"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>

namespace banyan::cli {
namespace {

// The child makes a dozen system calls on it, and execve copies nothing to it.
constexpr std::size_t kChildStackBytes = 64 * 1024;

struct ChildTask {
  const ProcessRequest* request;
  pid_t parent;
  int error = 0;
};

// Runs in the child, in the parent's memory, while the parent stands still: system calls only. Returns
// only on failure, the exit code.
int become_process(void* argument) {
  ChildTask& task = *static_cast<ChildTask*>(argument);
  const ProcessRequest& request = *task.request;

  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != task.parent) return 127;  // the parent died before the line above could count

  bool ready = ::dup2(request.standard_input, STDIN_FILENO) >= 0 &&
               ::dup2(request.standard_output, STDOUT_FILENO) >= 0 &&
               ::dup2(request.standard_error, STDERR_FILENO) >= 0;
  for (const int number : request.inherited) ready = ready && ::fcntl(number, F_SETFD, 0) == 0;
  if (ready) {
    ::setrlimit(RLIMIT_NOFILE, &request.descriptor_limit);
    ::sigprocmask(SIG_SETMASK, &request.signal_mask, nullptr);
    ::execve(request.path, request.arguments, request.environment);
  }
  task.error = errno;
  return 127;
}

}  // namespace

StartedProcess start_process(const ProcessRequest& request) {
  alignas(16) static std::array<std::byte, kChildStackBytes> stack;
  ChildTask task{&request, ::getpid()};
  int exit_event = -1;
  StartedProcess process;
  process.pid = ::clone(become_process, stack.data() + stack.size(), CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
                        &task, &exit_event);
  if (process.pid < 0) {
    process.error = errno;
    return process;
  }
  process.exit_event = Descriptor(exit_event);
  if (task.error != 0) {
    ::waitpid(process.pid, nullptr, 0);
    process.pid = -1;
    process.error = task.error;
  }
  return process;
}

}  // namespace banyan::cli
