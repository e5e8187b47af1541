#include "node/collective_links.hh"

#include "base/assert.hh"
#include "base/canary.hh"

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

void CollectiveLinks::send_stream_down(const wire::Collective& head, const Payload& chunk, LinkId feeder) {
  if (child_count() == 0) return;
  const Payload frame = wire::encode(head, topology_.epoch(), chunk);
  for (std::size_t i = 0; i < child_count(); ++i) {
    const LinkId child = topology_.children()[i].link;
    if (!left_[i] && child != feeder && !is_enclosed(i, head.total))
      effects_.send(child, FrameClass::data, frame, feeder);
  }
}

void CollectiveLinks::flood_stream(LinkId from, const wire::Collective& head, const Payload& chunk) {
  if (!is_root() && from != parent()) send_data(parent(), head, chunk, from);
  send_stream_down(head, chunk, from);
}

void CollectiveLinks::enclose_down(wire::Collective head, const Payload& stream, LinkId from) {
  Payload frame;
  wire::Enclosure enclosure;
  for (std::size_t i = 0; i < child_count(); ++i) {
    const LinkId child = topology_.children()[i].link;
    if (left_[i] || child == from || !is_enclosed(i, stream.size())) continue;
    if (canary(Canary::enclosure_forgotten) && i + 1 == child_count()) continue;
    if (!enclosure) {
      enclosure = std::make_shared<const Payload>(stream);
      head.offset = 0;
      frame = wire::encode(head, topology_.epoch(), {}, wire::kEnclosesFlag);
    }
    effects_.send_enclosing(child, frame, enclosure);
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
