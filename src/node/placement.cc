#include "node/placement.hh"

#include <algorithm>

namespace banyan::node {
namespace {

// After so many parents that it could not reach, a process gets the root itself as its parent.
constexpr std::uint32_t kComplaintsBeforeReserved = 3;
// How many parents are looked at for one request; a request that fails is repeated a little later.
constexpr std::uint32_t kParentsTried = 16;

bool is_of(const Placement::Holder& holder, const Placement::Holder& leader) {
  return holder.rank == leader.rank && holder.incarnation == leader.incarnation;
}

}  // namespace

Placement::Placement(std::uint32_t fan_out, std::uint32_t world_size, std::uint32_t computed, Duration lease)
    : shape_(fan_out),
      computed_(std::max(computed, 1u)),
      lease_(lease),
      next_(computed_),
      greatest_(2 * world_size + kParentsTried * fan_out) {
  holders_[tree::kRootPosition] = Holder{kRootRank, {}, {}, {}, {}, true};
}

bool Placement::may_take(Position position, const Holder& leader) const {
  const Holder* here = holder(position);
  return raw(position) < computed_ || (here != nullptr && is_of(*here, leader));
}

const Placement::Holder* Placement::holder(Position position) const {
  const auto at = holders_.find(position);
  return at == holders_.end() ? nullptr : &at->second;
}

bool Placement::stale(Rank leader, Incarnation incarnation, Attachment attachment) const {
  const auto at = place_of_.find({leader, incarnation});
  const Holder* at_place = at == place_of_.end() ? nullptr : holder(at->second);
  return at_place != nullptr && attachment < at_place->asked;
}

// A newcomer's parent may still be on its own way in. Whoever has been sent to a parent in vain gets one that has
// arrived, so that those who move are not sent after others who move.
bool Placement::usable(Position position, Rank unreachable) const {
  if (const Holder* here = holder(position); here != nullptr && here->registered) return false;
  const Position parent = shape_.parent(position);
  const Holder* above = holder(parent);
  if (unreachable != kNoRank) return above != nullptr && above->registered && above->rank != unreachable;
  return above != nullptr || raw(parent) < computed_;
}

void Placement::release(const Holder& leader) {
  const auto at = place_of_.find({leader.rank, leader.incarnation});
  if (at == place_of_.end()) return;
  if (const auto held = holders_.find(at->second); held != holders_.end() && is_of(held->second, leader)) {
    holders_.erase(held);
  }
  if (raw(at->second) >= computed_ && at->second != tree::kReservedPosition) free_.insert(at->second);
  place_of_.erase(at);
}

std::optional<Placement::Place> Placement::allot(Time now, const Holder& leader, Rank unreachable) {
  release(leader);
  const auto take = [&](Position position) {
    // Somebody may have come there without being sent.
    if (const Holder* before = holder(position)) place_of_.erase({before->rank, before->incarnation});
    Holder& holder = holders_[position] = leader;
    holder.lease_until = after(now, lease_);
    place_of_[{leader.rank, leader.incarnation}] = position;
    leases_.push_back(Lease{holder.lease_until, position});
    return Place{position, shape_.parent(position)};
  };
  if (unreachable != kNoRank && ++complaints_[leader.rank] >= kComplaintsBeforeReserved &&
      holder(tree::kReservedPosition) == nullptr) {
    return take(tree::kReservedPosition);
  }
  for (const Position position : free_) {
    if (!usable(position, unreachable)) continue;
    free_.erase(position);
    return take(position);
  }
  // A parent's places lie side by side. What is passed over stays free for others.
  const std::uint32_t end = std::min(next_ + kParentsTried * shape_.fan_out() + 1, greatest_);
  for (std::uint32_t candidate = next_; candidate < end; ++candidate) {
    if (!usable(Position{candidate}, unreachable)) continue;
    while (next_ < candidate) free_.insert(Position{next_++});
    ++next_;
    return take(Position{candidate});
  }
  if (holder(tree::kReservedPosition) == nullptr) return take(tree::kReservedPosition);
  return std::nullopt;
}

bool Placement::claim(Position position, const Holder& leader, bool registered) {
  const auto at = holders_.find(position);
  if (at != holders_.end() && !is_of(at->second, leader)) {
    // A record beats a lease, and a newer life of a rank beats an older one that never registered.
    if (at->second.registered) return false;
    place_of_.erase({at->second.rank, at->second.incarnation});
  }
  if (const auto old = place_of_.find({leader.rank, leader.incarnation});
      old != place_of_.end() && old->second != position)
    release(leader);
  free_.erase(position);
  Holder& holder = holders_[position];
  const bool was_registered = holder.registered && holder.rank == leader.rank;
  const Time lease_until = holder.lease_until;
  const Attachment asked =
      holder.rank == leader.rank && holder.incarnation == leader.incarnation ? holder.asked : Attachment{};
  holder = leader;
  holder.lease_until = lease_until;
  holder.asked = std::max(holder.asked, asked);
  holder.registered = registered || was_registered;
  place_of_[{leader.rank, leader.incarnation}] = position;
  return true;
}

void Placement::expire(Time now) {
  while (!leases_.empty() && leases_.front().until <= now) {
    const Lease lease = leases_.front();
    leases_.pop_front();
    const Holder* current = holder(lease.position);
    // The place may have been given to another since, or anew to the same.
    if (current == nullptr || current->registered || current->lease_until != lease.until) continue;
    release(Holder(*current));
  }
}

}  // namespace banyan::node
