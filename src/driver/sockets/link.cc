#include "driver/sockets/link.hh"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "driver/sockets/clock.hh"
#include "driver/sockets/engine_runner.hh"
#include "driver/sockets/process.hh"

namespace banyan::driver {
namespace {

// So many reads in a row on one link, then the others have their turn.
constexpr int kReadsPerTurn = 16;
// Slices in one write: enough for a whole drain, small enough for the stack.
constexpr std::size_t kSlicesPerWrite = 64;
// Files on their way count against the user's limit of descriptors until somebody takes them in.
constexpr std::chrono::milliseconds kCrowdedPause{1};
// Consumed slices are dropped from the front of the queue when there are this many.
constexpr std::size_t kCompactAfter = 256;

// Its descriptors are closed on return: whoever hears of the bytes, or of the link's end, finds none open.
std::variant<Payload, std::string> map_single(std::vector<Socket> passed) {
  const std::vector<Socket> files = std::move(passed);
  if (files.size() != 1) return "it passed too many files";
  if (!files[0]) return "memory that it shares can't be taken over: " + error_text(EMFILE);
  return map_memory_file(files[0].get());
}

}  // namespace

Link::Link(Process& process, EngineRunner& runner, LinkId id, Transport transport, Descriptor descriptor)
    : process_(process), runner_(&runner), id_(id), transport_(transport), descriptor_(std::move(descriptor)) {}

Link::~Link() { process_.reactor.clear_alarm(*this); }

// --- reading ---

void Link::start_reading() {
  if (reading_) return;
  reading_ = true;
  spawn(process_.reactor, read_loop(shared_from_this()));
}

void Link::resume_reading() {
  paused_ = false;
  start_reading();
}

Task Link::read_loop([[maybe_unused]] std::shared_ptr<Link> self) {
  for (;;) {
    const bool open = co_await descriptor_.readable();
    Read result = Read::more;
    for (int i = 0; i < kReadsPerTurn && result == Read::more; ++i) {
      if (!open || !descriptor_.is_open() || (paused_ && runner_ != nullptr)) {
        reading_ = false;
        co_return;
      }
      result = runner_ != nullptr ? read_once() : discard_once();
    }
    if (result == Read::ended) {
      reading_ = false;
      co_return;
    }
  }
}

Link::Read Link::read_once() {
  ReceiveBlock& block = read_size_.own_block() ? block_ : process_.shared_block;
  const std::span<std::byte> room = read_size_.own_block() ? block.room(read_size_.bytes(), read_size_.bytes())
                                                           : block.room(read_size_.bytes(), kSharedBlockBytes);
  std::vector<Socket> files;
  const ssize_t received =
      transport_ == Transport::local ? receive(room, files) : ::recv(descriptor_.get(), room.data(), room.size(), 0);
  if (received > 0) {
    if (!files.empty()) read_enclosures(std::move(files));
    if (runner_ == nullptr) return Read::drained;
    const auto count = static_cast<std::size_t>(received);
    Slice bytes = block.take(count);
    read_size_.adapt(count);
    if (!read_size_.own_block()) block_.release();
    heard_ = true;
    runner_->feed(engine::input::BytesReceived{id_, std::move(bytes)});
    // A short read has emptied the socket: waiting is cheaper than asking again.
    return count == room.size() ? Read::more : Read::drained;
  }
  if (received < 0 && errno == EINTR) return Read::more;
  if (received < 0 && errno == EAGAIN) return Read::drained;
  peer_closed(received == 0 ? "the other side closed the connection" : error_text(errno));
  return Read::ended;
}

// With the memory files that were passed with the bytes. Of these a read yields at most one piece with one file.
ssize_t Link::receive(std::span<std::byte> room, std::vector<Socket>& files) {
  iovec part{room.data(), room.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t received = ::recvmsg(descriptor_.get(), &message, MSG_CMSG_CLOEXEC);
  if (received < 0) return received;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = CMSG_LEN(0); at + sizeof(int) <= header->cmsg_len; at += sizeof(int)) {
      int file = -1;
      std::memcpy(&file, reinterpret_cast<const std::byte*>(header) + at, sizeof(file));
      files.emplace_back(file);
    }
  }
  // There were more: too many, or this process has no descriptors left. What they belonged to would be missed.
  if ((message.msg_flags & MSG_CTRUNC) != 0) files.emplace_back();
  return received;
}

