// Ways of starting a job that need nothing installed: what the kernel charges for the bare exchange, and the protocols
// that are in use, written afresh from their published description and as well as each allows.
#pragma once

#include "../harness/implementation.hh"

namespace banyan::bench {

// Unix sockets, or TCP: one server, which the coordinator plays, takes N blobs and gives N tables. No authentication,
// no checks, no retries.
std::unique_ptr<Implementation> floor(bool tcp);

// One root, then a ring. Each rank tells the root at which two ports it listens; the root connects back and says where
// the next one in the ring is; ranks connect to the next one, and pass all blobs around.
struct StarRing {
  std::string name;
  std::string what;
  enum class Stagger : std::uint8_t { none, per_rank_ms, per_rank_7000th } stagger = Stagger::none;
  bool both_ways = false;           // the ring carries blobs in both directions at once: N/2 steps instead of N-1
  bool root_answers_early = false;  // as soon as a rank and the next one are known, instead of when all are
};
std::unique_ptr<Implementation> star_ring(StarRing scheme);

// A server of keys and values in rank 0's process (the scheme of TCPStore). Every rank stores its blob; rank 0 puts all
// of them together under one key, which the others wait for.
std::unique_ptr<Implementation> central_store();

}  // namespace banyan::bench
