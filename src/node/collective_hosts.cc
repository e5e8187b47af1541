#include "node/collective_hosts.hh"

#include <algorithm>
#include <bit>

namespace banyan::node {
namespace {

// Every rank must decide alike, so these are not measured: a host's usual 25 Gb/s, and what a message costs before its
// bytes flow, which are asked for first (three ways of 25 us, and the work at both ends).
constexpr double kBytesPerMicrosecond = 3125;
constexpr double kMicrosecondsPerMessage = 100;

}  // namespace

Hosts::Hosts(const Topology& topology) : topology_(topology) {
  std::vector<std::pair<Position, Rank>> found;
  for (std::uint32_t rank = 0; rank < topology.world_size(); ++rank) {
    if (topology.leads(Rank{rank})) found.emplace_back(topology.position(Rank{rank}), Rank{rank});
  }
  std::ranges::sort(found);
  for (const auto& [position, leader] : found) {
    positions_.push_back(position);
    leaders_.push_back(leader);
  }
}

std::uint32_t Hosts::place(Rank rank) const {
  const auto at = std::ranges::lower_bound(positions_, topology_.position(rank));
  // Only a table that lies has no leader there.
  return at == positions_.end() ? 0 : static_cast<std::uint32_t>(at - positions_.begin());
}

bool goes_between_hosts(wire::CollectiveKind kind, std::uint64_t bytes, std::uint32_t hosts, std::uint32_t fan_out) {
  if (hosts < 2) return false;
  const double once = static_cast<double>(bytes) / kBytesPerMicrosecond;
  const double children = std::min(fan_out, hosts - 1);
  const double steps = std::bit_width(hosts);
  switch (kind) {
    case wire::CollectiveKind::broadcast:
    case wire::CollectiveKind::reduce: return children * once > once + steps * kMicrosecondsPerMessage;
    // Up and down.
    case wire::CollectiveKind::allreduce: return children * once > 2 * (once + steps * kMicrosecondsPerMessage);
    // To the root first, then from there; or round a ring.
    case wire::CollectiveKind::allgather: return (1 + children) * once > once + hosts * kMicrosecondsPerMessage;
    default: return false;
  }
}

}  // namespace banyan::node
