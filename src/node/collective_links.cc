#include "node/collective_links.hh"

#include "base/assert.hh"

namespace banyan::node {

void CollectiveLinks::send_data(LinkId to, const wire::Collective& head, const Payload& tail, LinkId feeder) {
  BANYAN_ASSERT(to != kNoLink);
  effects_.send(to, FrameClass::data, wire::encode(head, topology_.epoch(), tail), feeder);
}

void CollectiveLinks::send_data_down(const wire::Collective& head, const Payload& tail, LinkId feeder) {
  if (child_count() == 0) return;
  const Payload frame = wire::encode(head, topology_.epoch(), tail);
  for (std::size_t i = 0; i < child_count(); ++i) {
    if (!left_[i]) effects_.send(topology_.children()[i].link, FrameClass::data, frame, feeder);
  }
}

void CollectiveLinks::flood(LinkId from, const wire::Collective& head, const Payload& tail) {
  const Payload frame = wire::encode(head, topology_.epoch(), tail);
  if (!is_root() && from != parent()) effects_.send(parent(), FrameClass::data, frame, from);
  for (std::size_t i = 0; i < child_count(); ++i) {
    const LinkId child = topology_.children()[i].link;
    if (!left_[i] && child != from) effects_.send(child, FrameClass::data, frame, from);
  }
}

void CollectiveLinks::send_control(LinkId to, const wire::Collective& head, const Payload& tail, LinkId feeder) {
  BANYAN_ASSERT(to != kNoLink);
  effects_.send(to, FrameClass::control, wire::encode(head, topology_.epoch(), tail), feeder);
}

void CollectiveLinks::send_control_down(const wire::Collective& head, const Payload& tail, LinkId feeder) {
  if (child_count() == 0) return;
  const Payload frame = wire::encode(head, topology_.epoch(), tail);
  for (std::size_t i = 0; i < child_count(); ++i) {
    const LinkId child = topology_.children()[i].link;
    // The root's word goes to all, also to who made it speak: a link never waits for itself.
    if (!left_[i]) effects_.send(child, FrameClass::control, frame, child == feeder ? kNoLink : feeder);
  }
}

}  // namespace banyan::node
