#include "api/progress.hh"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <climits>
#include <string>

namespace banyan::api {

void Progress::line(std::string_view text) const {
  if (descriptor_ < 0) return;
  // A pipe that polls as writable takes PIPE_BUF bytes at once. The descriptor's own mode is left alone: others may
  // share it.
  const std::string line = std::string(text.substr(0, PIPE_BUF - 1)) + '\n';
  pollfd room{descriptor_, POLLOUT, 0};
  if (::poll(&room, 1, 0) != 1 || room.revents != POLLOUT) return;
  const ssize_t sent = ::send(descriptor_, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0) return;
  [[maybe_unused]] const ssize_t written = ::write(descriptor_, line.data(), line.size());
}

}  // namespace banyan::api
