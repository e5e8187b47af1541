// For tests: what becomes of Banyan in a child of fork().
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace banyan::driver {

// Runs `body` in a child, which has 20 s. What it returns; -1 when the child did not come to that.
inline int child_of_fork(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    ::_exit(body());
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace banyan::driver
