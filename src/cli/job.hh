// What the ranks of one job are told: who they are, the job's id and secret, and where they meet.
// All of it goes through the environment; the secret never stands on a command line, where others could read it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hh"

namespace banyan::cli {

struct Job {
  std::uint32_t world_size = 1;
  // Ranks k*R .. k*R+R-1 play host k. Without it all ranks are of the machine they run on.
  std::optional<std::uint32_t> ranks_per_host;
  std::string id;          // 32 hex digits
  std::string secret;      // 64 hex digits
  std::string rendezvous;  // HOST:PORT
  // HOST:PORT of the leaders of the first hosts, where ranks shall know them, else empty. The first is the rendezvous.
  std::vector<std::string> host_addresses;
  std::optional<std::string> timeout;  // BANYAN_TIMEOUT
  std::optional<std::uint32_t> fan_out;

  std::uint32_t host_size() const { return ranks_per_host.value_or(world_size); }
  std::uint32_t host_count() const { return (world_size + host_size() - 1) / host_size(); }
  std::uint32_t host_of(Rank rank) const { return raw(rank) / host_size(); }
  std::uint32_t local_rank(Rank rank) const { return raw(rank) % host_size(); }
  std::uint32_t local_size(Rank rank) const;  // the last host may have fewer
};

// Random bytes from the kernel, as hex digits: fit for a job id and a job secret.
std::string random_hex(std::size_t bytes);

// The environment of each rank: the launcher's own, less what another launcher said of another job, plus the job's.
class RankEnvironments {
 public:
  // `job` and the process's environment must outlive this.
  explicit RankEnvironments(const Job& job);

  // Further variables for the next block only.
  void add(const char* name, const std::string& value) { own_.push_back(std::string(name) + "=" + value); }
  // A null-terminated block for execve, valid until the next call of block_of.
  char* const* block_of(Rank rank);

 private:
  const Job& job_;
  std::vector<char*> inherited_;
  std::string all_hosts_;
  std::vector<std::string> own_;   // of the block to come
  std::vector<std::string> kept_;  // of the block that was handed out
  std::vector<char*> block_;
};

}  // namespace banyan::cli
