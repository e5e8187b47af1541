// What travels between neighbours for one collective operation (docs/protocol.md, "Collectives").
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "wire/frame.hh"

namespace banyan::wire {

// The values are the wire's and the public API's: append only.
enum class CollectiveKind : std::uint8_t {
  barrier = 1,
  broadcast,
  allgather,
  gather,
  scatter,
  reduce,
  allreduce,
  alltoall,
  reduce_scatter,
  scan,
  exclusive_scan,
  split  // an allgather of what each rank wants (node/calls.hh)
};
enum class Reduction : std::uint8_t { none = 0, sum, min, max, product, bit_and, bit_or, bit_xor };
enum class ElementType : std::uint8_t {
  none = 0,
  int8,
  uint8,
  int16,
  uint16,
  int32,
  uint32,
  int64,
  uint64,
  float32,
  float64
};

std::size_t element_bytes(ElementType type);  // 0 for none
const char* to_string(CollectiveKind kind);
// Whether all are given what all contribute.
constexpr bool gathers_for_all(CollectiveKind kind) {
  return kind == CollectiveKind::allgather || kind == CollectiveKind::split;
}
// Whether its calls combine vectors of elements.
bool is_reduction(CollectiveKind kind);
const char* to_string(Reduction reduction);
const char* to_string(ElementType type);

// What all ranks must agree on for one operation; 20 bytes.
struct CallSignature {
  CollectiveKind kind{};
  Reduction reduction = Reduction::none;
  ElementType element = ElementType::none;
  Rank root = kNoRank;      // rooted operations only
  std::uint64_t count = 0;  // elements, reductions only
  // A reduce_scatter's counts, as blocks_of() has them: which are too many to travel. 0: blocks of one size.
  std::uint32_t blocks = 0;

  friend bool operator==(const CallSignature&, const CallSignature&) = default;
  bool valid(std::uint32_t world_size) const;
  std::string to_string() const;  // "reduce(sum, int32 x 10, root 3)"
};

// How many elements each rank gets, as one number: 0 if all get the same (or `counts` is empty, which means that), else
// a digest of them, which is not 0.
std::uint32_t blocks_of(const std::vector<std::uint64_t>& counts);

// Which part of an operation a frame is. The values are the wire's: append only.
enum class Part : std::uint8_t {
  vote = 1,      // up: all ranks of this subtree have called; sent once per link and operation
  go = 2,        // down: all ranks have called: a barrier is done, payloads that were too large may be sent. With an
                 // offset: the parent has room for a reduction's bytes before it (see kReductionWindow)
  data = 3,      // bytes: a stream in chunks, or entries (gather, scatter, allgather on the way up)
  failed = 4,    // up and down: the operation failed; the tail is a Failure
  retired = 5,   // down: every rank has called all operations up to this sequence
  question = 6,  // down: who in your subtree has not called?
  missing = 7,   // up and down: these ranks have not; the tail is a RankSet behind its full count
};

// The head of every collective frame; what follows in the frame is the tail.
struct Collective {
  static constexpr Kind kKind = Kind::collective;
  static constexpr std::size_t kBytes = 64;
  Part part{};
  bool deferred = false;  // vote: this subtree holds payloads that wait for `go`; missing: some have not answered yet
  CommunicatorId communicator{};
  Sequence sequence{};
  CallSignature call;
  Rank caller = kNoRank;     // a rank that made this call, for messages
  Rank about = kNoRank;      // unused in this version
  std::uint64_t offset = 0;  // data: where the tail belongs in the stream; 0 for entries. go: see above
  std::uint64_t total = 0;   // data: how many bytes the stream has in all; 0 for entries. vote: what the
                             // subtree contributes to an allgather; kMaxMessageBytes: or more

  void write(Writer& writer) const;
  void read(Reader& reader);
};

// A rank's bytes are cut into no shorter pieces, but for the last: each piece costs who keeps it a slice.
inline constexpr std::size_t kShortestPieceBytes = 1024;

// A part of one rank's bytes among those of others; the bytes follow. The tail of a data frame of gather, of scatter,
// and of allgather on its way up is a sequence of entries. The parts of one rank come in order; a rank without bytes
// has one entry of total 0.
struct CollectiveEntry {
  static constexpr std::size_t kBytes = 24;
  Rank rank{};               // whose contribution (gather, allgather), or whose part (scatter)
  std::uint32_t bytes = 0;   // how many follow
  std::uint64_t offset = 0;  // where they belong in that rank's bytes
  std::uint64_t total = 0;   // how many that rank's are in all

  void write(Writer& writer) const;
  void read(Reader& reader);
};

// After `go` for a reduction that is not eager a child may send this many chunks; each further one needs its
// parent's word. 8 chunks are 256 KiB for each child: 25 Gb/s x 80 us.
inline constexpr std::uint64_t kReductionWindow = 8;

}  // namespace banyan::wire
