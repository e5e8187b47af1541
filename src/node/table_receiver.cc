#include "node/table_receiver.hh"

#include <algorithm>
#include <utility>

namespace banyan::node {

TableReceiver::Result TableReceiver::add(const wire::TableChunk& head, const Payload& bytes, bool enclosed) {
  if (total_ == 0) {
    if (head.total > world_size_ * kGreatestPerRank) return Result::broken;
    total_ = head.total;
    digest_ = head.digest;
  }
  if (head.total != total_ || head.digest != digest_) return Result::broken;
  if (enclosed)
    return received_ == 0 && head.offset == 0 && bytes.size() == total_ ? finish({bytes}, true) : Result::broken;
  if (bytes.size() != std::min<std::uint64_t>(stream_chunk_bytes(total_), total_ - head.offset)) return Result::broken;
  if (head.offset < received_) return Result::more;
  if (head.offset > received_) return Result::broken;
  received_ += bytes.size();
  Payload chunk = bytes.slice_count() > 1 + bytes.size() / kLeastSlice ? Payload(bytes.flatten()) : bytes;
  // Where all chunks lie in one piece of memory (as in a simulation), so does the table.
  const auto in_one_piece = [](const Payload& part) { return part.slice_count() == 1; };
  if (chunks_.size() == 1 && in_one_piece(chunks_[0]) && in_one_piece(chunk) &&
      chunks_[0].slice(0).continued_by(chunk.slice(0))) {
    chunks_[0].append(chunk);
  } else {
    chunks_.push_back(std::move(chunk));
  }
  return received_ < total_ ? Result::more : finish(std::exchange(chunks_, {}), false);
}

TableReceiver::Result TableReceiver::finish(std::vector<Payload> chunks, bool checked) {
  table_ = store_->take(std::move(chunks), digest_, world_size_, checked);
  return table_ == nullptr ? Result::broken : Result::complete;
}

}  // namespace banyan::node
