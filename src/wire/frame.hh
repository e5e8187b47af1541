// Frames: how messages stand on a link (docs/protocol.md, "Frames").
//
//   offset bytes
//   0      4     body length, header not counted
//   4      1     kind of the message in the body
//   5      1     flags: 1 the frame has an enclosure; the others zero
//   6      2     reserved, zero
//   8      4     epoch: term
//   12     4     epoch: number
//   16     16    tag: room for record protection, zero in this version
//   32     ...   body
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "base/bytes.hh"
#include "base/cursor.hh"
#include "base/ids.hh"
#include "base/limits.hh"

namespace banyan::wire {

inline constexpr std::size_t kFrameHeaderBytes = 32;

// The values are the wire's: append only.
enum class Kind : std::uint8_t {
  hello = 1,
  challenge = 2,
  proof = 3,
  reject = 4,
  join = 10,
  placement = 11,
  welcome = 12,
  records = 13,
  status = 14,
  table_chunk = 15,
  acknowledge = 16,
  report = 20,
  verdict = 21,
  leave = 22,
  collective = 30,
  data = 40,
  grant = 41,
  accept = 42,
  undeliverable = 43,
  direct = 44,
};

const char* to_string(Kind kind);

inline constexpr std::uint8_t kEnclosesFlag = 1;

// Those that carry streams for many ranks: their frames may be longer, and enclose.
constexpr bool carries_streams(Kind kind) { return kind == Kind::table_chunk || kind == Kind::collective; }

// The tail of a frame that travels beside the stream, in memory that two processes of one host share; as one object,
// so that a driver sees that several links are given the same. Null: none.
using Enclosure = std::shared_ptr<const Payload>;

struct Frame {
  Kind kind{};
  Epoch epoch;
  Payload body;  // with what is enclosed at its end
  bool encloses = false;
};

// The frame of a message: its fixed part, then `tail` (shared, not copied). Message has kKind and write(Writer&).
// With kEnclosesFlag the tail is not a part of it.
template <typename Message>
Payload encode(const Message& message, Epoch epoch, const Payload& tail = {}, std::uint8_t flags = 0) {
  Writer writer(128);
  writer.number(std::uint32_t{0});
  writer.number(Message::kKind);
  writer.number(flags);
  writer.number(std::uint16_t{0});
  writer.number(epoch.term);
  writer.number(epoch.number);
  writer.raw_bytes(std::array<std::byte, 16>{});
  message.write(writer);
  writer.patch(0, static_cast<std::uint32_t>(writer.size() - kFrameHeaderBytes + tail.size()));
  Payload frame(std::move(writer).finish());
  frame.append(tail);
  return frame;
}

// The same without a frame, for messages that travel inside of others: what kind it is, then as above.
template <typename Message>
Payload encode_unframed(const Message& message, const Payload& tail = {}) {
  Writer writer(128);
  writer.number(Message::kKind);
  message.write(writer);
  Payload bytes(std::move(writer).finish());
  bytes.append(tail);
  return bytes;
}

// Reads a message that must fill the whole body.
template <typename Message>
std::optional<Message> decode(const Payload& body) {
  const Slice bytes = body.flatten();
  Reader reader(bytes.bytes());
  Message message;
  message.read(reader);
  if (!reader.finished()) return std::nullopt;
  return message;
}

// A message of fixed size in front of payload bytes; these stay shared.
template <typename Message>
struct WithTail {
  Message message;
  Payload tail;
};

template <typename Message>
std::optional<WithTail<Message>> decode_with_tail(const Payload& body) {
  if (body.size() < Message::kBytes) return std::nullopt;
  const Slice head = body.part(0, Message::kBytes).flatten();
  Reader reader(head.bytes());
  WithTail<Message> result;
  result.message.read(reader);
  if (!reader.finished()) return std::nullopt;
  result.tail = body.part(Message::kBytes, body.size() - Message::kBytes);
  return result;
}

enum class FrameError : std::uint8_t { too_long, reserved_bits_set, unknown_kind, nothing_enclosed };
const char* to_string(FrameError error);

// Cuts a byte stream into frames. Holds at most one incomplete frame of bounded length. However small the pieces that a
// stream comes in, a frame's body and what is held of an incomplete one are at most 8 slices: more are copied into one.
class FrameDecoder {
 public:
  // The limit of the whole frame; raised once the peer is authenticated.
  explicit FrameDecoder(std::size_t limit) : limit_(limit), stream_limit_(limit) {}
  void set_limit(std::size_t limit) { limit_ = stream_limit_ = limit; }
  // From a peer that streams may come from: kMaxStreamFrameBytes for the kinds that carry them.
  void allow_streams() { stream_limit_ = kMaxStreamFrameBytes; }

  void push(Slice bytes) { pending_.append(std::move(bytes)); }
  // For the next frame that has an enclosure and none yet.
  void enclose(Payload bytes) { enclosures_.push_back(std::move(bytes)); }
  std::size_t enclosures() const { return enclosures_.size(); }
  // The next whole frame; none: more bytes are needed; an error: the stream can't be used any more.
  std::variant<std::monostate, Frame, FrameError> next();
  std::size_t buffered() const { return pending_.size(); }
  std::size_t buffered_slices() const { return pending_.slice_count(); }

 private:
  std::variant<std::monostate, Frame, FrameError> cut_next();
  std::size_t limit_of(Kind kind) const { return carries_streams(kind) ? stream_limit_ : limit_; }

  Payload pending_;
  std::vector<Payload> enclosures_;  // few, and none on most links: an empty deque would cost each an allocation
  std::size_t limit_;
  std::size_t stream_limit_;
};

}  // namespace banyan::wire
