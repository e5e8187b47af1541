#include "node/placement.hh"

#include <algorithm>

namespace banyan::node {
namespace {

// After so many parents that it could not reach, a process gets the root itself as its parent.
constexpr std::uint32_t kComplaintsBeforeReserved = 3;
// The places of so many parents are looked at for one request; a request that fails is repeated a little later.
constexpr std::uint32_t kParentsTried = 16;

bool is_of(const Placement::Holder& holder, const Placement::Holder& leader) {
  return holder.rank == leader.rank && holder.incarnation == leader.incarnation;
}

// Without a list no more places than twice what the job can fill. Of K children of a listed host K-1 are its share, and
// listed hosts may stand on two levels: then N hosts fill places below N * K^3 / (K-1)^2.
std::uint32_t end_of_places(const tree::Shares& shares, std::uint32_t world_size) {
  const std::uint64_t fan_out = shares.shape().fan_out();
  const std::uint64_t end = shares.listed() == 1 ? 2 * std::uint64_t{world_size} + kParentsTried * fan_out
                                                 : 4 * fan_out * (world_size + kParentsTried);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(end, raw(tree::kBesidePosition)));
}

}  // namespace

Placement::Placement(const tree::Shares& shares, Position own, Rank self, std::string host, std::uint32_t world_size,
                     Duration lease)
    : shares_(shares),
      own_(own),
      host_(std::move(host)),
      lease_(lease),
      next_(shares.listed()),
      world_size_(world_size),
      end_(end_of_places(shares, world_size)) {
  holders_[own] = Holder{self, {}, {}, {}, {}, true};
}

bool Placement::may_take(Position position, const Holder& leader) const {
  const Holder* here = holder(position);
  return shares_.listed(position) || (here != nullptr && is_of(*here, leader));
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
  const Position parent = shares_.shape().parent(position);
  const Holder* above = holder(parent);
  if (unreachable != kNoRank) return above != nullptr && above->registered && above->rank != unreachable;
  return above != nullptr || shares_.listed(parent);
}

void Placement::release(const Holder& leader) {
  const auto at = place_of_.find({leader.rank, leader.incarnation});
  if (at == place_of_.end()) return;
  if (const auto held = holders_.find(at->second); held != holders_.end() && is_of(held->second, leader)) {
    holders_.erase(held);
  }
  const Position left = at->second;
  place_of_.erase(at);
  if (shares_.listed(left) || raw(left) >= next_) return;
  if (shares_.allotter(left) == own_) free_.insert(left);
}

Placement::Place Placement::take(Time now, Position position, const Holder& leader) {
  // Somebody may have come there without being sent.
  if (const Holder* before = holder(position)) place_of_.erase({before->rank, before->incarnation});
  Holder& holder = holders_[position] = leader;
  place_of_[{leader.rank, leader.incarnation}] = position;
  if (is_root()) {
    holder.lease_until = after(now, lease_);
    leases_.push_back(Lease{holder.lease_until, position});
  }
  return Place{position, shares_.shape().parent(position)};
}

std::optional<Placement::Place> Placement::allot(Time now, const Holder& leader, Rank unreachable) {
  release(leader);
  // At a listed host no lease ends; there are no more honest leaders than ranks.
  if (holders_.size() > world_size_ && !is_root()) return std::nullopt;
  // Whoever leads the root's own host needs nobody else to reach the root.
  if (is_root() && leader.host == host_ && holder(tree::kBesidePosition) == nullptr)
    return take(now, tree::kBesidePosition, leader);
  const bool complains = unreachable != kNoRank;
  const bool reserved_is_free = is_root() && holder(tree::kReservedPosition) == nullptr;
  if (complains && ++complaints_[leader.rank] >= kComplaintsBeforeReserved && reserved_is_free)
    return take(now, tree::kReservedPosition, leader);
  std::optional<Position> place = find(unreachable);
  if (!place && complains && is_root()) place = find_anywhere(unreachable);
  if (!place && reserved_is_free) place = tree::kReservedPosition;
  if (!place) return std::nullopt;
  return take(now, *place, leader);
}

// The first usable place of this share, of those that are looked at.
std::optional<Position> Placement::find(Rank unreachable) {
  const std::uint32_t most = kParentsTried * shares_.shape().fan_out() + 1;
  std::uint32_t tried = 0;
  for (auto at = free_.begin(); at != free_.end() && tried < most; ++at, ++tried) {
    const Position position = *at;
    if (!usable(position, unreachable)) continue;
    free_.erase(at);
    return position;
  }
  while (next_ < end_ && shares_.allotter(Position{next_}) != own_) ++next_;
  // A parent's places lie side by side.
  const std::uint32_t end = std::min(next_ + most, end_);
  for (std::uint32_t candidate = next_; candidate < end; ++candidate) {
    const Position position{candidate};
    if (shares_.allotter(position) != own_ || !usable(position, unreachable)) continue;
    // What is passed over stays free for others.
    for (; next_ < candidate; ++next_) {
      if (shares_.allotter(Position{next_}) == own_) free_.insert(Position{next_});
    }
    ++next_;
    return position;
  }
  return std::nullopt;
}

// A usable place of whatever share. Another host may give it away at the same time; then its parent decides.
std::optional<Position> Placement::find_anywhere(Rank unreachable) const {
  const std::uint32_t end = std::min(shares_.listed() + kParentsTried * shares_.shape().fan_out() + 1, end_);
  for (std::uint32_t candidate = shares_.listed(); candidate < end; ++candidate) {
    const Position position{candidate};
    if (holder(position) == nullptr && usable(position, unreachable)) return position;
  }
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
