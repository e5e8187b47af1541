#include "cli/keyboard.hh"

#include <unistd.h>

#include <array>
#include <cerrno>

namespace banyan::cli {
namespace {

// A terminal yields one line at a time, and no line is longer.
constexpr std::size_t kLineBytes = 4096;

bool in_foreground() { return ::tcgetpgrp(STDIN_FILENO) == ::getpgrp(); }

bool ready(int number, short events) {
  pollfd wait{number, events, 0};
  return ::poll(&wait, 1, 0) > 0;
}

}  // namespace

Keyboard::Keyboard(Descriptor to_rank) : to_rank_(std::move(to_rank)) {
  if (to_rank_) set_nonblocking(to_rank_);
}

void Keyboard::add_waits(std::vector<pollfd>& waits) const {
  if (!to_rank_) return;
  if (!typed_.empty()) {
    waits.push_back({to_rank_.get(), POLLOUT, 0});
  } else if (!paused_) {
    waits.push_back({STDIN_FILENO, POLLIN, 0});
  }
}

void Keyboard::carry() {
  if (to_rank_ && !typed_.empty()) write_rank();
  if (to_rank_ && typed_.empty() && !paused_ && ready(STDIN_FILENO, POLLIN)) read_terminal();
}

void Keyboard::read_terminal() {
  // In the background these keys are the shell's.
  if (!in_foreground()) {
    paused_ = true;
    return;
  }
  std::array<char, kLineBytes> line;
  const ssize_t size = ::read(STDIN_FILENO, line.data(), line.size());
  if (size > 0) {
    typed_.assign(line.data(), static_cast<std::size_t>(size));
    write_rank();
  } else if (size == 0) {
    to_rank_.reset();  // end of input
  } else {
    paused_ = true;
  }
}

void Keyboard::write_rank() {
  const ssize_t taken = ::write(to_rank_.get(), typed_.data(), typed_.size());
  if (taken >= 0) {
    typed_.erase(0, static_cast<std::size_t>(taken));
  } else if (errno != EAGAIN && errno != EINTR) {
    to_rank_.reset();  // rank 0 reads no more
  }
}

}  // namespace banyan::cli
