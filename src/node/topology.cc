#include "node/topology.hh"

#include <algorithm>
#include <tuple>

namespace banyan::node {

Topology::Topology(Rank self, std::shared_ptr<const wire::Table> table, Neighbour parent,
                   std::vector<Neighbour> children)
    : self_(self),
      table_(std::move(table)),
      shape_(table_->fan_out()),
      holds_position_(table_->leader(self) == self),
      parent_(parent),
      children_(std::move(children)) {
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
  const Position here = table_->position(self_);
  const Position there = table_->position(target);
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
