#include "cli/console.hh"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

namespace banyan::cli {
namespace {

// Text that waits for its reader; beyond it the ranks wait too.
constexpr std::size_t kMaxPendingBytes = 4 * 1024 * 1024;
// After so much in one go the event loop gets a turn.
constexpr int kMaxChunksPerFlush = 256;
// poll() promises room for this much in a pipe, so that a write of it does not block.
constexpr std::size_t kPipeChunkBytes = PIPE_BUF;
constexpr std::size_t kFileChunkBytes = 64 * 1024;
constexpr unsigned kDefaultColumns = 80;
constexpr std::string_view kEraseLine = "\r\033[K";

unsigned terminal_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kDefaultColumns;
}

bool same_file(int a, int b) {
  struct stat first {};
  struct stat second {};
  return ::fstat(a, &first) == 0 && ::fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino && first.st_rdev == second.st_rdev;
}

}  // namespace

Console::Console() {
  for (std::size_t i = 0; i < sinks_.size(); ++i) {
    Sink& sink = sinks_[i];
    sink.number = i == 0 ? STDOUT_FILENO : STDERR_FILENO;
    sink.chunk_bytes = kPipeChunkBytes;
    struct stat status {};
    if (::fstat(sink.number, &status) == 0 && S_ISREG(status.st_mode)) sink.chunk_bytes = kFileChunkBytes;
    if (::isatty(sink.number) == 1) {
      // A terminal can say "writable" and block all the same. Non-blocking mode belongs to the open file, which the
      // shell and the ranks share, so the terminal is opened once more for us alone.
      const std::string path = fmt::format("/proc/self/fd/{}", sink.number);
      sink.own = Descriptor(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
      if (sink.own) sink.number = sink.own.get();
    }
  }
  if (same_file(STDOUT_FILENO, STDERR_FILENO)) index_of_ = {0, 0};
}

void Console::write(Stream stream, std::string_view lines) {
  Sink& target = sink(stream);
  // Where stdout is another terminal than stderr this erases more than need be, and draws it again.
  if (progress_drawn_) erase_progress();
  append(target, lines);
}

void Console::say(std::string_view sentence) { write(Stream::err, fmt::format("banyan run: {}\n", sentence)); }

void Console::set_progress(std::string text) {
  if (progress_drawn_) erase_progress();
  progress_ = std::move(text);
}

void Console::append(Sink& target, std::string_view text) {
  if (!target.closed) target.pending.append(text);
}

void Console::erase_progress() {
  append(sink(Stream::err), kEraseLine);
  progress_drawn_ = false;
  // Before anything goes to stdout, which may be the same terminal by another name.
  flush(sink(Stream::err));
}

void Console::draw_progress() {
  // A line that wrapped could not be erased again.
  const std::size_t columns = terminal_columns() - 1;
  std::string line = "banyan run: " + progress_;
  if (line.size() > columns) line = line.substr(0, columns > 3 ? columns - 3 : 0) + "...";
  append(sink(Stream::err), line);
  progress_drawn_ = true;
  flush(sink(Stream::err));
}

void Console::flush() {
  for (Sink& target : sinks_) flush(target);
  if (!progress_.empty() && !progress_drawn_ && idle()) draw_progress();
}

void Console::flush(Sink& target) {
  for (int chunks = 0; chunks < kMaxChunksPerFlush && !target.idle(); ++chunks) {
    if (!write_chunk(target)) break;
  }
  if (target.idle()) {
    target.pending.clear();
    target.written = 0;
  } else if (target.written > kMaxPendingBytes) {
    target.pending.erase(0, target.written);
    target.written = 0;
  }
}

// False: nothing can be written now.
bool Console::write_chunk(Sink& target) {
  pollfd ready{target.number, POLLOUT, 0};
  if (::poll(&ready, 1, 0) <= 0) return false;

  std::string_view chunk = std::string_view(target.pending).substr(target.written, target.chunk_bytes);
  // Whole lines where possible: ranks that inherited this file, or other programs, may write between two chunks.
  if (const std::size_t newline = chunk.rfind('\n'); newline != std::string_view::npos)
    chunk = chunk.substr(0, newline + 1);
  const ssize_t taken = ::write(target.number, chunk.data(), chunk.size());
  if (taken >= 0) {
    target.written += static_cast<std::size_t>(taken);
    return true;
  }
  if (errno == EAGAIN) return false;
  if (errno == EINTR) return true;
  if (errno != EPIPE && errno != EIO) {
    const bool out = target.number == sinks_[0].number;
    write_error_ = fmt::format("cannot write to {}: {}", out ? "stdout" : "stderr", std::strerror(errno));
  }
  target.closed = true;
  target.written = target.pending.size();
  return false;
}

void Console::add_waits(std::vector<pollfd>& waits) const {
  for (const Sink& target : sinks_) {
    if (!target.idle()) waits.push_back({target.number, POLLOUT, 0});
  }
}

bool Console::has_room() const {
  return std::ranges::all_of(sinks_, [](const Sink& s) { return s.pending.size() - s.written < kMaxPendingBytes; });
}

bool stderr_is_terminal() {
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && (terminal == nullptr || std::strcmp(terminal, "dumb") != 0);
}

}  // namespace banyan::cli
