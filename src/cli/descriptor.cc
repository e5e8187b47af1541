#include "cli/descriptor.hh"

#include <fcntl.h>
#include <unistd.h>

#include "cli/error.hh"

namespace banyan::cli {

void Descriptor::reset() {
  if (number_ >= 0) ::close(number_);
  number_ = -1;
}

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error("make a pipe");
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

void set_nonblocking(const Descriptor& descriptor) {
  const int flags = ::fcntl(descriptor.get(), F_GETFL);
  if (flags < 0 || ::fcntl(descriptor.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    throw system_error("make a descriptor non-blocking");
  }
}

Descriptor open_null_device() {
  Descriptor null_device(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null_device) throw system_error("open /dev/null");
  return null_device;
}

void ensure_standard_descriptors() {
  for (int number = STDIN_FILENO; number <= STDERR_FILENO; ++number) {
    // The lowest free number is the one that is missing; it stays open for the life of the process.
    if (::fcntl(number, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) < 0) throw system_error("open /dev/null");
  }
}

rlimit raise_descriptor_limit() {
  rlimit before{};
  if (::getrlimit(RLIMIT_NOFILE, &before) != 0) throw system_error("read the limit of open descriptors");
  rlimit raised = before;
  raised.rlim_cur = raised.rlim_max;
  // Refused only where the hard limit is beyond what the kernel now allows; the old limit then stands.
  ::setrlimit(RLIMIT_NOFILE, &raised);
  return before;
}

}  // namespace banyan::cli
