#include "node/collective_links.hh"

#include <algorithm>

#include "base/assert.hh"
#include "base/canary.hh"
#include "node/collective_stream.hh"

namespace banyan::node {

const Hosts& CollectiveLinks::hosts() {
  if (!hosts_) hosts_.emplace(topology_);
  return *hosts_;
}

Payload CollectiveLinks::frame_of(const wire::Collective& head, const Payload& tail) const {
  return member_links_ != nullptr ? wire::encode_unframed(head, tail) : wire::encode(head, topology_.epoch(), tail);
}

void CollectiveLinks::send(LinkId to, FrameClass frame_class, const Payload& frame, LinkId feeder) {
  if (member_links_ != nullptr) {
    member_links_->send(to, frame_class, frame, feeder);
  } else {
    effects_.send(to, frame_class, frame, feeder);
  }
}

void CollectiveLinks::send_data(LinkId to, const wire::Collective& head, const Payload& tail, LinkId feeder) {
  BANYAN_ASSERT(to != kNoLink);
  send(to, FrameClass::data, frame_of(head, tail), feeder);
}

void CollectiveLinks::send_data_down(const wire::Collective& head, const Payload& tail, LinkId feeder, Reach reach) {
  const std::size_t children = reached(reach);
  if (children == 0) return;
  const Payload frame = frame_of(head, tail);
  for (std::size_t i = 0; i < children; ++i) {
    if (!left_[i]) send(topology_.children()[i].link, FrameClass::data, frame, feeder);
  }
}

void CollectiveLinks::send_stream_down(const wire::Collective& head, const Payload& chunk, LinkId feeder, Reach reach) {
  const std::size_t children = reached(reach);
  if (children == 0) return;
  const Payload frame = frame_of(head, chunk);
  for (std::size_t i = 0; i < children; ++i) {
    const LinkId child = topology_.children()[i].link;
    if (!left_[i] && child != feeder && !is_enclosed(i, head.total)) send(child, FrameClass::data, frame, feeder);
  }
}

void CollectiveLinks::flood_stream(LinkId from, const wire::Collective& head, const Payload& chunk) {
  if (!is_root() && from != parent()) send_data(parent(), head, chunk, from);
  send_stream_down(head, chunk, from);
}

Payload CollectiveLinks::enclose_down(wire::Collective head, const Payload& stream, LinkId from, Reach reach) {
  Payload frame;
  wire::Enclosure enclosure;
  for (std::size_t i = 0; i < reached(reach); ++i) {
    const LinkId child = topology_.children()[i].link;
    if (left_[i] || child == from || !is_enclosed(i, stream.size())) continue;
    if (canary(Canary::enclosure_forgotten) && i + 1 == child_count()) continue;
    if (!enclosure) {
      enclosure = std::make_shared<const Payload>(effects_.to_enclose(stream));
      head.offset = 0;
      frame = wire::encode(head, topology_.epoch(), {}, wire::kEnclosesFlag);
    }
    effects_.send_enclosing(child, frame, enclosure);
  }
  return enclosure ? *enclosure : stream;
}

void CollectiveLinks::send_control(LinkId to, const wire::Collective& head, const Payload& tail, LinkId feeder) {
  BANYAN_ASSERT(to != kNoLink);
  send(to, FrameClass::control, frame_of(head, tail), feeder);
}

void CollectiveLinks::send_control_down(const wire::Collective& head, const Payload& tail, LinkId feeder) {
  if (child_count() == 0) return;
  const Payload frame = frame_of(head, tail);
  for (std::size_t i = 0; i < child_count(); ++i) {
    const LinkId child = topology_.children()[i].link;
    // The root's word goes to all, also to who made it speak: a link never waits for itself.
    if (!left_[i]) send(child, FrameClass::control, frame, child == feeder ? kNoLink : feeder);
  }
}

void HostStream::add(const Payload& piece) {
  for_each_piece(piece, chunk_bytes(head_), [this](std::uint64_t offset, const Payload& chunk) {
    head_.offset = bytes_.size() + offset;
    links_.send_stream_down(head_, chunk, source_, Reach::host);
  });
  bytes_.append(piece);
  if (complete()) bytes_ = links_.enclose_down(head_, bytes_, source_, Reach::host);
}

}  // namespace banyan::node
