#include "node/messages_inbound.hh"

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "base/assert.hh"
#include "base/canary.hh"

namespace banyan::node {
namespace {

// A small message would pin a whole receive buffer: what is held for long gets storage of its own size.
void make_compact(Payload& bytes) {
  if (bytes.empty() || bytes.size() > kEagerMessageBytes) return;
  std::vector<std::byte> exact(bytes.size());
  bytes.copy_to(exact.data());
  bytes = Payload(Slice::adopt(std::move(exact)));
}

// Bytes come in long pieces, but for the last of a grant. A sender that cuts them finer costs this rank no slice for
// every byte: beyond one for each KiB they are copied together. At least kFewSlices pieces, and one for each KiB that
// is copied, come between two copies.
constexpr std::size_t kShortestSlice = 1024;
constexpr std::size_t kFewSlices = 16;

void put_together(Payload& bytes) {
  if (bytes.slice_count() > kFewSlices + bytes.size() / kShortestSlice) bytes = Payload(bytes.flatten());
}

}  // namespace

InboundMessages::InboundMessages(PendingCalls& calls, MessageRouter& router, const Limits& limits)
    : calls_(calls),
      router_(router),
      window_(std::clamp<std::uint64_t>(limits.message_window_bytes, kChunkBytes, wire::kMaxGrantBytes)),
      pool_(limits.unexpected_bytes) {}

Sequence InboundMessages::Flow::announced_below() const {
  return Sequence{raw(lowest) + static_cast<std::uint64_t>(std::countr_one(announced))};
}

InboundMessages::Flow& InboundMessages::flow_of(const FlowName& name) {
  Flow& flow = flows_[name];
  flow.name = name;
  return flow;
}

Sequence InboundMessages::accepted_below(const FlowName& name) const {
  const auto at = flows_.find(name);
  return at == flows_.end() ? Sequence{0} : at->second.lowest;
}

InboundMessages::Message* InboundMessages::find(Flow& flow, std::uint32_t tag, Sequence sequence) {
  const auto at = flow.channels.find(tag);
  if (at == flow.channels.end()) return nullptr;
  // What is still arriving stands at the end.
  const auto message = std::find_if(at->second.messages.rbegin(), at->second.messages.rend(),
                                    [sequence](const Message& m) { return m.sequence <= sequence; });
  return message != at->second.messages.rend() && message->sequence == sequence ? &*message : nullptr;
}

// --- receives ------------------------------------------------------------------------------------------------------

void InboundMessages::receive(CallId id, Rank source, const wire::Tag& tag) {
  Flow& flow = flow_of({source, tag.lane});
  flow.channels[tag.number].receives.push_back(id);
  settle(flow, tag.number);
  refill();
}

const InboundMessages::Message* InboundMessages::free_in(const Flow& flow, const Channel& channel) {
  if (channel.messages.size() <= channel.receives.size()) return nullptr;
  const Message& first = *std::next(channel.messages.begin(), static_cast<std::ptrdiff_t>(channel.receives.size()));
  return deliverable(flow, first) ? &first : nullptr;
}

Rank InboundMessages::first_free(const wire::Tag& tag) const {
  const auto at = free_.find(tag);
  return at == free_.end() ? kNoRank : at->second.begin()->second;
}

void InboundMessages::note_free(const Flow& flow, std::uint32_t number, Channel& channel) {
  const wire::Tag tag = flow.tag(number);
  const Rank source = flow.name.peer;
  const Message* message = free_in(flow, channel);
  const std::uint64_t arrival = message == nullptr ? 0 : message->arrival;
  const std::uint64_t before = std::exchange(channel.free_arrival, arrival);
  if (before == arrival) return;
  auto& channels = free_[tag];
  if (before != 0) channels.erase({before, source});
  if (arrival != 0) channels.emplace(arrival, source);
  if (channels.empty()) free_.erase(tag);
}

void InboundMessages::receive_from_any(CallId id, const wire::Tag& tag) {
  const Rank first = first_free(tag);
  if (first == kNoRank) return any_[tag].push_back(id);
  calls_.claim(id, first);
  receive(id, first, tag);
}

std::optional<InboundMessages::Found> InboundMessages::probe(Rank source, const wire::Tag& tag) const {
  const auto flow = flows_.find({source == kNoRank ? first_free(tag) : source, tag.lane});
  if (flow == flows_.end()) return std::nullopt;
  const auto channel = flow->second.channels.find(tag.number);
  const Message* message = channel == flow->second.channels.end() ? nullptr : free_in(flow->second, channel->second);
  if (message == nullptr) return std::nullopt;
  return Found{flow->first.peer, message->total};
}

bool InboundMessages::has_left(Rank source) const {
  bool left = false;
  for_each_flow_with(source, flows_, [&left](const FlowName&, const Flow& flow) { left = left || flow.left; });
  return left;
}

void InboundMessages::offer_to_any(Flow& flow, std::uint32_t tag) {
  const auto waiting = any_.find(flow.tag(tag));
  const auto at = flow.channels.find(tag);
  if (waiting == any_.end() || at == flow.channels.end()) return;
  auto& [receives, messages, free] = at->second;
  auto receive = receives.begin();
  for (const Message& message : messages) {
    if (waiting->second.empty() || !deliverable(flow, message)) break;
    const CallId oldest = waiting->second.front();
    if (receive != receives.end() && (message.offered || *receive < oldest)) {
      ++receive;
      continue;
    }
    calls_.claim(oldest, flow.name.peer);
    receives.insert(receive, oldest);
    waiting->second.pop_front();
  }
  if (waiting->second.empty()) any_.erase(waiting);
}

void InboundMessages::return_to_any(Channel& channel, const wire::Tag& tag) {
  for (const CallId id : channel.receives) {
    if (!calls_.is_from_any(id)) continue;
    calls_.claim(id, kNoRank);
    std::list<CallId>& waiting = any_[tag];
    waiting.insert(std::ranges::find_if(waiting, [id](CallId other) { return other > id; }), id);
  }
}

void InboundMessages::cancel(CallId id, Rank source, const wire::Tag& tag) {
  if (source == kNoRank) {
    const auto waiting = any_.find(tag);
    waiting->second.remove(id);
    if (waiting->second.empty()) any_.erase(waiting);
    return;
  }
  Flow& flow = flow_of({source, tag.lane});
  Channel& channel = flow.channels.at(tag.number);
  const auto at = std::ranges::find(channel.receives, id);
  channel.receives.erase(at);
  settle(flow, tag.number);
}

InboundMessages::Progress InboundMessages::progress(CallId id, Rank source, const wire::Tag& tag) const {
  const Flow& flow = flows_.at({source, tag.lane});
  const Channel& channel = flow.channels.at(tag.number);
  auto message = channel.messages.begin();
  for (auto receive = channel.receives.begin(); receive != channel.receives.end(); ++receive, ++message) {
    if (message == channel.messages.end()) break;
    if (*receive == id) return {true, message->bytes.size(), message->total};
  }
  return {};
}

// --- frames --------------------------------------------------------------------------------------------------------

void InboundMessages::on_data(const wire::Data& head, const Payload& bytes, LinkId from) {
  // Whoever serves requests has one receive for all: nobody holds that up by a request that does not come to its end.
  if (wire::is_request(head.full_tag()) && (bytes.size() != head.total || head.total > kEagerMessageBytes)) return;
  if (head.ends.lane.space == wire::Space::table && head.total > kMaxBlobBytes) return;
  if (discarded_.contains(head.ends.lane.communicator))
    return router_.send_by(from, wire::Accept{head.ends.reversed(), head.sequence, Sequence{0}});
  const FlowName name = flow_of_source(head.ends);
  const bool announces = head.offset == 0 && raw(head.sequence) < kMaxMessagesInFlight;
  if (!flows_.contains(name) && !(announces && may_begin(name))) return;
  Flow& flow = flow_of(name);
  const std::uint64_t index = raw(head.sequence) - raw(flow.lowest);
  const bool old = head.sequence < flow.lowest;
  if (!old && index >= kMaxMessagesInFlight) return;
  const std::uint32_t bit = old ? 0 : std::uint32_t{1} << index;
  if (old || (flow.accepted & bit) != 0) {
    // Announced again: the sender does not know yet.
    if (head.offset == 0) router_.send_by(from, wire::Accept{head.ends.reversed(), head.sequence, flow.lowest});
    return;
  }
  if ((flow.announced & bit) == 0) {
    if (head.offset == 0) announce(flow, head, bytes, from);
  } else {
    Message* message = find(flow, head.tag, head.sequence);
    if (message == nullptr || message->total != head.total) return;
    if (!append(*message, head.offset, bytes)) {
      if (head.offset == 0 && (message->small() || bytes.empty())) announce_again(flow, *message, from);
      return;
    }
    settle(flow, head.tag);
  }
  refill();
}

// Only what a receive waits for in a lane, or may come to wait for, is worth to be remembered: nobody may make this
// rank remember lanes without end.
bool InboundMessages::may_begin(const FlowName& name) const {
  std::size_t unasked = 0;
  for_each_flow_with(name.peer, flows_, [&unasked](const FlowName&, const Flow& flow) {
    if (flow.announced != 0) ++unasked;
  });
  return unasked < kMaxUnaskedLanes;
}

// Its source sends it another way from now on. News that come over the tree while the direct link is still there are
// older than the link, or its end will be seen here too.
void InboundMessages::announce_again(const Flow& flow, Message& message, LinkId from) {
  if (router_.is_direct(message.way) && !router_.is_direct(from)) return;
  message.way = from;
  ask_again(flow, message);
}

// For what was asked for and has not come: the question, or the bytes, may be lost.
void InboundMessages::ask_again(const Flow& flow, const Message& message) {
  const std::uint64_t received = message.bytes.size();
  if (received < message.granted) {
    router_.send_by(message.way, wire::Grant{ends_of(flow), message.sequence, received, message.granted});
  }
}

void InboundMessages::say_again_what_is_accepted(const Flow& flow, LinkId way) {
  const wire::Ends ends = ends_of(flow);
  if (raw(flow.lowest) > 0) router_.send_by(way, wire::Accept{ends, Sequence{raw(flow.lowest) - 1}, flow.lowest});
  for (std::uint32_t i = 1; i < kMaxMessagesInFlight; ++i) {
    const bool accepted = (flow.accepted & std::uint32_t{1} << i) != 0;
    if (accepted) router_.send_by(way, wire::Accept{ends, Sequence{raw(flow.lowest) + i}, flow.lowest});
  }
}

void InboundMessages::say_again_before_leaving(const Flow& flow) {
  const LinkId way = router_.way_to(flow.name.peer);
  if (!router_.is_direct(way)) return;
  say_again_what_is_accepted(flow, way);
  say_again_what_is_accepted(flow, router_.route_to(flow.name.peer));
}

void InboundMessages::on_way_lost(Rank source, LinkId lost) {
  for_each_flow_with(source, flows_, [&](const FlowName&, Flow& flow) {
    // The last of it may have been on the link.
    say_again_what_is_accepted(flow, router_.route_to(source));
    for (auto& [tag, channel] : flow.channels) {
      for (Message& message : channel.messages) {
        if (message.accepted || message.way != lost) continue;
        message.way = router_.route_to(source);
        ask_again(flow, message);
      }
    }
  });
}

bool InboundMessages::busy(Rank source) const {
  bool busy = false;
  for_each_flow_with(source, flows_,
                     [&busy](const FlowName&, const Flow& flow) { busy = busy || flow.announced != 0; });
  return busy;
}

void InboundMessages::announce(Flow& flow, const wire::Data& head, const Payload& bytes, LinkId from) {
  flow.announced |= std::uint32_t{1} << (raw(head.sequence) - raw(flow.lowest));
  if (discarded_.contains(head.full_tag())) {
    accept(flow, Message{.sequence = head.sequence, .way = from, .bytes = {}});
  } else {
    keep(flow, head, bytes, from);
  }
  if (raw(flow.announced_below()) <= raw(head.sequence) + 1) return settle(flow, head.tag);
  // This one has closed a gap: what had come before it can be delivered now.
  std::vector<std::uint32_t> tags;
  for (const auto& [tag, channel] : flow.channels) tags.push_back(tag);
  for (const std::uint32_t tag : tags) settle(flow, tag);
}

void InboundMessages::keep(Flow& flow, const wire::Data& head, const Payload& bytes, LinkId from) {
  Message message{.sequence = head.sequence,
                  .arrival = ++last_arrival_,
                  .total = head.total,
                  .is_request = wire::is_request(head.full_tag()),
                  .way = from,
                  .bytes = {}};
  // Bytes that come unasked are of use only if they are the whole message.
  if (bytes.size() == head.total) {
    message.bytes = bytes;
    message.granted = head.total;
  }
  auto& messages = flow.channels[head.tag].messages;
  const auto older =
      std::find_if(messages.rbegin(), messages.rend(), [&](const Message& m) { return m.sequence < head.sequence; });
  messages.insert(older.base(), std::move(message));
}

template <typename Predicate>
void InboundMessages::drop_discarded(Predicate concerns) {
  for (auto& [name, flow] : flows_) {
    for (auto& [number, channel] : flow.channels) {
      if (!concerns(flow.tag(number))) continue;
      for (Message& message : channel.messages) {
        release(message);
        if (!message.accepted) accept(flow, message);
      }
      channel.messages.clear();
      note_free(flow, number, channel);
    }
    std::erase_if(flow.channels, [&](const auto& channel) { return concerns(flow.tag(channel.first)); });
  }
  refill();
}

void InboundMessages::discard(const wire::Tag& tag) {
  discarded_.add(tag);
  drop_discarded([&](const wire::Tag& other) { return other == tag; });
}

void InboundMessages::discard_from(const wire::Tag& tag) {
  discarded_.add_from(tag);
  drop_discarded([&](const wire::Tag& other) { return other.lane == tag.lane && discarded_.contains(other); });
}

void InboundMessages::forget(CommunicatorId communicator) {
  for (const auto& [name, flow] : flows_) {
    const bool concerned = name.lane.communicator == communicator;
    if (concerned) say_again_before_leaving(flow);
  }
  drop_discarded([communicator](const wire::Tag& tag) { return tag.lane.communicator == communicator; });
  std::erase_if(flows_, [communicator](const auto& flow) { return flow.first.lane.communicator == communicator; });
  discarded_.add(communicator);
}

bool InboundMessages::append(Message& message, std::uint64_t offset, const Payload& bytes) {
  const std::uint64_t received = message.bytes.size();
  const std::uint64_t end = offset + bytes.size();
  // A gap, old news, or more than was asked for.
  if (offset > received || end <= received || end > message.granted) return false;
  Payload more = bytes.part(received - offset, end - received);
  if (canary(Canary::fragment_order_ignored)) std::swap(more, message.bytes);
  message.bytes.append(more);
  put_together(message.bytes);
  return true;
}

// --- one channel ---------------------------------------------------------------------------------------------------

void InboundMessages::settle(Flow& flow, std::uint32_t tag) {
  const auto at = flow.channels.find(tag);
  if (at == flow.channels.end()) return;
  Channel& channel = at->second;
  offer_to_any(flow, tag);
  deliver(flow, channel);
  // Only what may still be on its way needs more: at most kMaxMessagesInFlight messages at the end.
  auto message = channel.messages.end();
  std::size_t place = channel.messages.size();
  for (; message != channel.messages.begin() && std::prev(message)->sequence >= flow.lowest; --message) --place;
  for (; message != channel.messages.end(); ++message, ++place) {
    if (message->accepted) continue;
    if (place < channel.receives.size()) {
      const auto receive = std::next(channel.receives.begin(), static_cast<std::ptrdiff_t>(place));
      want(flow, *message, calls_.most_bytes(*receive));
    } else {
      shelve(flow, tag, *message);
    }
  }
  note_free(flow, tag, channel);
  if (channel.messages.empty() && channel.receives.empty()) flow.channels.erase(at);
}

void InboundMessages::deliver(Flow& flow, Channel& channel) {
  while (!channel.receives.empty() && !channel.messages.empty()) {
    Message& message = channel.messages.front();
    if (message.total > calls_.most_bytes(channel.receives.front())) {
      calls_.fail(channel.receives.front(), FailureCode::protocol, "the message is longer than it may be");
      channel.receives.pop_front();
      continue;
    }
    if (!message.complete() || !deliverable(flow, message)) return;
    release(message);
    calls_.complete(channel.receives.front(), std::move(message.bytes), flow.name.peer);
    if (!message.accepted) accept(flow, message);
    channel.receives.pop_front();
    channel.messages.pop_front();
  }
}

void InboundMessages::want(Flow& flow, Message& message, std::uint64_t most_bytes) {
  message.wanted = message.offered = true;
  release(message);
  if (message.total > most_bytes) return;  // its receive fails when its turn comes
  if (!message.complete()) {
    grant(flow, message, window_);
  } else {
    // Whole, but an older one of its channel is not: the sender may forget it if there is room whatever happens.
    hold(flow, message);
  }
}

void InboundMessages::shelve(Flow& flow, std::uint32_t tag, Message& message) {
  const bool given_up = message.wanted && !message.bytes.empty();
  message.wanted = false;
  // Its receive comes again as soon as the one before it has been served: no pool of the application's is in the way.
  if (message.is_request || message.ticket != 0) return;
  if (message.charge != 0) {
    if (message.complete()) {
      make_compact(message.bytes);
      message.accepted = true;
      accept(flow, message);
    }
    return;
  }
  // Those that wait for room come before a small message that is new; bytes that a receive asked for stay if they can.
  const bool may_hold = message.small() ? given_up || !pool_.has_waiters() : given_up;
  if (may_hold && hold(flow, message)) return;
  message.bytes = {};
  message.granted = 0;
  if (message.small()) message.ticket = pool_.enqueue({flow.name.peer, flow.tag(tag), message.sequence, message.total});
}

// Keeps a message in the pool without a receive: a small one whole, of a large one what is here.
bool InboundMessages::hold(Flow& flow, Message& message) {
  const std::uint64_t cost = UnexpectedPool::cost(message.small() ? message.total : message.bytes.size());
  if (!pool_.take(cost)) return false;
  message.charge = cost;
  if (message.complete()) {
    make_compact(message.bytes);
    message.accepted = true;
    accept(flow, message);
  } else if (message.small()) {
    grant(flow, message, message.total);
  } else {
    make_compact(message.bytes);
    message.granted = message.bytes.size();
  }
  return true;
}

// --- credit --------------------------------------------------------------------------------------------------------

void InboundMessages::grant(const Flow& flow, Message& message, std::uint64_t window) {
  const std::uint64_t received = message.bytes.size();
  const std::uint64_t to = std::min(message.total, received + window);
  // Half a window ahead, so that the pipe stays full and grants stay few.
  if (message.granted >= to || message.granted - received > window / 2 || canary(Canary::credit_lost)) return;
  router_.send_by(message.way, wire::Grant{ends_of(flow), message.sequence, message.granted, to});
  message.granted = to;
}

void InboundMessages::accept(Flow& flow, const Message& message) {
  flow.accepted |= std::uint32_t{1} << (raw(message.sequence) - raw(flow.lowest));
  const int whole = std::countr_one(flow.accepted);
  flow.accepted >>= whole;
  flow.announced >>= whole;
  flow.lowest = Sequence{raw(flow.lowest) + static_cast<std::uint64_t>(whole)};
  router_.send_by(message.way, wire::Accept{ends_of(flow), message.sequence, flow.lowest});
}

void InboundMessages::release(Message& message) {
  pool_.give(std::exchange(message.charge, 0));
  if (message.ticket != 0) pool_.dequeue(std::exchange(message.ticket, 0));
}

void InboundMessages::refill() {
  while (const UnexpectedPool::Waiter* waiter = pool_.ready()) {
    Flow& flow = flows_.at({waiter->source, waiter->tag.lane});
    Message* message = find(flow, waiter->tag.number, waiter->sequence);
    BANYAN_ASSERT(message != nullptr);
    release(*message);
    const bool held = hold(flow, *message);
    BANYAN_ASSERT(held);
  }
}

// --- the end -------------------------------------------------------------------------------------------------------

void InboundMessages::drop_unreachable(LinkId leaving) {
  for (auto& [name, flow] : flows_) {
    if (!router_.reachable(name.peer, leaving)) drop(flow);
  }
  after_drop();
}

// Receives from any rank wait for others' messages now, and there is room in the pool.
void InboundMessages::after_drop() {
  std::vector<wire::Tag> tags;
  for (const auto& [tag, waiting] : any_) tags.push_back(tag);
  for (const wire::Tag& tag : tags) {
    for (auto at = any_.find(tag); at != any_.end() && first_free(tag) != kNoRank; at = any_.find(tag)) {
      const CallId id = at->second.front();
      at->second.pop_front();
      if (at->second.empty()) any_.erase(at);
      receive_from_any(id, tag);
    }
  }
  refill();
}

void InboundMessages::drop(Flow& flow) {
  flow.left = true;
  const Sequence gap = flow.announced_below();
  for (auto& [tag, channel] : flow.channels) {
    return_to_any(channel, flow.tag(tag));
    channel.receives.clear();
    const auto whole = [gap](const Message& m) { return m.accepted && m.sequence < gap; };
    const auto lost = std::ranges::find_if_not(channel.messages, whole);
    for (auto message = lost; message != channel.messages.end(); ++message) release(*message);
    channel.messages.erase(lost, channel.messages.end());
    note_free(flow, tag, channel);
  }
  std::erase_if(flow.channels, [](const auto& channel) { return channel.second.messages.empty(); });
}

void InboundMessages::ask(const FlowName& name) {
  // Over the tree, where those who know that it has left are asked.
  const auto at = flows_.find(name);
  const Sequence first = at == flows_.end() ? Sequence{0} : at->second.announced_below();
  router_.route(wire::Grant{router_.ends_to(name.peer, name.lane), first, 0, 0});
}

void InboundMessages::refuse_all(Flow& flow) {
  say_again_before_leaving(flow);
  for (auto& [tag, channel] : flow.channels) {
    for (Message& message : channel.messages) {
      if (!message.accepted) router_.refuse(ends_of(flow).reversed(), message.sequence, message.way);
      release(message);
    }
  }
  flow.channels.clear();
}

bool InboundMessages::has_accepted(const wire::Data& head) const {
  if (discarded_.contains(head.ends.lane.communicator)) return true;
  const auto at = flows_.find(flow_of_source(head.ends));
  if (at == flows_.end()) return false;
  const Flow& flow = at->second;
  if (head.sequence < flow.lowest) return true;
  const std::uint64_t index = raw(head.sequence) - raw(flow.lowest);
  return index < kMaxMessagesInFlight && (flow.accepted & std::uint32_t{1} << index) != 0;
}

void InboundMessages::clear() {
  for (auto& [name, flow] : flows_) {
    for (auto& [tag, channel] : flow.channels) {
      for (Message& message : channel.messages) release(message);
    }
  }
  flows_.clear();
  any_.clear();
  free_.clear();
}

bool InboundMessages::consistent() const {
  std::uint64_t charged = 0;
  std::size_t waiting = 0;
  std::size_t free = 0;
  for (const auto& [name, flow] : flows_) {
    std::uint32_t arriving = 0;
    for (const auto& [tag, channel] : flow.channels) {
      const Message* first = free_in(flow, channel);
      if (channel.free_arrival != (first == nullptr ? 0 : first->arrival)) return false;
      const wire::Tag full = flow.tag(tag);
      if (first != nullptr && (++free, any_.contains(full) || !free_.at(full).contains({first->arrival, name.peer})))
        return false;
      if (channel.messages.empty() && channel.receives.empty()) return false;
      for (const Message& message : channel.messages) {
        charged += message.charge;
        waiting += message.ticket != 0 ? 1 : 0;
        arriving += message.accepted ? 0 : 1;
        const bool kept = message.wanted || message.is_request || message.charge != 0 || message.bytes.empty();
        if (!kept || message.granted < message.bytes.size() || message.granted > message.total) return false;
        if (message.accepted && (!message.complete() || message.charge == 0)) return false;
        const std::uint64_t held = message.small() ? message.total : message.bytes.size();
        if (message.charge != 0 && message.charge != UnexpectedPool::cost(held)) return false;
      }
    }
    if (arriving > kMaxMessagesInFlight || (flow.accepted & 1) != 0 || (flow.accepted & ~flow.announced) != 0)
      return false;
  }
  for (const auto& [tag, channels] : free_) free -= channels.size();
  return charged == pool_.used() && waiting == pool_.waiters() && free == 0;
}

}  // namespace banyan::node
