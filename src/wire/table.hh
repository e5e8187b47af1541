// The table: every rank's record and blob, used in its wire layout (docs/protocol.md, "Table").
//
//   header, 64 bytes   magic, world size, fan-out, positions, hosts, depth, epoch (term, number), job id, flags, zeros
//   record, 32 bytes   x world size, by rank: incarnation, offset of its variable part, position, leader, attachment,
//                      bytes of its prefix, flags
//   variable parts     by rank: prefix (leaders only: endpoint, host name), then the blob, if the table is not lazy
//
// The records' size divides that of all chunks, so a record never straddles two chunks and is read where it lies.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/digest.hh"
#include "base/endpoint.hh"
#include "wire/frame.hh"
#include "wire/record.hh"

namespace banyan::wire {

// Down, in chunks of stream_chunk_bytes(total) (the last may be shorter); the epoch stands in the frame header.
struct TableChunk {
  static constexpr Kind kKind = Kind::table_chunk;
  static constexpr std::size_t kBytes = 32;
  Digest digest{};
  std::uint64_t offset = 0;
  std::uint64_t total = 0;

  void write(Writer& writer) const;
  void read(Reader& reader);
};

// Up: so many ranks of this subtree hold the table of the frame's epoch.
struct Acknowledge {
  static constexpr Kind kKind = Kind::acknowledge;
  std::uint32_t ranks = 0;

  void write(Writer& writer) const { writer.number(ranks); }
  void read(Reader& reader) { ranks = reader.number<std::uint32_t>(); }
};

// Immutable and safe to share between threads.
class Table {
 public:
  // The root: lays out N records, where records[i].rank == i.
  struct Facts {
    std::uint32_t fan_out = 0;
    std::uint32_t depth = 0;
    Epoch epoch;
    JobId job;
    bool lazy = false;
  };
  static std::shared_ptr<const Table> build(const std::vector<Record>& records, const Facts& facts);
  // A receiver: `chunks` are the whole table. Null if it can't be one for `world_size` ranks. What single records say
  // is checked when it is read: the root is trusted, and no rank walks what it doesn't need.
  static std::shared_ptr<const Table> from_wire(std::vector<Payload> chunks, std::uint32_t world_size);

  std::uint32_t world_size() const { return world_size_; }
  std::uint32_t fan_out() const { return fan_out_; }
  // Leaders and a root that isn't one: places that are taken. At least the number of hosts.
  std::uint32_t positions() const { return positions_; }
  std::uint32_t hosts() const { return hosts_; }
  // Steps from the root to the deepest leader.
  std::uint32_t depth() const { return depth_; }
  Epoch epoch() const { return epoch_; }
  const JobId& job() const { return job_; }
  // Blobs are not in it: each rank is asked for its own.
  bool lazy() const { return lazy_; }
  std::uint64_t total_bytes() const { return total_; }

  Incarnation incarnation(Rank rank) const;
  Attachment attachment(Rank rank) const;
  Position position(Rank rank) const;
  Rank leader(Rank rank) const;
  // The host's name as its leader gave it.
  std::string host(Rank rank) const;
  // Where the rank's leader listens.
  Endpoint leader_endpoint(Rank rank) const;
  // Empty in a lazy table.
  Payload blob(Rank rank) const;

  // Whether `chunks` are this table, byte for byte; those that lie in the same memory are not read.
  bool has_bytes(const std::vector<Payload>& chunks) const;
  // The whole table, and in chunks of the size that it has on the wire; shared.
  Payload bytes() const { return range({0, total_}); }
  Payload chunk(std::uint64_t offset) const;
  std::size_t chunk_bytes() const { return stream_chunk_bytes(total_); }
  Digest digest() const;

 private:
  struct Entry;
  struct Span {
    std::uint64_t offset;
    std::uint64_t count;
  };
  Table() = default;
  Entry entry(Rank rank) const;
  Payload range(Span span) const;
  Span variable_part(Rank rank) const;

  // One payload that holds everything (at the root and where chunks lie side by side), or one for each chunk.
  std::vector<Payload> chunks_;
  std::uint64_t total_ = 0;
  std::uint32_t world_size_ = 0;
  std::uint32_t fan_out_ = 0;
  std::uint32_t positions_ = 0;
  std::uint32_t hosts_ = 0;
  std::uint32_t depth_ = 0;
  Epoch epoch_;
  JobId job_;
  bool lazy_ = false;
};

}  // namespace banyan::wire
