#include "wire/frame.hh"

#include <algorithm>

namespace banyan::wire {

const char* to_string(Kind kind) {
  switch (kind) {
    case Kind::hello: return "hello";
    case Kind::challenge: return "challenge";
    case Kind::proof: return "proof";
    case Kind::reject: return "reject";
    case Kind::join: return "join";
    case Kind::placement: return "placement";
    case Kind::welcome: return "welcome";
    case Kind::records: return "records";
    case Kind::status: return "status";
    case Kind::table_chunk: return "table_chunk";
    case Kind::acknowledge: return "acknowledge";
    case Kind::report: return "report";
    case Kind::verdict: return "verdict";
    case Kind::leave: return "leave";
    case Kind::collective: return "collective";
    case Kind::data: return "data";
    case Kind::grant: return "grant";
    case Kind::accept: return "accept";
    case Kind::undeliverable: return "undeliverable";
    case Kind::direct: return "direct";
  }
  return nullptr;
}

const char* to_string(FrameError error) {
  switch (error) {
    case FrameError::too_long: return "a frame is longer than allowed";
    case FrameError::reserved_bits_set: return "reserved bits of a frame are set";
    case FrameError::unknown_kind: return "a frame has an unknown kind";
    case FrameError::nothing_enclosed: return "what a frame should enclose has not come";
  }
  return "unknown";
}

namespace {

// A slice costs its own bytes and keeps the whole block alive that it was received into. The bytes of a frame mostly
// lie in one block or two, those of the longest in four or five.
constexpr std::size_t kMostSlices = 8;

// Where there are more, those at the end are joined, behind slices that are longer than all that follow them: so a byte
// is copied a few times, however long the frame and small the pieces.
Payload in_few_slices(Payload bytes) {
  if (bytes.slice_count() <= kMostSlices) return bytes;
  std::size_t kept = 0;
  for (std::size_t i = 0; i + 1 < kMostSlices; ++i) {
    const std::size_t with_this = kept + bytes.slice(i).size();
    if (bytes.slice(i).size() <= bytes.size() - with_this) break;
    kept = with_this;
  }
  Payload few = bytes.part(0, kept);
  few.append(bytes.part(kept, bytes.size() - kept).flatten());
  return few;
}

}  // namespace

std::variant<std::monostate, Frame, FrameError> FrameDecoder::next() {
  auto result = cut_next();
  if (std::holds_alternative<std::monostate>(result)) pending_ = in_few_slices(std::move(pending_));
  return result;
}

std::variant<std::monostate, Frame, FrameError> FrameDecoder::cut_next() {
  if (pending_.size() < kFrameHeaderBytes) return std::monostate{};
  const Slice header = pending_.part(0, kFrameHeaderBytes).flatten();
  Reader reader(header.bytes());
  const auto length = reader.number<std::uint32_t>();
  Frame frame;
  frame.kind = reader.number<Kind>();
  const auto flags = reader.number<std::uint8_t>();
  const auto reserved = reader.number<std::uint16_t>();
  frame.epoch.term = reader.number<std::uint32_t>();
  frame.epoch.number = reader.number<std::uint32_t>();
  const auto tag = reader.array<16>();
  if (kFrameHeaderBytes + length > limit_of(frame.kind)) return FrameError::too_long;
  if ((flags & ~kEnclosesFlag) != 0 || reserved != 0 || tag != decltype(tag){}) return FrameError::reserved_bits_set;
  if (to_string(frame.kind) == nullptr) return FrameError::unknown_kind;
  frame.encloses = flags == kEnclosesFlag;
  if (frame.encloses && !carries_streams(frame.kind)) return FrameError::reserved_bits_set;
  if (pending_.size() < kFrameHeaderBytes + length) return std::monostate{};
  if (frame.encloses && enclosures_.empty()) return FrameError::nothing_enclosed;
  frame.body = in_few_slices(pending_.part(kFrameHeaderBytes, length));
  if (frame.encloses) {
    frame.body.append(enclosures_.front());
    enclosures_.erase(enclosures_.begin());
  }
  const std::size_t used = kFrameHeaderBytes + length;
  pending_ = pending_.part(used, pending_.size() - used);
  return frame;
}

}  // namespace banyan::wire
