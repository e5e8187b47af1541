#include "node/collective_stream.hh"

#include <utility>

#include "base/cursor.hh"
#include "node/collective_entries.hh"

namespace banyan::node {

bool is_chunk(const wire::Collective& head, const Payload& tail) {
  return head.offset % kChunkBytes == 0 && head.offset <= head.total &&
         tail.size() == std::min<std::uint64_t>(kChunkBytes, head.total - head.offset);
}

std::uint64_t chunk_count(std::uint64_t total) { return total == 0 ? 1 : (total - 1) / kChunkBytes + 1; }

bool IncomingStream::accept(const wire::Collective& head, const Payload& tail) {
  if (complete() || !is_chunk(head, tail) || head.offset != bytes_.size()) return false;
  if (total_ && *total_ != head.total) return false;
  total_ = head.total;
  bytes_.append(tail);
  return true;
}

Payload join_parts(const std::vector<Payload>& parts) {
  Payload stream;
  Writer small(parts.size() * kPartLengthBytes);
  for (const Payload& part : parts) small.number(std::uint64_t{part.size()});
  for (const Payload& part : parts) {
    if (part.size() < kCopyBelowBytes) {
      for (std::size_t i = 0; i < part.slice_count(); ++i) small.raw_bytes(part.slice(i).bytes());
      continue;
    }
    stream.append(std::exchange(small, Writer()).finish());
    stream.append(part);
  }
  stream.append(std::move(small).finish());
  return stream;
}

std::optional<std::vector<Payload>> split_parts(const Payload& stream, std::uint32_t world_size) {
  const std::size_t lengths_bytes = world_size * kPartLengthBytes;
  if (stream.size() < lengths_bytes) return std::nullopt;
  PayloadCursor cursor(stream);
  const Payload lengths = cursor.take(lengths_bytes);
  const Slice flat = lengths.flatten();
  Reader reader(flat.bytes());
  std::vector<Payload> parts;
  parts.reserve(world_size);
  for (std::uint32_t i = 0; i < world_size; ++i) {
    const auto length = reader.number<std::uint64_t>();
    if (length > cursor.remaining()) return std::nullopt;
    parts.push_back(cursor.take(length));
  }
  return cursor.remaining() == 0 ? std::optional(std::move(parts)) : std::nullopt;
}

}  // namespace banyan::node
