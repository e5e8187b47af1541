// Where a place in the tree lies relative to the others: pure arithmetic on positions and fan-out.
// Positions are numbered breadth first: 0 is the root, the children of p are p*K+1 .. p*K+K. The root has two more
// children: the reserved position, a leaf for a process that no ordinary parent can serve, and the one beside it, a
// leaf for another leader of the root's own host.
#pragma once

#include <cstdint>

#include "base/ids.hh"

namespace banyan::tree {

inline constexpr Position kRootPosition{0};
// The root's extra children, below kNoPosition and above any ordinary position.
inline constexpr Position kReservedPosition{0xffff'fffe};
inline constexpr Position kBesidePosition{0xffff'fffd};
inline constexpr std::uint32_t kExtraChildren = 2;

class Shape {
 public:
  // fan_out >= 2, so that a climb to the root takes at most 32 steps.
  explicit Shape(std::uint32_t fan_out) : fan_out_(fan_out) {}

  std::uint32_t fan_out() const { return fan_out_; }
  // The parent of any position but the root.
  Position parent(Position position) const;
  // Steps up to the root: 0 for the root itself.
  std::uint32_t depth(Position position) const;
  bool is_ancestor_or_self(Position ancestor, Position position) const;
  // The child of `from` on the way down to `to`; `to` lies below `from`.
  Position next_hop_down(Position from, Position to) const;
  // The lowest common ancestor, where a routed message turns from up to down.
  Position common_ancestor(Position a, Position b) const;
  // Links that a message crosses between the two.
  std::uint32_t distance(Position a, Position b) const;
  // The first of fan_out() children; as a 64-bit number since it may pass the greatest position.
  std::uint64_t first_child(Position position) const { return std::uint64_t{raw(position)} * fan_out_ + 1; }

 private:
  std::uint32_t fan_out_;
};

// The fan-out when the user names none: what the simulation found best over all from 1,024 ranks on, or nearly
// (docs/design/0006). Three levels of it reach 4,369 hosts, four 69,905.
inline constexpr std::uint32_t kDefaultFanOut = 16;

}  // namespace banyan::tree
