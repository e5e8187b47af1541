// A job to simulate: who runs where, and with which configuration.
#pragma once

#include <cstdint>

#include "node/config.hh"
#include "sim/cluster.hh"

namespace banyan::sim {

struct JobOptions {
  std::uint32_t ranks = 8;
  std::uint32_t ranks_per_host = 8;
  std::uint32_t fan_out = tree::kDefaultFanOut;
  bool computed = false;  // every host knows its parent's address
  bool secret = true;
  std::uint32_t blob_bytes = 128;
  // From this size on the ranks of a host share what all are given.
  std::size_t enclose_bytes = Limits{}.enclose_bytes;
  // The ranks start evenly within this time.
  Duration arrival{};
  // After which a rank gives up.
  Duration start_timeout = std::chrono::hours(1);

  std::uint32_t hosts() const { return (ranks - 1) / ranks_per_host + 1; }
};

// The machine that the host's processes run on.
Endpoint machine(std::uint32_t host);
// Where each host's leader listens, for computed parents; empty otherwise.
node::HostList hosts_of(const JobOptions& options);
// Rank r stands on host r / ranks_per_host. `random` gives it what it must not share with others.
node::Config config_of(const JobOptions& options, std::uint32_t rank, const node::HostList& hosts, Random& random);
// Adds all ranks in order, so that process i is rank i.
void add_job(Cluster& cluster, const JobOptions& options);

}  // namespace banyan::sim
