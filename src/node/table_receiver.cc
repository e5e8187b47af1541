#include "node/table_receiver.hh"

#include <algorithm>

namespace banyan::node {

TableReceiver::Result TableReceiver::add(const wire::TableChunk& head, const Payload& bytes) {
  if (total_ == 0) {
    if (head.total > world_size_ * kGreatestPerRank) return Result::broken;
    total_ = head.total;
    digest_ = head.digest;
  }
  if (head.total != total_ || head.digest != digest_) return Result::broken;
  if (bytes.size() != std::min<std::uint64_t>(kChunkBytes, total_ - head.offset)) return Result::broken;
  if (head.offset < received_) return Result::more;
  if (head.offset > received_) return Result::broken;
  received_ += bytes.size();
  Slice chunk = bytes.flatten();
  // Where all chunks lie in one piece of memory (as in a simulation), so does the table.
  if (chunks_.size() == 1 && chunks_[0].continued_by(chunk)) {
    chunks_[0].extend(chunk);
  } else {
    chunks_.push_back(std::move(chunk));
  }
  if (received_ < total_) return Result::more;
  Payload whole;
  for (const Slice& part : chunks_) whole.append(part);
  if (digest_of(whole) != digest_) return Result::broken;
  table_ = wire::Table::from_wire(std::move(chunks_), world_size_);
  return table_ == nullptr ? Result::broken : Result::complete;
}

}  // namespace banyan::node