void Link::read_enclosures(std::vector<Socket> files) {
  const std::shared_ptr<Link> self = shared_from_this();
  auto mapped = map_single(std::move(files));
  if (auto* bytes = std::get_if<Payload>(&mapped)) {
    runner_->feed(engine::input::Enclosed{id_, std::move(*bytes)});
  } else {
    peer_closed(std::get<std::string>(mapped));
  }
}

// The engine has done with the link, but the kernel would answer bytes that nobody reads with a reset, which can
// overtake what we sent last.
Link::Read Link::discard_once() {
  std::array<std::byte, 4096> scratch;
  const ssize_t received = ::recv(descriptor_.get(), scratch.data(), scratch.size(), 0);
  if (received > 0 || (received < 0 && errno == EINTR)) return Read::more;
  if (received < 0 && errno == EAGAIN) return Read::drained;
  peer_ended_ = true;
  if (queue_.empty() || received < 0) shut();
  return Read::ended;
}

void Link::peer_closed(const std::string& reason) {
  EngineRunner* runner = runner_;
  const std::string why = write_error_.empty() ? reason : write_error_;
  peer_ended_ = true;
  // Before the engine hears of it, so that nothing it does meanwhile reaches this object through the runner.
  close();
  runner->link_closed(id_, why);
}

// --- writing ---

void Link::enqueue(const Payload& bytes, const wire::Enclosure& enclosure) {
  if (!write_error_.empty()) return;
  const std::size_t first = queue_.size();
  for (std::size_t i = 0; i < bytes.slice_count(); ++i) queue_.push_back({bytes.slice(i)});
  queued_ += bytes.size();
  if (!enclosure) return;
  queue_[first].enclosure = enclosure;
  make_file(queue_[first]);
}

// False: not now, or never.
bool Link::make_file(Piece& piece) {
  auto file = process_.memory_files.of(piece.enclosure);
  if (auto* made = std::get_if<std::shared_ptr<const MemoryFile>>(&file)) {
    piece.file = std::move(*made);
    return true;
  }
  const int error = std::get<int>(file);
  crowded_ = error == EMFILE || error == ENFILE;
  if (!crowded_) write_failed(error);
  return false;
}

bool Link::flush() {
  if (writing_ || queue_.empty()) return false;
  const bool fallen = write_some();
  if (!queue_.empty()) {
    writing_ = true;
    spawn(process_.reactor, write_loop(shared_from_this()));
  }
  return fallen;
}

Task Link::write_loop([[maybe_unused]] std::shared_ptr<Link> self) {
  while (!queue_.empty()) {
    if (std::exchange(crowded_, false)) {
      Pause pause(process_.reactor);
      co_await pause.until(after(now(), kCrowdedPause));
    } else {
      co_await descriptor_.writable();
    }
    if (!descriptor_.is_open()) co_return;
    // The engine may hand over more while it hears of it; that makes the loop go round again.
    if (write_some() && runner_ != nullptr) runner_->feed(engine::input::Drained{id_, queued_});
  }
  writing_ = false;
  if (runner_ == nullptr) finish_writing();
}

