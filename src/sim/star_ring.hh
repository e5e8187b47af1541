// What the usual bootstrap costs on the same network and hosts: every rank reports to one root, which connects back to
// each with its neighbour's address, and then all pass their addresses around a ring. Modelled from the schemes'
// published behaviour, with the costs that the simulated engine pays; nothing of the peers' code runs.
//
//   mscclpp's TcpBootstrap   the root answers when all have come; a ring in one direction, N-1 steps; above 128 ranks
//                            rank r first sleeps r ms
//   NCCL's bootstrap         the root answers as soon as it knows both neighbours; a ring in both directions, N/2
//   steps;
//                            above 256 ranks rank r first sleeps r/7000 s
#pragma once

#include <cstdint>

#include "sim/cluster.hh"
#include "sim/job.hh"

namespace banyan::sim {

struct StarRing {
  bool sleeps = true;          // rank after rank, so that the root's accept queue does not overflow
  bool bidirectional = false;  // as NCCL does; else as mscclpp does
};

struct StarRingMeasurement {
  double formed_ms = 0;  // until the slowest rank holds all addresses
  double star_ms = 0;    // of it: until the slowest rank has its neighbour
  double ring_ms = 0;
  double root_cpu_ms = 0;
  std::uint64_t connections_total = 0;
  std::uint64_t root_links = 0;
  std::uint64_t messages_total = 0;
  std::uint64_t bytes_total = 0;
  std::uint64_t repeated_syns = 0;  // that the root's full accept queue has dropped
  // Ranks that the root's kernel has kept out until theirs gave up: then nobody forms, and the times above say nothing.
  std::uint64_t kept_out = 0;
};

// The ring is calculated, not played: the last rank to enter it decides, since its address needs all steps to come
// round.
StarRingMeasurement measure(const StarRing& scheme, const JobOptions& job, const ClusterOptions& cluster,
                            std::uint64_t seed);

}  // namespace banyan::sim
