// The root's knowledge of who holds which place: it allots positions to leaders in order of arrival, keeps each as a
// lease until the leader's record has come, and finds another parent for those who can't reach theirs. At a listed host
// that others ask it only allots: who comes, and stays, is for the root to know.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/endpoint.hh"
#include "base/ids.hh"
#include "base/time.hh"
#include "tree/shares.hh"

namespace banyan::node {

class Placement {
 public:
  struct Holder {
    Rank rank{};
    Incarnation incarnation{};
    Endpoint endpoint;
    std::string host;
    Attachment asked{};  // when it asked for this place: what it sent before is stale
    bool registered = false;
    Time lease_until = kNever;
  };
  struct Place {
    Position position{};
    Position parent{};
  };

  // Kept by `self` on `host`, which stands at `own`, a listed position.
  Placement(const tree::Shares& shares, Position own, Rank self, std::string host, std::uint32_t world_size,
            Duration lease);

  // A place for this leader, whose parent is not `unreachable` (at the root). None: every place is taken or useless to
  // it.
  std::optional<Place> allot(Time now, const Holder& leader, Rank unreachable);
  // Whether the leader was sent there, or knows its own place: nobody else comes to the root's side.
  bool may_take(Position position, const Holder& leader) const;
  // A leader that came to its place by itself or whose record has come. False: somebody else holds the place.
  bool claim(Position position, const Holder& leader, bool registered);
  // Whether a leader's record was made before it asked for the place that it has now.
  bool stale(Rank leader, Incarnation incarnation, Attachment attachment) const;
  // Who holds the position; null: nobody known.
  const Holder* holder(Position position) const;
  // The leader's place is free again.
  void release(const Holder& leader);
  // Leases that have run out become free places.
  void expire(Time now);
  Time deadline() const { return leases_.empty() ? kNever : leases_.front().until; }

 private:
  struct Lease {
    Time until;
    Position position;
  };
  bool is_root() const { return own_ == tree::kRootPosition; }
  bool usable(Position position, Rank unreachable) const;
  std::optional<Position> find(Rank unreachable);
  std::optional<Position> find_anywhere(Rank unreachable) const;
  Place take(Time now, Position position, const Holder& leader);

  tree::Shares shares_;
  Position own_;
  std::string host_;
  Duration lease_;
  std::map<Position, Holder> holders_;
  std::map<std::pair<Rank, Incarnation>, Position> place_of_;  // of leases and registered leaders
  std::map<Rank, std::uint32_t> complaints_;
  std::set<Position> free_;  // of its share, below next_
  std::uint32_t next_;
  const std::uint32_t world_size_;
  const std::uint32_t end_;  // of the places: more than the job can fill, however its hosts are spread over the shares
  std::deque<Lease> leases_;
};

}  // namespace banyan::node
