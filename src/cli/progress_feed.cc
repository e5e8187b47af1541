#include "cli/progress_feed.hh"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>

namespace banyan::cli {
namespace {

// A notice lists at most some dozens of ranges; what is longer was not written by Banyan, and is cut.
constexpr std::size_t kMaxNoticeBytes = 4096;

// Notices come from a rank: whatever it writes, it must not steer the terminal.
char printable(char c) { return c >= ' ' && c <= '~' ? c : '?'; }

}  // namespace

Descriptor ProgressFeed::open() {
  Pipe pipe = make_pipe();
  set_nonblocking(pipe.read_end);
  read_end_ = std::move(pipe.read_end);
  return std::move(pipe.write_end);
}

std::vector<std::string> ProgressFeed::read() {
  std::vector<std::string> notices;
  std::array<char, kMaxNoticeBytes> buffer;
  const ssize_t size = ::read(read_end_.get(), buffer.data(), buffer.size());
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return notices;
  if (size <= 0) read_end_.reset();
  for (ssize_t i = 0; i < size; ++i) {
    const char c = buffer[static_cast<std::size_t>(i)];
    if (c == '\n') {
      notices.push_back(std::move(partial_));
      partial_.clear();
    } else if (partial_.size() < kMaxNoticeBytes) {
      partial_.push_back(printable(c));
    }
  }
  return notices;
}

bool says_formed(std::string_view notice) { return notice.starts_with("formed"); }

}  // namespace banyan::cli
