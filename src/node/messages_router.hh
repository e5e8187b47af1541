// Which way the frames of messages go: over the link to the next hop, or, for this rank's messages to itself, round
// an inner loop that needs no network.
#pragma once

#include <list>
#include <optional>
#include <variant>

#include "node/effects.hh"
#include "node/topology.hh"
#include "wire/point_to_point.hh"

namespace banyan::node {

inline constexpr const char* kHasLeft = "the rank has left";

// A frame that has reached its target.
struct ArrivedData {
  wire::Data head;
  Payload bytes;
};
using ArrivedFrame = std::variant<ArrivedData, wire::Grant, wire::Accept, wire::Undeliverable>;

class MessageRouter {
 public:
  // Both outlive this object.
  MessageRouter(const Topology& topology, Effects& effects) : topology_(topology), effects_(effects) {}

  Rank self() const { return topology_.self(); }
  // This rank's ends of the flow to `target`.
  wire::Ends ends_to(Rank target) const;
  // Whether a frame for this rank comes from, and means, the lives that the table knows.
  bool of_this_life(const wire::Ends& ends) const;
  // Whether a frame could be sent to `rank` once `leaving` is gone.
  bool reachable(Rank rank, LinkId leaving = kNoLink) const;
  // The link to `target`; kNoLink: it is this rank, or there is none.
  LinkId hop_to(Rank target) const { return target == self() ? kNoLink : topology_.next_hop(target); }
  // Whether a frame of `source` can come by this link.
  bool comes_from(Rank source, LinkId link) const { return source != self() && topology_.next_hop(source) == link; }

  // Sends a frame on its way. `from`: the link that it came by, if it is only passed on. What can't go on is dropped;
  // if it is Data or a Grant its source is told.
  void send(const wire::Data& head, const Payload& bytes, LinkId from = kNoLink);
  void send(const wire::Grant& grant, LinkId from = kNoLink);
  void send(const wire::Accept& accept, LinkId from = kNoLink);
  void send(const wire::Undeliverable& news, LinkId from = kNoLink);
  // Tells the source of `sequence` that it won't arrive. `ends`: those of its Data frames.
  void refuse(const wire::Ends& ends, Sequence sequence);
  // Tells who sent the grant that what it waits for won't come.
  void refuse(const wire::Grant& grant);

  // The next frame of the inner loop.
  std::optional<ArrivedFrame> next_looped();

 private:
  template <typename Message>
  bool forward(const Message& message, const Payload& tail, FrameClass frame_class, LinkId from);

  const Topology& topology_;
  Effects& effects_;
  std::list<ArrivedFrame> looped_;
};

}  // namespace banyan::node
