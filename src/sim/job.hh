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
  // The first so many hosts stand in a list that all know: they compute their parents, and the others ask one of them.
  // 0 or 1: all ask the root; as many as there are or more: no host asks.
  std::uint32_t listed_hosts = 1;
  bool secret = true;
  std::uint32_t blob_bytes = 128;
  // What each rank gives to a measured collective; 0: as many bytes as its blob has, and no allreduce is measured.
  std::uint64_t payload_bytes = 0;
  // Blobs are not in the table.
  bool lazy_table = false;
  // From this size on the ranks of a host share what all are given.
  std::size_t enclose_bytes = Limits{}.enclose_bytes;
  // How many direct links a rank may have, and what makes one.
  std::uint32_t direct_links = Limits{}.direct_links;
  std::uint32_t direct_messages = Limits{}.direct_messages;
  std::size_t direct_bytes = Limits{}.direct_bytes;
  // Bytes of one message that may be under way.
  std::size_t message_window_bytes = Limits{}.message_window_bytes;
  // The ranks start evenly within this time.
  Duration arrival{};
  // After which a rank gives up.
  Duration start_timeout = std::chrono::hours(1);

  std::uint32_t hosts() const { return (ranks - 1) / ranks_per_host + 1; }
  bool has_list() const { return listed_hosts > 1; }
  bool all_listed() const { return has_list() && listed_hosts >= hosts(); }
};

// The machine that the host's processes run on.
Endpoint machine(std::uint32_t host);
Slice blob_of(const JobOptions& options, std::uint32_t rank);
// Where the leaders of the listed hosts listen; empty if there is no list.
node::HostList hosts_of(const JobOptions& options);
// Rank r stands on host r / ranks_per_host. `random` gives it what it must not share with others.
node::Config config_of(const JobOptions& options, std::uint32_t rank, const node::HostList& hosts, Random& random);
// Adds all ranks in order, so that process i is rank i.
void add_job(Cluster& cluster, const JobOptions& options);

}  // namespace banyan::sim