bool Link::write_some() {
  const std::size_t before = queued_;
  while (head_ < queue_.size()) {
    if (queue_[head_].enclosure && !queue_[head_].file && !make_file(queue_[head_])) break;
    std::array<iovec, kSlicesPerWrite> parts;
    std::size_t count = 0;
    std::size_t offered = 0;
    for (std::size_t i = head_; i < queue_.size() && count < parts.size(); ++i, ++count) {
      if (i > head_ && queue_[i].enclosure) break;  // it goes with the first byte of a write
      const std::size_t skip = i == head_ ? head_written_ : 0;
      // sendmsg only reads; iovec serves both directions.
      parts[count].iov_base = const_cast<std::byte*>(queue_[i].bytes.data()) + skip;
      parts[count].iov_len = queue_[i].bytes.size() - skip;
      offered += parts[count].iov_len;
    }
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
    if (const auto& file = queue_[head_].file) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int));
      const int passed = file->descriptor();
      std::memcpy(CMSG_DATA(header), &passed, sizeof(passed));
    }
    const ssize_t written = ::sendmsg(descriptor_.get(), &message, MSG_NOSIGNAL);
    if (written < 0) {
      if (errno == EINTR) continue;
      crowded_ = errno == ETOOMANYREFS;
      if (errno != EAGAIN && !crowded_) write_failed(errno);
      break;
    }
    queue_[head_].file.reset();
    queue_[head_].enclosure.reset();
    consume(static_cast<std::size_t>(written));
    if (static_cast<std::size_t>(written) < offered) break;
  }
  return queued_ < before;
}

void Link::consume(std::size_t count) {
  queued_ -= count;
  while (count > 0) {
    const std::size_t left = queue_[head_].bytes.size() - head_written_;
    if (count < left) {
      head_written_ += count;
      break;
    }
    count -= left;
    queue_[head_++] = {};
    head_written_ = 0;
  }
  if (head_ == queue_.size()) {
    queue_.clear();
    head_ = 0;
  } else if (head_ >= kCompactAfter) {
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
}

// The peer takes no more. What it said before may still wait to be read (why it left, perhaps), so that the end is
// reported when reading comes to it; a peer that keeps it from doing so has kCloseLinger.
void Link::write_failed(int error) {
  write_error_ = error_text(error);
  queue_.clear();
  head_ = head_written_ = queued_ = 0;
  if (runner_ == nullptr) return;
  process_.reactor.set_alarm(*this, after(now(), kCloseLinger));
  resume_reading();
}

// --- the end ---

void Link::close() {
  runner_ = nullptr;
  block_.release();
  flush();
  if (queue_.empty() && !writing_) {
    finish_writing();
  } else {
    unwritten_ = true;
    ++process_.unwritten_links;
    process_.reactor.set_alarm(*this, after(now(), kCloseLinger));
  }
}

void Link::abandon() {
  runner_ = nullptr;
  shut();
}

void Link::finish_writing() {
  if (std::exchange(unwritten_, false)) --process_.unwritten_links;
  // A Unix socket hands over what was written whatever becomes of it. TCP wants to see the peer's end first, see
  // discard_once.
  if (transport_ == Transport::local || peer_ended_ || !write_error_.empty() ||
      ::shutdown(descriptor_.get(), SHUT_WR) != 0) {
    shut();
    return;
  }
  process_.doorstep.make_room_for_one();
  lingering_ = process_.lingering.insert(process_.lingering.end(), this);
  process_.reactor.set_alarm(*this, after(now(), kCloseLinger));
  Read result = Read::more;
  for (int i = 0; i < kReadsPerTurn && result == Read::more; ++i) result = discard_once();
  if (result != Read::ended) start_reading();
}

void Link::shut() {
  if (!descriptor_.is_open()) return;
  if (unwritten_) --process_.unwritten_links;
  if (lingering_) process_.lingering.erase(*std::exchange(lingering_, std::nullopt));
  process_.reactor.clear_alarm(*this);
  queue_.clear();
  descriptor_.close();
}

void Link::on_alarm(Time) {
  if (runner_ == nullptr) {
    shut();
  } else {
    const std::shared_ptr<Link> self = shared_from_this();
    peer_closed(write_error_);
  }
}

}  // namespace banyan::driver
