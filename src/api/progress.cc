#include "api/progress.hh"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <string>

namespace banyan::api {
namespace {

// To a pipe without waiting even if others have filled it since it was polled, where the kernel knows how (Linux 6.4).
void write_to_file(int descriptor, const std::string& line) {
  struct stat status {};
  if (::fstat(descriptor, &status) == 0 && S_ISFIFO(status.st_mode)) {
    const iovec part{const_cast<char*>(line.data()), line.size()};  // writing only reads
    if (::pwritev2(descriptor, &part, 1, -1, RWF_NOWAIT) >= 0 || errno != EOPNOTSUPP) return;
  }
  [[maybe_unused]] const ssize_t written = ::write(descriptor, line.data(), line.size());
}

}  // namespace

void Progress::line(std::string_view text) const {
  if (descriptor_ < 0) return;
  // A pipe that polls as writable takes PIPE_BUF bytes at once. The descriptor's own mode is left alone: others may
  // share it.
  const std::string line = std::string(text.substr(0, PIPE_BUF - 1)) + '\n';
  pollfd room{descriptor_, POLLOUT, 0};
  if (::poll(&room, 1, 0) != 1 || room.revents != POLLOUT) return;
  if (::send(descriptor_, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno != ENOTSOCK) return;
  write_to_file(descriptor_, line);
}

}  // namespace banyan::api
