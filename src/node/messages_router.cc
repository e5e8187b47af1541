#include "node/messages_router.hh"

#include <type_traits>

namespace banyan::node {
wire::Ends MessageRouter::ends_to(Rank target) const {
  const wire::Table& table = topology_.table();
  return {self(), target, table.incarnation(self()), table.incarnation(target)};
}

bool MessageRouter::of_this_life(const wire::Ends& ends) const { return ends == ends_to(ends.source).reversed(); }

bool MessageRouter::reachable(Rank rank, LinkId leaving) const {
  if (rank == self()) return true;
  const LinkId hop = topology_.next_hop(rank);
  return hop != kNoLink && hop != leaving;
}

template <typename Message>
bool MessageRouter::forward(const Message& message, const Payload& tail, FrameClass frame_class, LinkId from) {
  const Rank target = message.ends.target;
  if (target == self()) {
    if constexpr (std::is_same_v<Message, wire::Data>) {
      looped_.push_back(ArrivedData{message, tail});
    } else {
      looped_.push_back(message);
    }
    return true;
  }
  const LinkId hop = topology_.next_hop(target);
  // Back to where it came from would be a loop: somebody's idea of the tree is wrong.
  if (hop == kNoLink || hop == from) return false;
  effects_.send(hop, frame_class, wire::encode(message, topology_.epoch(), tail), from);
  return true;
}

void MessageRouter::send(const wire::Data& head, const Payload& bytes, LinkId from) {
  if (!forward(head, bytes, FrameClass::data, from)) refuse(head.ends, head.sequence);
}

void MessageRouter::send(const wire::Grant& grant, LinkId from) {
  if (!forward(grant, {}, FrameClass::control, from)) refuse(grant);
}

void MessageRouter::send(const wire::Accept& accept, LinkId from) { forward(accept, {}, FrameClass::control, from); }

void MessageRouter::send(const wire::Undeliverable& news, LinkId from) { forward(news, {}, FrameClass::control, from); }

void MessageRouter::refuse(const wire::Ends& ends, Sequence sequence) {
  send(wire::Undeliverable{ends.reversed(), sequence, false, kHasLeft});
}

void MessageRouter::refuse(const wire::Grant& grant) {
  send(wire::Undeliverable{grant.ends.reversed(), grant.sequence, true, kHasLeft});
}

std::optional<ArrivedFrame> MessageRouter::next_looped() {
  if (looped_.empty()) return std::nullopt;
  ArrivedFrame frame = std::move(looped_.front());
  looped_.pop_front();
  return frame;
}

}  // namespace banyan::node
