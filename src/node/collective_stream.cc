#include "node/collective_stream.hh"

namespace banyan::node {

bool is_whole(const wire::Collective& head, const Payload& tail) {
  return head.offset == 0 && tail.size() == head.total;
}

bool is_chunk(const wire::Collective& head, const Payload& tail) {
  return head.offset % kChunkBytes == 0 && head.offset <= head.total &&
         tail.size() == std::min<std::uint64_t>(kChunkBytes, head.total - head.offset);
}

std::uint64_t chunk_count(std::uint64_t total) { return total == 0 ? 1 : (total - 1) / kChunkBytes + 1; }

bool IncomingStream::accept(const wire::Collective& head, const Payload& tail) {
  if (complete() || !(is_chunk(head, tail) || is_whole(head, tail)) || head.offset != bytes_.size()) return false;
  if (total_ && *total_ != head.total) return false;
  total_ = head.total;
  bytes_.append(tail);
  return true;
}

}  // namespace banyan::node
