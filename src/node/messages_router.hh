// Which way the frames of messages go: over a direct link, over the link to the next hop, or, for this rank's messages
// to itself, round an inner loop that needs no network.
#pragma once

#include <list>
#include <optional>
#include <variant>

#include "node/direct_links.hh"
#include "node/effects.hh"
#include "node/topology.hh"
#include "wire/point_to_point.hh"

namespace banyan::node {

// A frame that has reached its target.
struct ArrivedData {
  wire::Data head;
  Payload bytes;
};
using ArrivedFrame = std::variant<ArrivedData, wire::Grant, wire::Accept, wire::Undeliverable>;

// Names a flow at one of its ends: the rank at the other, and its lane.
struct FlowName {
  Rank peer{};
  wire::Lane lane;
  friend auto operator<=>(const FlowName&, const FlowName&) = default;
};

// The one that a frame with these ends is about, or was sent in, as its target names it.
inline FlowName flow_of_source(const wire::Ends& ends) { return {ends.source, ends.lane}; }

// Calls visit(name, flow) for each flow with `peer`; `flows` is a map by FlowName.
template <typename Flows, typename Visit>
void for_each_flow_with(Rank peer, Flows& flows, Visit visit) {
  for (auto at = flows.lower_bound(FlowName{peer, {}}); at != flows.end() && at->first.peer == peer; ++at)
    visit(at->first, at->second);
}

class MessageRouter {
 public:
  // All outlive this object.
  MessageRouter(const Topology& topology, const DirectLinks& direct, Effects& effects)
      : topology_(topology), direct_(direct), effects_(effects) {}

  Rank self() const { return topology_.self(); }
  // This rank's ends of a flow to `target`.
  wire::Ends ends_to(Rank target, const wire::Lane& lane) const {
    wire::Ends ends = topology_.ends_to(target);
    ends.lane = lane;
    return ends;
  }
  // Whether a frame for this rank comes from, and means, the lives that the table knows.
  bool of_this_life(const wire::Ends& ends) const;
  // Whether a frame could be sent to `rank` once `leaving` is gone.
  bool reachable(Rank rank, LinkId leaving = kNoLink) const;
  // The way to `target` at this time: a direct link if there is one, else the next hop. kNoLink: it is this rank, or
  // there is none.
  LinkId way_to(Rank target) const;
  // The way that is always there, over the tree.
  LinkId route_to(Rank target) const { return target == self() ? kNoLink : topology_.next_hop(target); }
  bool is_direct(LinkId link) const { return direct_.peer_of(link) != kNoRank; }
  // Whether a frame of these ends can come by this link: nobody speaks for a rank that does not lie behind him, and a
  // direct link is for its own two ranks.
  bool can_come(const wire::Ends& ends, LinkId link) const;

  // Sends a frame of this rank's own by the link that its message goes by.
  void send_by(LinkId way, const wire::Data& head, const Payload& bytes);
  void send_by(LinkId way, const wire::Grant& grant);
  void send_by(LinkId way, const wire::Accept& accept);
  // Routes a frame. `from`: the link that it came by, if it is only passed on. What can't go on is dropped; if it is
  // Data or a Grant, or asks for a direct link, its source is told.
  void route(const wire::Data& head, const Payload& bytes, LinkId from = kNoLink);
  void route(const wire::Grant& grant, LinkId from = kNoLink);
  void route(const wire::Accept& accept, LinkId from = kNoLink);
  void route(const wire::Undeliverable& news, LinkId from = kNoLink);
  void route(const wire::Direct& direct, LinkId from = kNoLink);
  // Tells the source of `sequence` that it won't arrive. `ends`: those of its Data frames. `way`: by which they came,
  // behind all that this rank has said of it; here and below another one than a direct link means the tree.
  void refuse(const wire::Ends& ends, Sequence sequence, LinkId way = kNoLink);
  // Tells who sent the grant that what it waits for won't come.
  void refuse(const wire::Grant& grant, LinkId way = kNoLink);

  // The next frame of the inner loop.
  std::optional<ArrivedFrame> next_looped();

 private:
  void refuse(const wire::Undeliverable& news, LinkId way);
  // False: there is no way, or it leads back to where the frame came from.
  template <typename Message>
  bool forward(LinkId way, const Message& message, const Payload& tail, FrameClass frame_class, LinkId from);

  const Topology& topology_;
  const DirectLinks& direct_;
  Effects& effects_;
  std::list<ArrivedFrame> looped_;
};

}  // namespace banyan::node
