#include "node/messages_outbound.hh"

#include <algorithm>

#include "node/messages_inbound.hh"

namespace banyan::node {

static_assert(kEagerMessageBytes <= kChunkBytes, "a message that is sent unasked is one frame");

namespace {

// Granted bytes that wait for one link, over all messages: as much as the engine hands to the driver ahead, so that the
// link never runs dry.
constexpr std::uint64_t kMaxGrantedQueuedBytes = 256 * 1024;

}  // namespace

void OutboundMessages::send(CallId id, Rank target, const wire::Tag& tag, Payload message) {
  Flow& flow = flows_[target];
  flow.waiting.push_back(Message{.call = id, .tag = tag, .bytes = std::move(message)});
  announce_more(target, flow);
}

void OutboundMessages::announce_more(Rank target, Flow& flow) {
  while (flow.in_flight.size() < kMaxMessagesInFlight && !flow.waiting.empty()) {
    const Sequence sequence{raw(flow.first) + flow.in_flight.size()};
    flow.in_flight.push_back(std::move(flow.waiting.front()));
    flow.waiting.pop_front();
    announce(target, sequence, flow.in_flight.back());
  }
}

void OutboundMessages::announce(Rank target, Sequence sequence, Message& message) {
  message.way = router_.way_to(target);
  message.from = message.to = 0;
  const wire::Data head{router_.ends_to(target),        sequence, message.tag, 0, message.bytes.size(),
                        inbound_.accepted_below(target)};
  router_.send_by(message.way, head, message.bytes.size() <= kEagerMessageBytes ? message.bytes : Payload{});
}

void OutboundMessages::on_direct_link(Rank target) {
  const auto at = flows_.find(target);
  if (at == flows_.end()) return;
  Flow& flow = at->second;
  for (std::size_t i = 0; i < flow.in_flight.size(); ++i) {
    Message& message = flow.in_flight[i];
    if (message.done || message.bytes.size() <= kEagerMessageBytes) continue;
    announce(target, Sequence{raw(flow.first) + i}, message);
  }
}

void OutboundMessages::on_way_lost(Rank target, LinkId lost) {
  ways_.erase(lost);
  const auto at = flows_.find(target);
  if (at == flows_.end()) return;
  Flow& flow = at->second;
  for (std::size_t i = 0; i < flow.in_flight.size(); ++i) {
    Message& message = flow.in_flight[i];
    if (message.done) continue;
    if (message.refused) {
      refused(message, kHasLeft);
    } else if (message.way == lost || router_.route_to(target) == kNoLink) {
      // Where no route is left either, that refuses it.
      announce(target, Sequence{raw(flow.first) + i}, message);
    }
  }
  drop_done(target, flow);
}

bool OutboundMessages::busy(Rank target) const {
  const auto at = flows_.find(target);
  return at != flows_.end() && !at->second.in_flight.empty();
}

OutboundMessages::Message* OutboundMessages::find(Flow& flow, Sequence sequence) {
  if (sequence < flow.first || raw(sequence) - raw(flow.first) >= flow.in_flight.size()) return nullptr;
  Message& message = flow.in_flight[raw(sequence) - raw(flow.first)];
  return message.done ? nullptr : &message;
}

OutboundMessages::Message* OutboundMessages::find(Rank target, Sequence sequence) {
  const auto at = flows_.find(target);
  return at == flows_.end() ? nullptr : find(at->second, sequence);
}

bool OutboundMessages::cancel(CallId id, Rank target) {
  Flow& flow = flows_.at(target);
  for (Message& message : flow.in_flight) {
    if (message.call == id) {
      message.call.reset();
      return false;
    }
  }
  return std::erase_if(flow.waiting, [id](const Message& message) { return message.call == id; }) > 0;
}

void OutboundMessages::on_grant(const wire::Grant& grant, LinkId from) {
  const Rank target = grant.ends.source;
  Message* message = find(target, grant.sequence);
  if (message == nullptr || grant.to > message->bytes.size() || grant.from == grant.to) return;
  if (message->way != from) return;
  const LinkId link = message->way;
  Way& way = ways_[link];
  if (message->from == message->to) way.granted.emplace_back(target, grant.sequence);
  // More of the same, or else what the target asks for now stands for what it had asked for before.
  if (message->from == message->to || message->to != grant.from) message->from = grant.from;
  message->to = grant.to;
  send_granted(link, way);
}

void OutboundMessages::on_drained(LinkId link) {
  const auto at = ways_.find(link);
  if (at == ways_.end()) return;
  at->second.queued = 0;
  send_granted(link, at->second);
}

// A chunk of each message in turn. What this rank sends to itself needs no network, and waits for none.
void OutboundMessages::send_granted(LinkId link, Way& way) {
  while (!way.granted.empty() && (link == kNoLink || way.queued < kMaxGrantedQueuedBytes)) {
    const auto [target, sequence] = way.granted.front();
    way.granted.pop_front();
    Message* message = find(target, sequence);
    if (message == nullptr || message->way != link || message->from == message->to) continue;
    way.queued += std::min<std::uint64_t>(kChunkBytes, message->to - message->from);
    send_chunk(target, sequence, *message);
    if (message->from < message->to) way.granted.emplace_back(target, sequence);
  }
}

void OutboundMessages::send_chunk(Rank target, Sequence sequence, Message& message) {
  const std::uint64_t count = std::min<std::uint64_t>(kChunkBytes, message.to - message.from);
  const wire::Data head{router_.ends_to(target),        sequence, message.tag, message.from, message.bytes.size(),
                        inbound_.accepted_below(target)};
  router_.send_by(message.way, head, message.bytes.part(message.from, count));
  message.from += count;
}

void OutboundMessages::on_accept(const wire::Accept& accept) {
  if (Message* message = find(accept.ends.source, accept.sequence)) accepted(*message);
  on_acknowledged(accept.ends.source, accept.cumulative);
}

void OutboundMessages::on_acknowledged(Rank target, Sequence acknowledged) {
  const auto at = flows_.find(target);
  if (at == flows_.end()) return;
  Flow& flow = at->second;
  const std::uint64_t announced = raw(flow.first) + flow.in_flight.size();
  for (std::uint64_t i = raw(flow.first); i < std::min(raw(acknowledged), announced); ++i) {
    if (Message* message = find(flow, Sequence{i})) accepted(*message);
  }
  drop_done(target, flow);
}

void OutboundMessages::accepted(Message& message) {
  message.done = true;
  message.bytes = {};
  if (message.call) calls_.complete(*message.call, Payload{});
}

void OutboundMessages::on_undeliverable(const wire::Undeliverable& news, LinkId from) {
  const auto at = flows_.find(news.ends.source);
  if (at == flows_.end()) return;
  Message* message = find(at->second, news.sequence);
  if (message == nullptr) return;
  if (message->way != from && router_.is_direct(message->way)) {
    message->refused = true;
    return;
  }
  refused(*message, news.reason);
  drop_done(news.ends.source, at->second);
}

void OutboundMessages::refused(Message& message, const std::string& reason) {
  message.done = true;
  message.bytes = {};
  if (message.call) calls_.fail(*message.call, FailureCode::rank_left, reason);
}

void OutboundMessages::drop_done(Rank target, Flow& flow) {
  const auto open = std::ranges::find(flow.in_flight, false, &Message::done);
  flow.first = Sequence{raw(flow.first) + static_cast<std::uint64_t>(open - flow.in_flight.begin())};
  flow.in_flight.erase(flow.in_flight.begin(), open);
  announce_more(target, flow);
  // An idle flow is no more than its number.
  if (flow.in_flight.empty()) flow.in_flight.shrink_to_fit();
}

void OutboundMessages::drop_unreachable(LinkId leaving) {
  std::erase_if(flows_, [&](const auto& flow) { return !router_.reachable(flow.first, leaving); });
  ways_.erase(leaving);
}

void OutboundMessages::drop(Rank target) {
  const auto at = flows_.find(target);
  if (at == flows_.end()) return;
  at->second =
      Flow{.first = Sequence{raw(at->second.first) + at->second.in_flight.size()}, .in_flight = {}, .waiting = {}};
}

void OutboundMessages::clear() {
  flows_.clear();
  ways_.clear();
}

}  // namespace banyan::node
