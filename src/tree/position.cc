#include "tree/position.hh"

#include "base/assert.hh"

namespace banyan::tree {

Position Shape::parent(Position position) const {
  BANYAN_ASSERT(position != kRootPosition && position != kNoPosition);
  if (raw(position) >= raw(kBesidePosition)) return kRootPosition;
  return Position{(raw(position) - 1) / fan_out_};
}

std::uint32_t Shape::depth(Position position) const {
  std::uint32_t depth = 0;
  for (; position != kRootPosition; position = parent(position)) ++depth;
  return depth;
}

bool Shape::is_ancestor_or_self(Position ancestor, Position position) const {
  // A parent's number is below its child's, so the climb can stop as soon as it has passed the ancestor.
  while (position != kRootPosition && raw(position) > raw(ancestor)) position = parent(position);
  return position == ancestor;
}

Position Shape::next_hop_down(Position from, Position to) const {
  for (Position above = parent(to);; above = parent(to)) {
    if (above == from) return to;
    BANYAN_ASSERT(above != kRootPosition);
    to = above;
  }
}

Position Shape::common_ancestor(Position a, Position b) const {
  while (a != b) {
    if (raw(a) > raw(b)) {
      a = parent(a);
    } else {
      b = parent(b);
    }
  }
  return a;
}

std::uint32_t Shape::distance(Position a, Position b) const {
  return depth(a) + depth(b) - 2 * depth(common_ancestor(a, b));
}

}  // namespace banyan::tree
