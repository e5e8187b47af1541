// Runs a job of real engines through its phases on a simulated network and says what each has cost.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "sim/cluster.hh"
#include "sim/job.hh"

namespace banyan::sim {

struct LevelTraffic {
  std::string name;  // "local", "level 1", ...: the depth of the link's lower end
  Cluster::Traffic traffic;
};

struct Measurement {
  std::uint32_t hosts = 0;
  std::uint32_t depth = 0;
  // Milliseconds from the common start of each phase: until the root has every rank's record, and until the slowest
  // rank has the table; then until the slowest rank is done.
  double registered_ms = 0;
  double formed_ms = 0;
  double barrier_ms = 0;
  double allgather_ms = 0;
  double broadcast_ms = 0;
  double allreduce_ms = 0;  // with JobOptions::payload_bytes alone
  double send_recv_ms = 0;  // the slowest of kPairs
  std::uint64_t links_total = 0;
  std::uint64_t connections_total = 0;  // with those that only asked for a place
  std::uint64_t tree_links_max = 0;
  std::uint64_t local_links_max = 0;
  std::uint64_t root_links = 0;
  double root_cpu_ms = 0;  // until it has formed
  std::uint64_t messages_total = 0;
  std::uint64_t bytes_total = 0;
  std::vector<LevelTraffic> levels;
  std::uint64_t events = 0;
  std::uint64_t digest = 0;
};

// Pairs of ranks that send and receive at the same time.
inline constexpr std::uint32_t kPairs = 64;

// A phase did not end well; the sentence says for whom, and why.
class Unfinished : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// `phase` hears the name of each as it begins; `observer`, if any, watches the cluster. Throws Unfinished.
Measurement measure(const JobOptions& job, const ClusterOptions& cluster, std::uint64_t seed,
                    const std::function<void(const char*)>& phase, Observer* observer = nullptr);

}  // namespace banyan::sim
