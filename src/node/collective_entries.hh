// Entries: the bytes of many ranks, packed into few frames (wire::CollectiveEntry).
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/cursor.hh"
#include "base/ids.hh"
#include "base/limits.hh"
#include "node/payload_cursor.hh"
#include "wire/collective.hh"

namespace banyan::node {

// Bytes below this are copied where they are packed or kept: less work than another slice in a gathered write, and a
// few bytes don't keep a whole receive buffer alive.
inline constexpr std::size_t kCopyBelowBytes = 1024;
// What a frame's tail may hold beside the frame header and the head of a collective.
inline constexpr std::size_t kMaxCollectiveTail = kMaxFrameBytes - wire::kFrameHeaderBytes - wire::Collective::kBytes;

// The same bytes, which no longer share storage with others if they are few.
Payload unpinned(Payload bytes);

using Entry = wire::CollectiveEntry;

// The next entry's header; its bytes follow at the cursor. None: it is none, or its rank or its bytes don't exist.
std::optional<Entry> read_entry(PayloadCursor& cursor, std::uint32_t world_size);
// How many bytes of ranks the tail holds, if it is a sequence of at least one entry. Reads the headers only.
std::optional<std::uint64_t> bytes_of_entries(const Payload& tail, std::uint32_t world_size);

// Collects entries for one link until they fill a frame. `emit(Payload tail)` takes each full one.
class EntryPacker {
 public:
  // All bytes of one rank.
  template <typename Emit>
  void add(Rank rank, const Payload& bytes, Emit emit) {
    PayloadCursor cursor(bytes);
    do {
      // No entry is cut for less than the shortest piece: a small one always travels whole.
      if (size() + Entry::kBytes + std::min(cursor.remaining(), wire::kShortestPieceBytes) > kChunkBytes) emit(take());
      const std::size_t room = kChunkBytes - size() - Entry::kBytes;
      const std::size_t offset = bytes.size() - cursor.remaining();
      const std::size_t count = std::min(cursor.remaining(), room);
      append({rank, static_cast<std::uint32_t>(count), offset, bytes.size()}, cursor.take(count));
    } while (cursor.remaining() > 0);
  }
  // Entries that were packed elsewhere; at most kMaxCollectiveTail bytes.
  template <typename Emit>
  void add_packed(const Payload& entries, Emit emit) {
    if (size() + entries.size() > kMaxCollectiveTail) emit(take());
    append(entries);
    if (size() >= kChunkBytes) emit(take());
  }
  bool empty() const { return size() == 0; }
  // What has been collected, and forgets it.
  Payload take();

 private:
  std::size_t size() const { return ready_.size() + (small_ ? small_->size() : 0); }
  void append(const Entry& entry, const Payload& bytes);
  void append(const Payload& bytes);

  Payload ready_;
  std::optional<Writer> small_;  // copied bytes that follow `ready_`
};

// Receives the bytes of every rank. Until expect_all() it keeps no more than what has come: a neighbour that sends a
// few bytes can't make it find room for all ranks, in each operation that has not been called here.
class EntryCollector {
 public:
  explicit EntryCollector(std::uint32_t world_size) : missing_(world_size), world_size_(world_size) {}

  // This rank has called: the bytes of all ranks will come. Once.
  void expect_all();

  // False: these are not the next bytes of that rank.
  bool accept(const Entry& entry, Payload bytes);
  // All bytes of one rank at once, which has none yet.
  void put(Rank rank, Payload bytes);
  // Ranks whose bytes are not all here.
  std::uint32_t missing() const { return missing_; }
  bool complete() const { return missing_ == 0; }
  // Of each rank whose bytes are all here; after expect_all(). The bytes are shared.
  Payload entries() const;
  // Ranks that there is room for; tests ask.
  std::size_t slots() const { return early_.size() + slots_.size(); }
  // By rank; once complete.
  std::vector<Payload> take();

 private:
  struct Slot {
    std::optional<std::uint64_t> total;
    Payload bytes;
  };
  Slot& slot_of(Rank rank) { return slots_.empty() ? early_[rank] : slots_[raw(rank)]; }

  std::uint32_t missing_;
  std::uint32_t world_size_;
  std::unordered_map<Rank, Slot> early_;  // until expect_all()
  std::vector<Slot> slots_;               // by rank; from then on
};

}  // namespace banyan::node
