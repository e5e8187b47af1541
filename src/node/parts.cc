#include "node/parts.hh"

#include <array>
#include <utility>

#include "base/assert.hh"
#include "base/cursor.hh"
#include "node/collective_entries.hh"
#include "node/payload_cursor.hh"

namespace banyan::node {

Parts Parts::join(const std::vector<Payload>& parts) {
  Payload stream;
  Writer small(parts.size() * kEndBytes);
  std::uint64_t end = 0;
  for (const Payload& part : parts) small.number(end += part.size());
  for (const Payload& part : parts) {
    if (part.size() < kCopyBelowBytes) {
      for (std::size_t i = 0; i < part.slice_count(); ++i) small.raw_bytes(part.slice(i).bytes());
      continue;
    }
    stream.append(std::exchange(small, Writer()).finish());
    stream.append(part);
  }
  stream.append(std::move(small).finish());
  return Parts(std::move(stream), parts.size());
}

std::optional<Parts> Parts::from_stream(Payload stream, std::uint32_t count) {
  const std::uint64_t ends = std::uint64_t{count} * kEndBytes;
  if (count == 0 || stream.size() < ends) return std::nullopt;
  Parts parts(std::move(stream), count);
  return parts.end_of(count - 1) == parts.stream_.size() - ends ? std::optional(std::move(parts)) : std::nullopt;
}

std::uint64_t Parts::end_of(std::size_t i) const {
  std::array<std::byte, kEndBytes> bytes;
  stream_.part(i * kEndBytes, kEndBytes).copy_to(bytes.data());
  Reader reader(bytes);
  return reader.number<std::uint64_t>();
}

Payload Parts::operator[](std::size_t i) const {
  BANYAN_ASSERT(i < count_);
  const std::size_t ends = count_ * kEndBytes;
  const std::uint64_t begin = i == 0 ? 0 : end_of(i - 1);
  const std::uint64_t end = end_of(i);
  return begin <= end && end <= stream_.size() - ends ? stream_.part(ends + begin, end - begin) : Payload();
}

std::optional<std::vector<Payload>> Parts::split() const {
  PayloadCursor ends(stream_);
  PayloadCursor bytes(stream_);
  bytes.skip(count_ * kEndBytes);
  std::vector<Payload> parts;
  parts.reserve(count_);
  std::uint64_t begin = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    std::array<std::byte, kEndBytes> number;
    ends.read(number.data(), number.size());
    const auto end = Reader(number).number<std::uint64_t>();
    if (end < begin || end - begin > bytes.remaining()) return std::nullopt;
    parts.push_back(bytes.take(end - begin));
    begin = end;
  }
  return parts;
}

}  // namespace banyan::node
