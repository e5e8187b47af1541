#include "node/topology.hh"

#include <algorithm>
#include <tuple>

namespace banyan::node {

Topology::Topology(Rank self, std::shared_ptr<const wire::Table> table, Neighbour parent,
                   std::vector<Neighbour> children)
    : self_(self),
      table_(std::move(table)),
      shape_(table_->fan_out()),
      holds_position_(leads(self)),
      parent_(parent),
      children_(std::move(children)) {
  index_children();
}

Topology::Topology(Rank self, std::shared_ptr<const wire::Table> table, std::shared_ptr<const Members> members)
    : self_(self),
      table_(std::move(table)),
      members_(std::move(members)),
      shape_(table_->fan_out()),
      holds_position_(leads(self)) {
  const auto neighbour = [](Rank rank, Position place) {
    return Neighbour{LinkId{std::uint64_t{raw(rank)} + 1}, rank, place};
  };
  const Position own = members_->position(self);
  if (!holds_position_) {
    parent_ = neighbour(members_->leader(self), kNoPosition);
    return;
  }
  if (own != tree::kRootPosition) {
    const Position above = shape_.parent(own);
    parent_ = neighbour(members_->leader_at(above), above);
  }
  for (std::uint32_t member = 0; member < members_->size(); ++member) {
    if (Rank{member} != self && members_->position(Rank{member}) == own)
      children_.push_back(neighbour(Rank{member}, kNoPosition));
  }
  const std::uint64_t first = shape_.first_child(own);
  for (std::uint64_t place = first; place < std::min<std::uint64_t>(first + shape_.fan_out(), members_->leaders());
       ++place) {
    const Position below{static_cast<std::uint32_t>(place)};
    children_.push_back(neighbour(members_->leader_at(below), below));
  }
  index_children();
}

void Topology::index_children() {
  std::ranges::sort(children_, {},
                    [](const Neighbour& n) { return std::tuple(n.position != kNoPosition, n.position, n.rank); });
  for (std::size_t i = 0; i < children_.size(); ++i) {
    const Neighbour& child = children_[i];
    index_of_link_[child.link] = i;
    if (child.position == kNoPosition) {
      local_links_[child.rank] = child.link;
    } else {
      tree_links_[child.position] = child.link;
    }
  }
}

std::size_t Topology::child_index(LinkId link) const {
  const auto at = index_of_link_.find(link);
  return at == index_of_link_.end() ? children_.size() : at->second;
}

LinkId Topology::next_hop(Rank target) const {
  if (!holds_position_) return parent_.link;
  const Position here = position(self_);
  const Position there = position(target);
  if (here == there) {
    const auto local = local_links_.find(target);
    return local == local_links_.end() ? kNoLink : local->second;
  }
  if (there == kNoPosition || !shape_.is_ancestor_or_self(here, there)) return parent_.link;
  const auto child = tree_links_.find(shape_.next_hop_down(here, there));
  return child == tree_links_.end() ? kNoLink : child->second;
}

bool Topology::lies_behind_others(Rank rank) const {
  const LinkId hop = rank == self_ ? kNoLink : next_hop(rank);
  if (hop == kNoLink) return false;
  return (hop == parent_.link ? parent_ : children_[child_index(hop)]).rank != rank;
}

wire::Ends Topology::ends_to(Rank target) const {
  return {self_, target, table_->incarnation(self_), table_->incarnation(target)};
}

void Topology::remove_child(LinkId link) {
  const std::size_t index = child_index(link);
  if (index == children_.size()) return;
  local_links_.erase(children_[index].rank);
  if (children_[index].position != kNoPosition) tree_links_.erase(children_[index].position);
}

}  // namespace banyan::node
