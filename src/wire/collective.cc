#include "wire/collective.hh"

#include <algorithm>
#include <functional>

#include "base/digest.hh"

namespace banyan::wire {

std::size_t element_bytes(ElementType type) {
  switch (type) {
    case ElementType::none: return 0;
    case ElementType::int8:
    case ElementType::uint8: return 1;
    case ElementType::int16:
    case ElementType::uint16: return 2;
    case ElementType::int32:
    case ElementType::uint32:
    case ElementType::float32: return 4;
    case ElementType::int64:
    case ElementType::uint64:
    case ElementType::float64: return 8;
  }
  return 0;
}

const char* to_string(CollectiveKind kind) {
  switch (kind) {
    case CollectiveKind::barrier: return "barrier";
    case CollectiveKind::broadcast: return "broadcast";
    case CollectiveKind::allgather: return "allgather";
    case CollectiveKind::gather: return "gather";
    case CollectiveKind::scatter: return "scatter";
    case CollectiveKind::reduce: return "reduce";
    case CollectiveKind::allreduce: return "allreduce";
    case CollectiveKind::split: return "split";
    case CollectiveKind::alltoall: return "alltoall";
    case CollectiveKind::reduce_scatter: return "reduce_scatter";
    case CollectiveKind::scan: return "scan";
    case CollectiveKind::exclusive_scan: return "exclusive_scan";
  }
  return "unknown";
}

bool is_reduction(CollectiveKind kind) {
  using enum CollectiveKind;
  return kind == reduce || kind == allreduce || kind == reduce_scatter || kind == scan || kind == exclusive_scan;
}

const char* to_string(Reduction reduction) {
  switch (reduction) {
    case Reduction::none: return "none";
    case Reduction::sum: return "sum";
    case Reduction::min: return "min";
    case Reduction::max: return "max";
    case Reduction::product: return "product";
    case Reduction::bit_and: return "bit_and";
    case Reduction::bit_or: return "bit_or";
    case Reduction::bit_xor: return "bit_xor";
  }
  return "unknown";
}

const char* to_string(ElementType type) {
  switch (type) {
    case ElementType::none: return "none";
    case ElementType::int8: return "int8";
    case ElementType::uint8: return "uint8";
    case ElementType::int16: return "int16";
    case ElementType::uint16: return "uint16";
    case ElementType::int32: return "int32";
    case ElementType::uint32: return "uint32";
    case ElementType::int64: return "int64";
    case ElementType::uint64: return "uint64";
    case ElementType::float32: return "float32";
    case ElementType::float64: return "float64";
  }
  return "unknown";
}

bool CallSignature::valid(std::uint32_t world_size) const {
  using enum CollectiveKind;
  if (kind < barrier || kind > split || reduction > Reduction::bit_xor || element > ElementType::float64) return false;
  const bool rooted = kind == broadcast || kind == gather || kind == scatter || kind == reduce;
  if (rooted ? raw(root) >= world_size : root != kNoRank) return false;
  if (kind != reduce_scatter && blocks != 0) return false;
  if (!is_reduction(kind)) return reduction == Reduction::none && element == ElementType::none && count == 0;
  const bool bitwise = reduction >= Reduction::bit_and;
  const bool floating = element == ElementType::float32 || element == ElementType::float64;
  return reduction != Reduction::none && element != ElementType::none && !(bitwise && floating) &&
         count <= kMaxMessageBytes / element_bytes(element);
}

std::string CallSignature::to_string() const {
  std::string text = wire::to_string(kind);
  text += "(";
  if (is_reduction(kind)) {
    text += std::string(wire::to_string(reduction)) + ", " + wire::to_string(element) + " x " + std::to_string(count);
    if (kind == CollectiveKind::reduce) text += ", ";
    if (blocks != 0) text += ", blocks by counts with the digest " + std::to_string(blocks);
  }
  if (root != kNoRank) text += "root " + std::to_string(raw(root));
  return text + ")";
}

std::uint32_t blocks_of(const std::vector<std::uint64_t>& counts) {
  if (std::ranges::adjacent_find(counts, std::ranges::not_equal_to()) == counts.end()) return 0;
  Writer writer;
  for (const std::uint64_t count : counts) writer.number(count);
  const auto low_bits = static_cast<std::uint32_t>(short_digest_of(Payload(std::move(writer).finish())));
  return std::max(low_bits, std::uint32_t{1});
}

void Collective::write(Writer& writer) const {
  writer.number(part);
  writer.number(static_cast<std::uint8_t>(deferred ? 1 : 0));
  writer.number(call.kind);
  writer.number(call.reduction);
  writer.number(call.element);
  writer.number(std::uint8_t{0});
  writer.number(std::uint16_t{0});
  writer.number(communicator);
  writer.number(sequence);
  writer.number(call.root);
  writer.number(caller);
  writer.number(call.count);
  writer.number(about);
  writer.number(call.blocks);
  writer.number(offset);
  writer.number(total);
}

void Collective::read(Reader& reader) {
  part = reader.number<Part>();
  const auto flag = reader.number<std::uint8_t>();
  call.kind = reader.number<CollectiveKind>();
  call.reduction = reader.number<Reduction>();
  call.element = reader.number<ElementType>();
  const bool zero = reader.number<std::uint8_t>() == 0 && reader.number<std::uint16_t>() == 0;
  communicator = reader.number<CommunicatorId>();
  sequence = reader.number<Sequence>();
  call.root = reader.number<Rank>();
  caller = reader.number<Rank>();
  call.count = reader.number<std::uint64_t>();
  about = reader.number<Rank>();
  call.blocks = reader.number<std::uint32_t>();
  offset = reader.number<std::uint64_t>();
  total = reader.number<std::uint64_t>();
  deferred = flag == 1;
  if (part < Part::vote || part > Part::missing || flag > 1 || !zero) reader.fail();
  if (call.blocks != 0 && call.kind != CollectiveKind::reduce_scatter) reader.fail();
  if (total > kMaxMessageBytes || offset > total) reader.fail();
}

void CollectiveEntry::write(Writer& writer) const {
  writer.number(rank);
  writer.number(bytes);
  writer.number(offset);
  writer.number(total);
}

void CollectiveEntry::read(Reader& reader) {
  rank = reader.number<Rank>();
  bytes = reader.number<std::uint32_t>();
  offset = reader.number<std::uint64_t>();
  total = reader.number<std::uint64_t>();
  if (total > kMaxMessageBytes || offset > total || bytes > total - offset)
    reader.fail();
  else if (bytes < total - offset ? bytes < kShortestPieceBytes : bytes == 0 && total > 0)
    reader.fail();
}

}  // namespace banyan::wire
