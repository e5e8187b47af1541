// How the collectives of one rank reach its neighbours: frames are made here, and nowhere else.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <vector>

#include "node/collective_hosts.hh"
#include "node/effects.hh"
#include "node/member_links.hh"
#include "node/topology.hh"
#include "wire/collective.hh"

namespace banyan::node {

// To whom of those below: all children, or those that are ranks of this host.
enum class Reach : std::uint8_t { subtree, host };

class CollectiveLinks {
 public:
  // All outlive this object. `member_links`: how neighbours are reached where the tree is not the job's own.
  CollectiveLinks(const Topology& topology, Effects& effects, MemberLinks* member_links)
      : topology_(topology),
        effects_(effects),
        member_links_(member_links),
        host_children_(
            static_cast<std::size_t>(std::ranges::count_if(topology.children(), std::not_fn(&Neighbour::leads)))),
        left_(topology.children().size(), false) {}

  const Topology& topology() const { return topology_; }
  std::uint32_t world_size() const { return topology_.world_size(); }
  Rank self() const { return topology_.self(); }
  bool is_root() const { return topology_.is_root(); }
  LinkId parent() const { return topology_.parent().link; }
  std::size_t child_count() const { return left_.size(); }
  // The first of the children are ranks of this host.
  std::size_t host_children() const { return host_children_; }
  // Made when it is first asked for.
  const Hosts& hosts();

  // Votes, bytes and what must keep its place among them travel as data: they never overtake each other on a link.
  // `feeder`: the link whose bytes these are, if they are only passed on.
  void send_data(LinkId to, const wire::Collective& head, const Payload& tail = {}, LinkId feeder = kNoLink);
  // The same to every child that is there.
  void send_data_down(const wire::Collective& head, const Payload& tail = {}, LinkId feeder = kNoLink,
                      Reach reach = Reach::subtree);
  // A chunk of a stream of head.total bytes that all ranks are given. Children that share memory get none of a large
  // one, but all of it from enclose_down().
  void send_stream_down(const wire::Collective& head, const Payload& chunk, LinkId feeder = kNoLink,
                        Reach reach = Reach::subtree);
  // The same, to the parent too, but not back to `from` (kNoLink: the bytes start here).
  void flood_stream(LinkId from, const wire::Collective& head, const Payload& chunk);
  // The whole stream, once it is here; for every call of the two above. Nothing goes back to `from`. Returns the same
  // bytes, to go on with: where it was enclosed, those that this rank shares with its children.
  [[nodiscard]] Payload enclose_down(wire::Collective head, const Payload& stream, LinkId from = kNoLink,
                                     Reach reach = Reach::subtree);

  // `feeder`: the link that made this rank say it.
  void send_control(LinkId to, const wire::Collective& head, const Payload& tail = {}, LinkId feeder = kNoLink);
  void send_control_down(const wire::Collective& head, const Payload& tail = {}, LinkId feeder = kNoLink);

  // Nothing is sent to this child any more.
  void child_left(std::size_t child) { left_[child] = true; }
  bool has_left(std::size_t child) const { return left_[child]; }

 private:
  std::size_t reached(Reach reach) const { return reach == Reach::host ? host_children() : child_count(); }
  bool is_enclosed(std::size_t child, std::uint64_t bytes) const {
    return bytes >= topology_.children()[child].enclose_bytes;
  }

  Payload frame_of(const wire::Collective& head, const Payload& tail) const;
  void send(LinkId to, FrameClass frame_class, const Payload& frame, LinkId feeder);

  const Topology& topology_;
  Effects& effects_;
  MemberLinks* member_links_;
  const std::size_t host_children_;
  std::vector<bool> left_;  // by the child's place in Topology::children()
  std::optional<Hosts> hosts_;
};

// Hands a stream that comes in pieces to the ranks of this host. The pieces are whole chunks, but for the last.
class HostStream {
 public:
  // `links` outlives this object. `head`: of the operation, with the stream's bytes as its total. `source`: the link to
  // whoever has the stream already.
  HostStream(CollectiveLinks& links, const wire::Collective& head, LinkId source)
      : links_(links), head_(head), source_(source) {}

  void add(const Payload& piece);
  bool complete() const { return bytes_.size() == head_.total; }
  const Payload& bytes() const { return bytes_; }

 private:
  CollectiveLinks& links_;
  wire::Collective head_;
  LinkId source_;
  Payload bytes_;
};

}  // namespace banyan::node
