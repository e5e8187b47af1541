// How the collectives of one rank reach its neighbours: frames are made here, and nowhere else.
#pragma once

#include <vector>

#include "node/effects.hh"
#include "node/member_links.hh"
#include "node/topology.hh"
#include "wire/collective.hh"

namespace banyan::node {

class CollectiveLinks {
 public:
  // All outlive this object. `member_links`: how neighbours are reached where the tree is not the job's own.
  CollectiveLinks(const Topology& topology, Effects& effects, MemberLinks* member_links)
      : topology_(topology), effects_(effects), member_links_(member_links), left_(topology.children().size(), false) {}

  const Topology& topology() const { return topology_; }
  std::uint32_t world_size() const { return topology_.world_size(); }
  Rank self() const { return topology_.self(); }
  bool is_root() const { return topology_.is_root(); }
  LinkId parent() const { return topology_.parent().link; }
  std::size_t child_count() const { return left_.size(); }

  // Votes, bytes and what must keep its place among them travel as data: they never overtake each other on a link.
  // `feeder`: the link whose bytes these are, if they are only passed on.
  void send_data(LinkId to, const wire::Collective& head, const Payload& tail = {}, LinkId feeder = kNoLink);
  // The same to every child that is there.
  void send_data_down(const wire::Collective& head, const Payload& tail = {}, LinkId feeder = kNoLink);
  // A chunk of a stream of head.total bytes that all ranks are given. Children that share memory get none of a large
  // one, but all of it from enclose_down().
  void send_stream_down(const wire::Collective& head, const Payload& chunk, LinkId feeder = kNoLink);
  // The same, to the parent too, but not back to `from` (kNoLink: the bytes start here).
  void flood_stream(LinkId from, const wire::Collective& head, const Payload& chunk);
  // The whole stream, once it is here; for every call of the two above. Nothing goes back to `from`.
  void enclose_down(wire::Collective head, const Payload& stream, LinkId from = kNoLink);

  // `feeder`: the link that made this rank say it.
  void send_control(LinkId to, const wire::Collective& head, const Payload& tail = {}, LinkId feeder = kNoLink);
  void send_control_down(const wire::Collective& head, const Payload& tail = {}, LinkId feeder = kNoLink);

  // Nothing is sent to this child any more.
  void child_left(std::size_t child) { left_[child] = true; }
  bool has_left(std::size_t child) const { return left_[child]; }

 private:
  bool is_enclosed(std::size_t child, std::uint64_t bytes) const {
    return bytes >= topology_.children()[child].enclose_bytes;
  }

  Payload frame_of(const wire::Collective& head, const Payload& tail) const;
  void send(LinkId to, FrameClass frame_class, const Payload& frame, LinkId feeder);

  const Topology& topology_;
  Effects& effects_;
  MemberLinks* member_links_;
  std::vector<bool> left_;  // by the child's place in Topology::children()
};

}  // namespace banyan::node
