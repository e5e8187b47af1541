#include "node/members.hh"

#include <utility>

namespace banyan::node {

Members::Members(std::vector<Rank> job_ranks, const wire::Table& table) : job_ranks_(std::move(job_ranks)) {
  std::map<Rank, Position> of_host;  // by the rank that leads the host in the job
  positions_.reserve(job_ranks_.size());
  for (std::uint32_t member = 0; member < size(); ++member) {
    const auto [at, first] = of_host.try_emplace(table.leader(job_ranks_[member]), Position{leaders()});
    if (first) leaders_.push_back(Rank{member});
    positions_.push_back(at->second);
  }
}

}  // namespace banyan::node
