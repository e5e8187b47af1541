// One connection: a coroutine that reads while the engine wants to, a queue that is written at once as far as the
// kernel takes it, and another coroutine that writes the rest. Belongs to the driving thread.
//
// Life: open, until the engine closes it or the peer does; then closing, while what is queued leaves; then closed. The
// coroutines keep the object alive, the runner only knows it while it is open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hh"
#include "base/ids.hh"
#include "driver/sockets/alarms.hh"
#include "driver/sockets/descriptor.hh"
#include "driver/sockets/receive_buffer.hh"
#include "driver/sockets/shared_memory.hh"
#include "driver/sockets/socket.hh"

namespace banyan::driver {

class EngineRunner;
struct Process;

class Link final : public std::enable_shared_from_this<Link>, private Alarm {
 public:
  enum class Transport : std::uint8_t { tcp, local };

  Link(Process& process, EngineRunner& runner, LinkId id, Transport transport, Descriptor descriptor);
  ~Link();

  LinkId id() const { return id_; }
  bool heard() const { return heard_; }  // the other side has sent something
  // Once, after construction.
  void begin() { start_reading(); }
  void pause_reading() { paused_ = true; }
  void resume_reading();

  // `enclosure`: null, or what goes beside the first of the bytes (local links only).
  void enqueue(const Payload& bytes, const wire::Enclosure& enclosure = nullptr);
  // Writes what the kernel takes. True when the number of queued bytes has fallen.
  bool flush();
  std::size_t queued() const { return queued_; }

  // The runner forgets the link: what is queued still leaves, for at most kCloseLinger. Then it waits for the other
  // side's end, for as long, unless Doorstep needs the room.
  void close();
  // The same without the queue.
  void abandon();
  // At once, whatever it waits for.
  void shut();

 private:
  enum class Read : std::uint8_t { more, drained, ended };
  struct Piece {
    Slice bytes;
    wire::Enclosure enclosure{};  // goes with the first of the bytes, as this file; none yet: no descriptor was left
    std::shared_ptr<const MemoryFile> file{};
  };

  Task read_loop(std::shared_ptr<Link> self);
  Task write_loop(std::shared_ptr<Link> self);
  void start_reading();
  Read read_once();
  ssize_t receive(std::span<std::byte> room, std::vector<Socket>& files);
  void read_enclosures(std::vector<Socket> files);
  Read discard_once();
  bool write_some();
  bool make_file(Piece& piece);
  void consume(std::size_t count);
  void write_failed(int error);
  void peer_closed(const std::string& reason);
  void finish_writing();
  void on_alarm(Time now) override;

  Process& process_;
  EngineRunner* runner_;  // none: closing
  const LinkId id_;
  const Transport transport_;
  Descriptor descriptor_;

  bool heard_ = false;
  bool reading_ = false;  // the read loop runs
  bool paused_ = false;
  bool peer_ended_ = false;
  ReadSize read_size_;
  ReceiveBlock block_;

  bool writing_ = false;                                 // the write loop runs
  bool crowded_ = false;                                 // for want of descriptors an enclosure waits a moment
  bool unwritten_ = false;                               // closing, and counted in Process::unwritten_links
  std::optional<std::list<Link*>::iterator> lingering_;  // its place in Process::lingering
  std::string write_error_;
  std::vector<Piece> queue_;  // from head_ on
  std::size_t head_ = 0;
  std::size_t head_written_ = 0;  // bytes of queue_[head_]
  std::size_t queued_ = 0;
};

}  // namespace banyan::driver
