// The ranks of a communicator that is not the whole job, and the tree in which they stand: on every host the lowest of
// them leads, and the leaders take the positions 0, 1, 2, ... in their order. "Member" is a rank as the communicator
// numbers it, "job rank" the same as the job does.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/ids.hh"
#include "wire/table.hh"

namespace banyan::node {

class Members {
 public:
  // Each rank of the job once at most; the one at place i is member i.
  Members(std::vector<Rank> job_ranks, const wire::Table& table);

  std::uint32_t size() const { return static_cast<std::uint32_t>(job_ranks_.size()); }
  const std::vector<Rank>& job_ranks() const { return job_ranks_; }
  Rank job_rank(Rank member) const { return job_ranks_[raw(member)]; }
  // Of the member's leader, which may be itself.
  Position position(Rank member) const { return positions_[raw(member)]; }
  Rank leader(Rank member) const { return leaders_[raw(positions_[raw(member)])]; }
  std::uint32_t leaders() const { return static_cast<std::uint32_t>(leaders_.size()); }
  Rank leader_at(Position position) const { return leaders_[raw(position)]; }

 private:
  std::vector<Rank> job_ranks_;      // by member
  std::vector<Position> positions_;  // by member
  std::vector<Rank> leaders_;        // members, by position
};

}  // namespace banyan::node
