#include "node/collective_stream.hh"

namespace banyan::node {

bool is_whole(const wire::Collective& head, const Payload& tail) {
  return head.offset == 0 && tail.size() == head.total;
}

std::size_t chunk_bytes(const wire::Collective& head) {
  return head.call.reduction != wire::Reduction::none ? kChunkBytes : stream_chunk_bytes(head.total);
}

bool is_chunk(const wire::Collective& head, const Payload& tail) {
  const std::size_t bytes = chunk_bytes(head);
  return head.offset % bytes == 0 && head.offset <= head.total &&
         tail.size() == std::min<std::uint64_t>(bytes, head.total - head.offset);
}

std::uint64_t chunk_count(std::uint64_t total) { return total == 0 ? 1 : (total - 1) / kChunkBytes + 1; }

bool IncomingStream::accept(const wire::Collective& head, const Payload& tail) {
  if (complete() || head.offset != bytes_.size()) return false;
  if (!is_chunk(head, tail) && !is_whole(head, tail)) return false;
  if (total_ && *total_ != head.total) return false;
  total_ = head.total;
  bytes_.append(tail);
  return true;
}

}  // namespace banyan::node
