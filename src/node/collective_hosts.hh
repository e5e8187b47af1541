// The leaders of a communicator's hosts, and how a long stream goes between these.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.hh"
#include "node/topology.hh"
#include "wire/collective.hh"

namespace banyan::node {

// Leaders by place: in the order of their positions, without gaps.
class Hosts {
 public:
  // Looks at every rank: made where long streams come, not before.
  explicit Hosts(const Topology& topology);

  std::uint32_t count() const { return static_cast<std::uint32_t>(leaders_.size()); }
  Rank leader(std::uint32_t place) const { return leaders_[place]; }
  // Of the rank's leader.
  std::uint32_t place(Rank rank) const;

 private:
  const Topology& topology_;
  std::vector<Position> positions_;
  std::vector<Rank> leaders_;
};

// Whether an operation that moves so many bytes (a broadcast's message, a reduction's vector, what an allgather brings)
// takes less time past the tree than over it: the tree is quick, but each of its inner nodes hands all bytes to every
// child. All ranks come to the same answer.
bool goes_between_hosts(wire::CollectiveKind kind, std::uint64_t bytes, std::uint32_t hosts, std::uint32_t fan_out);

}  // namespace banyan::node
