// Who stands next to this rank in the formed tree, and which neighbour is the next hop to any other rank.
// Ranks form one tree: a leader's children are the local ranks of its host and the leaders placed under it.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "base/ids.hh"
#include "node/members.hh"
#include "tree/position.hh"
#include "wire/point_to_point.hh"
#include "wire/table.hh"

namespace banyan::node {

struct Neighbour {
  LinkId link = kNoLink;
  Rank rank{};
  Position position = kNoPosition;  // of a leader; kNoPosition: a local rank
  bool leads() const { return position != kNoPosition; }
  // A child is handed streams of this size and more as enclosures.
  std::uint64_t enclose_bytes = UINT64_MAX;
};

// The whole job's, or that of a communicator of some of its ranks (Members): then ranks are numbered as there, and
// links are named after the neighbour's rank. Immutable once made, except that children leave.
class Topology {
 public:
  // `parent` has kNoLink at the root. Children in any order.
  Topology(Rank self, std::shared_ptr<const wire::Table> table, Neighbour parent, std::vector<Neighbour> children);

  Topology(Rank self, std::shared_ptr<const wire::Table> table, std::shared_ptr<const Members> members);

  Rank self() const { return self_; }
  std::uint32_t fan_out() const { return table_->fan_out(); }
  // How many hosts it has: ranks that lead one, each at a position of its own.
  std::uint32_t hosts() const { return members_ ? members_->leaders() : table_->positions(); }
  bool leads(Rank rank) const { return (members_ ? members_->leader(rank) : table_->leader(rank)) == rank; }
  // Of the rank's leader.
  Position position(Rank rank) const { return members_ ? members_->position(rank) : table_->position(rank); }
  // How many ranks it has.
  std::uint32_t world_size() const { return members_ ? members_->size() : table_->world_size(); }
  // What the job calls the rank.
  Rank job_rank(Rank rank) const { return members_ ? members_->job_rank(rank) : rank; }
  // The job's, by job rank.
  const wire::Table& table() const { return *table_; }
  const std::shared_ptr<const wire::Table>& shared_table() const { return table_; }
  Epoch epoch() const { return table_->epoch(); }
  bool is_root() const { return parent_.link == kNoLink; }
  const Neighbour& parent() const { return parent_; }
  // Local ranks by rank, then leaders by position: the order in which contributions are reduced.
  const std::vector<Neighbour>& children() const { return children_; }
  // The place of the link in children(), or children().size().
  std::size_t child_index(LinkId link) const;
  // The neighbour on the way to `target`, which is another rank. kNoLink: there is none (it has left, or the table
  // lies).
  LinkId next_hop(Rank target) const;
  // Whether there is a way to `rank`, another rank, and it goes over ranks between.
  bool lies_behind_others(Rank rank) const;
  // This rank's ends of the flow of messages to `target`.
  wire::Ends ends_to(Rank target) const;
  // The child left in good order; its subtree with it. Routing to it ends; its index stays.
  void remove_child(LinkId link);

 private:
  void index_children();

  Rank self_;
  std::shared_ptr<const wire::Table> table_;
  std::shared_ptr<const Members> members_;  // null: all of the job
  tree::Shape shape_;
  bool holds_position_;
  Neighbour parent_;
  std::vector<Neighbour> children_;
  std::map<LinkId, std::size_t> index_of_link_;
  std::map<Rank, LinkId> local_links_;
  std::map<Position, LinkId> tree_links_;
};

}  // namespace banyan::node
