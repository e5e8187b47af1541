#include "cli/rank_output.hh"

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "cli/error.hh"

namespace banyan::cli {
namespace {

// What a pipe holds, so that one read empties it.
constexpr std::size_t kReadBytes = 64 * 1024;
// Pipes read between two looks at signals and at the console's room.
constexpr int kReadsPerTurn = 16;

}  // namespace

RankOutput::RankOutput(Console& console, std::uint32_t world_size)
    : console_(console),
      rank_digits_(std::to_string(world_size - 1).size()),
      ready_event_(::epoll_create1(EPOLL_CLOEXEC)),
      buffer_(kReadBytes) {
  if (!ready_event_) throw system_error("watch the ranks' output");
}

Descriptor RankOutput::add(Rank rank, Stream stream) {
  Pipe pipe = make_pipe();
  if (closed_[static_cast<std::size_t>(stream)]) return std::move(pipe.write_end);
  set_nonblocking(pipe.read_end);
  const int number = pipe.read_end.get();
  sources_.push_back(
      {std::move(pipe.read_end), stream, LinePrefixer(fmt::format("[{:>{}}] ", raw(rank), rank_digits_))});
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = &sources_.back();
  if (::epoll_ctl(ready_event_.get(), EPOLL_CTL_ADD, number, &event) != 0) {
    const Error error = system_error("watch a rank's output");
    sources_.pop_back();
    throw error;
  }
  ++open_;
  return std::move(pipe.write_end);
}

bool RankOutput::read_ready() {
  std::array<epoll_event, kReadsPerTurn> events;
  const int ready = ::epoll_wait(ready_event_.get(), events.data(), kReadsPerTurn, 0);
  for (int i = 0; i < ready; ++i) read(*static_cast<Source*>(events[static_cast<std::size_t>(i)].data.ptr));
  return ready > 0;
}

void RankOutput::read(Source& source) {
  const ssize_t size = ::read(source.read_end.get(), buffer_.data(), buffer_.size());
  if (size > 0) {
    text_.clear();
    source.lines.feed({buffer_.data(), static_cast<std::size_t>(size)}, text_);
    if (!text_.empty()) console_.write(source.stream, text_);
  } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
    end(source);
  }
}

void RankOutput::end(Source& source) {
  text_.clear();
  source.lines.finish(text_);
  if (!text_.empty()) console_.write(source.stream, text_);
  // Closing alone would not do: a rank that is just being started has a copy of this end until its exec is complete,
  // and the set would go on reporting it.
  ::epoll_ctl(ready_event_.get(), EPOLL_CTL_DEL, source.read_end.get(), nullptr);
  source.read_end.reset();
  --open_;
}

void RankOutput::close(Stream stream) {
  if (std::exchange(closed_[static_cast<std::size_t>(stream)], true)) return;
  for (Source& source : sources_) {
    if (source.stream == stream && source.read_end) end(source);
  }
}

void RankOutput::close_all() {
  close(Stream::out);
  close(Stream::err);
}

}  // namespace banyan::cli
