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
  const FlowName name{target, tag.lane};
  Flow& flow = flows_[name];
  flow.waiting.push_back(Message{.call = id, .tag = tag.number, .bytes = std::move(message)});
  announce_more(name, flow);
}

void OutboundMessages::announce_more(const FlowName& name, Flow& flow) {
  while (flow.in_flight.size() < kMaxMessagesInFlight && !flow.waiting.empty()) {
    const Sequence sequence{raw(flow.first) + flow.in_flight.size()};
    flow.in_flight.push_back(std::move(flow.waiting.front()));
    flow.waiting.pop_front();
    announce(name, sequence, flow.in_flight.back());
  }
}

wire::Data OutboundMessages::head_of(const FlowName& name, Sequence sequence, const Message& message,
                                     std::uint64_t offset) const {
  return {router_.ends_to(name.peer, name.lane), sequence, message.tag, offset, message.bytes.size(),
          inbound_.accepted_below(name)};
}

void OutboundMessages::announce(const FlowName& name, Sequence sequence, Message& message) {
  message.way = router_.way_to(name.peer);
  message.from = message.to = 0;
  const wire::Data head = head_of(name, sequence, message, 0);
  router_.send_by(message.way, head, message.bytes.size() <= kEagerMessageBytes ? message.bytes : Payload{});
}

void OutboundMessages::on_direct_link(Rank target) {
  for_each_flow_with(target, flows_, [this](const FlowName& name, Flow& flow) {
    for (std::size_t i = 0; i < flow.in_flight.size(); ++i) {
      Message& message = flow.in_flight[i];
      if (message.done || message.bytes.size() <= kEagerMessageBytes) continue;
      announce(name, Sequence{raw(flow.first) + i}, message);
    }
  });
}

void OutboundMessages::on_way_lost(Rank target, LinkId lost) {
  ways_.erase(lost);
  for_each_flow_with(target, flows_, [&](const FlowName& name, Flow& flow) {
    for (std::size_t i = 0; i < flow.in_flight.size(); ++i) {
      Message& message = flow.in_flight[i];
      if (message.done) continue;
      if (message.refused) {
        refused(message, kHasLeft);
      } else if (message.way == lost || router_.route_to(target) == kNoLink) {
        // Where no route is left either, that refuses it.
        announce(name, Sequence{raw(flow.first) + i}, message);
      }
    }
    drop_done(name, flow);
  });
}

bool OutboundMessages::busy(Rank target) const {
  bool busy = false;
  for_each_flow_with(target, flows_,
                     [&busy](const FlowName&, const Flow& flow) { busy = busy || !flow.in_flight.empty(); });
  return busy;
}

std::uint64_t OutboundMessages::bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [name, flow] : flows_) {
    for (const Message& message : flow.in_flight) bytes += message.bytes.size();
    for (const Message& message : flow.waiting) bytes += message.bytes.size();
  }
  return bytes;
}

OutboundMessages::Message* OutboundMessages::find(Flow& flow, Sequence sequence) {
  if (sequence < flow.first || raw(sequence) - raw(flow.first) >= flow.in_flight.size()) return nullptr;
  Message& message = flow.in_flight[raw(sequence) - raw(flow.first)];
  return message.done ? nullptr : &message;
}

OutboundMessages::Message* OutboundMessages::find(const FlowName& name, Sequence sequence) {
  const auto at = flows_.find(name);
  return at == flows_.end() ? nullptr : find(at->second, sequence);
}

bool OutboundMessages::cancel(CallId id, Rank target, const wire::Lane& lane) {
  Flow& flow = flows_.at(FlowName{target, lane});
  for (Message& message : flow.in_flight) {
    if (message.call == id) {
      message.call.reset();
      return false;
    }
  }
  return std::erase_if(flow.waiting, [id](const Message& message) { return message.call == id; }) > 0;
}

void OutboundMessages::on_grant(const wire::Grant& grant, LinkId from) {
  const FlowName name = flow_of_source(grant.ends);
  Message* message = find(name, grant.sequence);
  if (message == nullptr || grant.to > message->bytes.size() || grant.from == grant.to) return;
  if (message->way != from) return;
  const LinkId link = message->way;
  Way& way = ways_[link];
  if (message->from == message->to) way.granted.emplace_back(name, grant.sequence);
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
    const auto [name, sequence] = way.granted.front();
    way.granted.pop_front();
    Message* message = find(name, sequence);
    if (message == nullptr || message->way != link || message->from == message->to) continue;
    way.queued += send_chunk(name, sequence, *message);
    if (message->from < message->to) way.granted.emplace_back(name, sequence);
  }
}

std::uint64_t OutboundMessages::send_chunk(const FlowName& name, Sequence sequence, Message& message) {
  const std::size_t most = router_.is_direct(message.way) ? kDirectChunkBytes : kChunkBytes;
  const std::uint64_t count = std::min<std::uint64_t>(most, message.to - message.from);
  const wire::Data head = head_of(name, sequence, message, message.from);
  router_.send_by(message.way, head, message.bytes.part(message.from, count));
  message.from += count;
  return count;
}

void OutboundMessages::on_accept(const wire::Accept& accept) {
  const FlowName name = flow_of_source(accept.ends);
  if (Message* message = find(name, accept.sequence)) accepted(*message);
  on_acknowledged(name, accept.cumulative);
}

void OutboundMessages::on_acknowledged(const FlowName& name, Sequence acknowledged) {
  const auto at = flows_.find(name);
  if (at == flows_.end()) return;
  Flow& flow = at->second;
  const std::uint64_t announced = raw(flow.first) + flow.in_flight.size();
  for (std::uint64_t i = raw(flow.first); i < std::min(raw(acknowledged), announced); ++i) {
    if (Message* message = find(flow, Sequence{i})) accepted(*message);
  }
  drop_done(name, flow);
}

void OutboundMessages::accepted(Message& message) {
  message.done = true;
  message.bytes = {};
  if (message.call) calls_.complete(*message.call, Payload{});
}

void OutboundMessages::on_undeliverable(const wire::Undeliverable& news, LinkId from) {
  const auto at = flows_.find(flow_of_source(news.ends));
  if (at == flows_.end()) return;
  Message* message = find(at->second, news.sequence);
  if (message == nullptr) return;
  if (message->way != from && router_.is_direct(message->way)) {
    message->refused = true;
    return;
  }
  refused(*message, news.reason);
  drop_done(at->first, at->second);
}

void OutboundMessages::refused(Message& message, const std::string& reason) {
  message.done = true;
  message.bytes = {};
  if (message.call) calls_.fail(*message.call, FailureCode::rank_left, reason);
}

void OutboundMessages::drop_done(const FlowName& name, Flow& flow) {
  const auto open = std::ranges::find(flow.in_flight, false, &Message::done);
  flow.first = Sequence{raw(flow.first) + static_cast<std::uint64_t>(open - flow.in_flight.begin())};
  flow.in_flight.erase(flow.in_flight.begin(), open);
  announce_more(name, flow);
  // An idle flow is no more than its number.
  if (flow.in_flight.empty()) flow.in_flight.shrink_to_fit();
}

void OutboundMessages::drop_unreachable(LinkId leaving) {
  std::erase_if(flows_, [&](const auto& flow) { return !router_.reachable(flow.first.peer, leaving); });
  ways_.erase(leaving);
}

}  // namespace banyan::node
