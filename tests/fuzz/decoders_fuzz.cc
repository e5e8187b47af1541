// Any bytes into the frame decoder and from there into the decoder of each message. Nothing may be read out of bounds,
// the cuts between pieces may not matter, and what decodes must be written again as it came.
//
// Input: one byte that says how to read the rest.
//   0   the rest is a stream, cut into pieces by its own bytes
//   k   the rest is the body of a frame of the k-th kind
//   then   a long frame: 1 byte (which kind, on which kind of link), 3 (its length), and the rest, repeated until it is
//   so long last   the rest is a request to the store, and an answer of it
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/assert.hh"
#include "wire/collective.hh"
#include "wire/control.hh"
#include "wire/handshake.hh"
#include "wire/join.hh"
#include "wire/point_to_point.hh"
#include "wire/record.hh"
#include "wire/store.hh"
#include "wire/table.hh"

namespace banyan::wire {
namespace {

constexpr std::array kKinds{Kind::hello,       Kind::challenge, Kind::proof,   Kind::reject,        Kind::join,
                            Kind::placement,   Kind::welcome,   Kind::records, Kind::status,        Kind::table_chunk,
                            Kind::acknowledge, Kind::report,    Kind::verdict, Kind::leave,         Kind::collective,
                            Kind::data,        Kind::grant,     Kind::accept,  Kind::undeliverable, Kind::direct};

constexpr std::size_t kPieceBytes = std::size_t{60} * 1024;

Payload bytes_of(const Frame& frame) {
  Writer header;
  header.number(static_cast<std::uint32_t>(frame.body.size()));
  header.number(frame.kind);
  header.number(std::uint8_t{0});
  header.number(std::uint16_t{0});
  header.number(frame.epoch.term);
  header.number(frame.epoch.number);
  header.raw_bytes(std::array<std::byte, 16>{});
  Payload bytes(std::move(header).finish());
  bytes.append(frame.body);
  return bytes;
}

template <typename Message>
void check(const Frame& frame) {
  if (const auto message = decode<Message>(frame.body)) {
    BANYAN_ASSERT(encode(*message, frame.epoch) == bytes_of(frame));
  }
}

template <typename Message>
std::optional<WithTail<Message>> check_with_tail(const Frame& frame) {
  auto decoded = decode_with_tail<Message>(frame.body);
  if (decoded) BANYAN_ASSERT(encode(decoded->message, frame.epoch, decoded->tail) == bytes_of(frame));
  return decoded;
}

void check_collective(const Frame& frame) {
  const auto decoded = check_with_tail<Collective>(frame);
  if (!decoded) return;
  if (decoded->message.call.valid(8)) BANYAN_ASSERT(!decoded->message.call.to_string().empty());
  const Slice tail = decoded->tail.flatten();
  Reader failure(tail.bytes());
  read_failure(failure);
  Reader ranks(tail.bytes());
  read_ranks(ranks);
}

void check(const Frame& frame) {
  switch (frame.kind) {
    case Kind::hello: return check<Hello>(frame);
    case Kind::challenge: return check<Challenge>(frame);
    case Kind::proof: return check<Proof>(frame);
    case Kind::reject: return check<Reject>(frame);
    case Kind::join: return check<Join>(frame);
    case Kind::placement: return check<Placement>(frame);
    case Kind::welcome: return check<Welcome>(frame);
    case Kind::records: return check<Records>(frame);
    case Kind::status: return check<Status>(frame);
    case Kind::table_chunk: return void(check_with_tail<TableChunk>(frame));
    case Kind::acknowledge: return check<Acknowledge>(frame);
    case Kind::report: return check<Report>(frame);
    case Kind::verdict: return check<Verdict>(frame);
    case Kind::leave: return check<Leave>(frame);
    case Kind::collective: return check_collective(frame);
    case Kind::data: return void(check_with_tail<Data>(frame));
    case Kind::grant: return check<Grant>(frame);
    case Kind::accept: return check<Accept>(frame);
    case Kind::undeliverable: return check<Undeliverable>(frame);
    case Kind::direct: return check<Direct>(frame);
  }
  BANYAN_ASSERT(false);
}

// All frames up to the end or the first error, when the stream comes in pieces of `piece(rest)` bytes.
template <typename PieceSize>
std::pair<std::vector<Payload>, bool> frames_of(Bytes stream, PieceSize piece, std::size_t limit = kMaxFrameBytes) {
  FrameDecoder decoder(limit);
  decoder.allow_streams();
  std::vector<Payload> frames;
  while (!stream.empty()) {
    const std::size_t count = std::min<std::size_t>(stream.size(), piece(stream));
    decoder.push(Slice::copy(stream.first(count)));
    stream = stream.subspan(count);
    for (;;) {
      const auto next = decoder.next();
      if (std::holds_alternative<FrameError>(next)) return {std::move(frames), true};
      const auto* frame = std::get_if<Frame>(&next);
      if (frame == nullptr) break;
      check(*frame);
      frames.push_back(bytes_of(*frame));
    }
  }
  return {std::move(frames), false};
}

void check_stream(Bytes stream) {
  const auto whole = frames_of(stream, [](Bytes rest) { return rest.size(); });
  const auto cut = frames_of(stream, [](Bytes rest) { return 1 + std::to_integer<std::size_t>(rest[0]) % 16; });
  BANYAN_ASSERT(whole == cut);
  Payload again;
  for (const Payload& frame : whole.first) again.append(frame);
  BANYAN_ASSERT(again.size() <= stream.size() && again == Payload::copy(stream.first(again.size())));
  peek_hello(stream);
}

// Longer than an input gets by itself: what streams may be, and nothing else.
void check_long_frame(Bytes input) {
  if (input.size() < 5) return;
  const auto number = [&](std::size_t i) { return std::to_integer<std::size_t>(input[i]); };
  const Kind kind = kKinds[number(0) % kKinds.size()];
  const std::size_t size = (number(1) << 16 | number(2) << 8 | number(3)) % (kMaxStreamFrameBytes + 1024);
  const Bytes pattern = input.subspan(4);
  std::string body(size, '\0');
  for (std::size_t at = 0; at < size; at += pattern.size()) {
    std::copy_n(reinterpret_cast<const char*>(pattern.data()), std::min(pattern.size(), size - at), body.begin() + at);
  }
  const Payload frame = bytes_of(Frame{kind, Epoch{1, 2}, Payload(Slice::adopt(std::move(body)))});
  // A tree or local link, or a direct one.
  const std::size_t plain = number(0) / kKinds.size() % 2 == 0 ? kMaxFrameBytes : kMaxDirectFrameBytes;
  const std::size_t limit = carries_streams(kind) ? kMaxStreamFrameBytes : plain;
  const Slice stream = frame.flatten();
  const auto [frames, broken] = frames_of(
      stream.bytes(), [](Bytes rest) { return std::min(rest.size(), kPieceBytes); }, plain);
  BANYAN_ASSERT(broken == (stream.size() > limit));
  BANYAN_ASSERT(broken || (frames.size() == 1 && frames[0] == frame));
}

void check_store(Bytes input) {
  const Payload message = Payload::copy(input);
  if (const auto request = decode<StoreRequest>(message)) BANYAN_ASSERT(request->to_message() == message);
  const auto answer = decode_with_tail<StoreAnswer>(message);
  if (answer && answer->message.carries(answer->tail.size()))
    BANYAN_ASSERT(answer->message.to_message(answer->tail) == message);
}

}  // namespace

void fuzz(Bytes input) {
  if (input.empty()) return;
  const std::size_t selector = std::to_integer<std::size_t>(input[0]) % (kKinds.size() + 3);
  const Bytes rest = input.subspan(1);
  if (selector == 0) return check_stream(rest);
  if (selector == kKinds.size() + 1) return check_long_frame(rest);
  if (selector == kKinds.size() + 2) return check_store(rest);
  check(Frame{kKinds[selector - 1], Epoch{1, 2}, Payload::copy(rest)});
  peek_hello(rest);
}

}  // namespace banyan::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  banyan::wire::fuzz(std::as_bytes(std::span(data, size)));
  return 0;
}
