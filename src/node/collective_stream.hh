// One run of bytes that crosses a link in chunks: a broadcast's message, a reduction's vector, an allgather's result.
// Chunk i starts at i times the size of a chunk, and all but the last are full; no bytes at all are one empty chunk.
// A reduction's chunks have kChunkBytes, since they are combined one by one; others have stream_chunk_bytes(total).
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "base/assert.hh"
#include "base/limits.hh"
#include "node/payload_cursor.hh"
#include "wire/collective.hh"

namespace banyan::node {

// Of the operation's stream, which has head.total bytes.
std::size_t chunk_bytes(const wire::Collective& head);
// Whether the tail of a frame is the whole stream (enclosed), or just the chunk that its head says.
bool is_whole(const wire::Collective& head, const Payload& tail);
bool is_chunk(const wire::Collective& head, const Payload& tail);
// Of a reduction.
std::uint64_t chunk_count(std::uint64_t total);

// Calls visit(offset, piece) for every piece of so many bytes, in order, the last maybe shorter; no bytes at all are
// one empty piece. The bytes stay shared.
template <typename Visit>
void for_each_piece(const Payload& bytes, std::size_t piece_bytes, Visit visit) {
  PayloadCursor cursor(bytes);
  do {
    const std::uint64_t offset = bytes.size() - cursor.remaining();
    visit(offset, cursor.take(std::min(cursor.remaining(), piece_bytes)));
  } while (cursor.remaining() > 0);
}

// The same for every chunk of a stream that is no reduction's.
template <typename Visit>
void for_each_chunk(const Payload& bytes, Visit visit) {
  for_each_piece(bytes, stream_chunk_bytes(bytes.size()), visit);
}

class IncomingStream {
 public:
  // False: this is not the stream's next chunk.
  bool accept(const wire::Collective& head, const Payload& tail);
  bool complete() const { return total_ && bytes_.size() == *total_; }
  const Payload& bytes() const { return bytes_; }
  // Equal bytes that stand elsewhere: the old ones are let go.
  void replace(Payload bytes) {
    BANYAN_ASSERT(bytes.size() == bytes_.size());
    bytes_ = std::move(bytes);
  }

 private:
  std::optional<std::uint64_t> total_;
  Payload bytes_;
};

}  // namespace banyan::node
