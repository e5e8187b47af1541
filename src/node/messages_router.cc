#include "node/messages_router.hh"

#include <type_traits>

namespace banyan::node {

bool MessageRouter::of_this_life(const wire::Ends& ends) const {
  return ends == ends_to(ends.source, ends.lane).reversed();
}

bool MessageRouter::reachable(Rank rank, LinkId leaving) const {
  if (rank == self() || direct_.link_to(rank) != kNoLink) return true;
  const LinkId hop = topology_.next_hop(rank);
  return hop != kNoLink && hop != leaving;
}

LinkId MessageRouter::way_to(Rank target) const {
  const LinkId direct = direct_.link_to(target);
  return direct != kNoLink ? direct : route_to(target);
}

bool MessageRouter::can_come(const wire::Ends& ends, LinkId link) const {
  if (const Rank peer = direct_.peer_of(link); peer != kNoRank) return ends.source == peer && ends.target == self();
  return ends.source != self() && topology_.next_hop(ends.source) == link;
}

template <typename Message>
bool MessageRouter::forward(LinkId way, const Message& message, const Payload& tail, FrameClass frame_class,
                            LinkId from) {
  if (message.ends.target == self()) {
    if constexpr (std::is_same_v<Message, wire::Data>) {
      looped_.push_back(ArrivedData{message, tail});
    } else {
      looped_.push_back(message);
    }
    return true;
  }
  // Back to where it came from would be a loop: somebody's idea of the tree is wrong.
  if (way == kNoLink || way == from) return false;
  effects_.send(way, frame_class, wire::encode(message, topology_.epoch(), tail), from);
  return true;
}

void MessageRouter::send_by(LinkId way, const wire::Data& head, const Payload& bytes) {
  if (!forward(way, head, bytes, FrameClass::data, kNoLink)) refuse(head.ends, head.sequence);
}

void MessageRouter::send_by(LinkId way, const wire::Grant& grant) {
  if (!forward(way, grant, {}, FrameClass::control, kNoLink)) refuse(grant);
}

void MessageRouter::send_by(LinkId way, const wire::Accept& accept) {
  forward(way, accept, {}, FrameClass::control, kNoLink);
}

void MessageRouter::route(const wire::Data& head, const Payload& bytes, LinkId from) {
  if (!forward(route_to(head.ends.target), head, bytes, FrameClass::data, from)) refuse(head.ends, head.sequence);
}

void MessageRouter::route(const wire::Grant& grant, LinkId from) {
  if (!forward(route_to(grant.ends.target), grant, {}, FrameClass::control, from)) refuse(grant);
}

void MessageRouter::route(const wire::Accept& accept, LinkId from) {
  forward(route_to(accept.ends.target), accept, {}, FrameClass::control, from);
}

void MessageRouter::route(const wire::Undeliverable& news, LinkId from) {
  forward(route_to(news.ends.target), news, {}, FrameClass::control, from);
}

void MessageRouter::route(const wire::Direct& direct, LinkId from) {
  using enum wire::Direct::Word;
  const LinkId way = route_to(direct.ends.target);
  if (way != kNoLink && way != from) {
    effects_.send(way, FrameClass::data, wire::encode(direct, topology_.epoch()), from);
  } else if (direct.word != decline) {
    route(wire::Direct{direct.ends.reversed(), decline, 0, {}, kHasLeft});
  }
}

void MessageRouter::refuse(const wire::Ends& ends, Sequence sequence, LinkId way) {
  refuse(wire::Undeliverable{ends.reversed(), sequence, false, kHasLeft}, way);
}

void MessageRouter::refuse(const wire::Grant& grant, LinkId way) {
  refuse(wire::Undeliverable{grant.ends.reversed(), grant.sequence, true, kHasLeft}, way);
}

void MessageRouter::refuse(const wire::Undeliverable& news, LinkId way) {
  forward(is_direct(way) ? way : route_to(news.ends.target), news, {}, FrameClass::control, kNoLink);
}

std::optional<ArrivedFrame> MessageRouter::next_looped() {
  if (looped_.empty()) return std::nullopt;
  ArrivedFrame frame = std::move(looped_.front());
  looped_.pop_front();
  return frame;
}

}  // namespace banyan::node
