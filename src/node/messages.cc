#include "node/messages.hh"

#include <set>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "base/canary.hh"

namespace banyan::node {
namespace {

// Ranks that one with many sends and receives asks at a time, in turn: a few kilobytes for each interval.
constexpr std::size_t kMaxAskedAtATime = 64;

// A frame's fixed part and its bytes; only Data has any.
template <typename Message>
std::optional<wire::WithTail<Message>> decode(const Payload& body) {
  if constexpr (std::is_same_v<Message, wire::Data>) {
    return wire::decode_with_tail<wire::Data>(body);
  } else {
    auto message = wire::decode<Message>(body);
    if (!message) return std::nullopt;
    return wire::WithTail<Message>{std::move(*message), {}};
  }
}

auto is_dial_to(Rank peer) {
  return [peer](const PendingCall& call) { return call.kind == PendingCall::Kind::connect && call.peer == peer; };
}

}  // namespace

Messages::Messages(const Config& config, const Topology& topology, LinkIds& link_ids, Effects& effects)
    : topology_(topology),
      effects_(effects),
      direct_(config, topology, link_ids, effects, *this),
      router_(topology, direct_, effects),
      calls_(topology, effects),
      inbound_(calls_, router_, config.limits),
      outbound_(calls_, router_, inbound_),
      ask_interval_(config.limits.status_interval) {}

// --- calls ---------------------------------------------------------------------------------------------------------

bool Messages::may_call(CallId id, Rank peer, const wire::Tag& tag) {
  if (over_) {
    calls_.refuse(id, tag, *over_);
  } else if (raw(peer) >= topology_.world_size()) {
    const std::string text =
        fmt::format("there is no rank {}: the job has {} ranks", raw(peer), topology_.world_size());
    calls_.refuse(id, tag, Failure{FailureCode::misuse, Phase::running, {}, {}, text});
  } else {
    return true;
  }
  return false;
}

void Messages::send(Time now, CallId id, Send send, Time deadline) {
  now_ = now;
  if (!may_call(id, send.target, send.tag)) return;
  if (send.message.size() > kMaxMessageBytes) {
    const std::string text =
        fmt::format("a message of {} bytes is longer than the limit of {}", send.message.size(), kMaxMessageBytes);
    return calls_.refuse(id, send.tag, Failure{FailureCode::too_large, Phase::running, {}, {}, text});
  }
  calls_.add(id, {PendingCall::Kind::send, send.target, send.tag, send.message.size(), now, deadline});
  direct_.count(now, send.target, send.message.size());
  outbound_.send(id, send.target, send.tag, std::move(send.message));
  settle();
}

void Messages::receive(Time now, CallId id, const Receive& receive, Time deadline) {
  now_ = now;
  const bool from_any = receive.source == kNoRank;
  if (!may_call(id, from_any ? router_.self() : receive.source, receive.tag)) return;
  calls_.add(id,
             {PendingCall::Kind::receive, receive.source, receive.tag, 0, now, deadline, from_any, receive.most_bytes});
  if (from_any) {
    inbound_.receive_from_any(id, receive.tag);
  } else {
    inbound_.receive(id, receive.source, receive.tag);
  }
  settle();
  if (from_any || !calls_.contains(id) || router_.reachable(receive.source)) return;
  inbound_.cancel(id, receive.source, receive.tag);
  calls_.fail(id, FailureCode::rank_left, kHasLeft);
}

void Messages::probe(Time now, CallId id, const Probe& probe) {
  now_ = now;
  if (!may_call(id, probe.source == kNoRank ? router_.self() : probe.source)) return;
  const auto found = inbound_.probe(probe.source, probe.tag);
  if (!found) return find_nothing(now, id, probe.source);
  Writer writer;
  writer.number(found->bytes);
  effects_.complete(id, Payload(std::move(writer).finish()), found->source);
}

// Nothing will ever be found of a rank that has left; whoever probes again and again is told so, as who waits is.
void Messages::find_nothing(Time now, CallId id, Rank source) {
  if (source == kNoRank || source == router_.self()) return effects_.complete(id, Payload{});
  if (!router_.reachable(source) || inbound_.has_left(source)) {
    calls_.add(id, {PendingCall::Kind::probe, source, 0, 0, now, kNever});
    return calls_.fail(id, FailureCode::rank_left, kHasLeft);
  }
  probed_.insert({source, {}});
  effects_.complete(id, Payload{});
  settle();
}

void Messages::dial(Time now, CallId id, Rank peer, Time deadline) {
  now_ = now;
  if (!may_call(id, peer)) return;
  calls_.add(id, {PendingCall::Kind::connect, peer, 0, 0, now, deadline});
  if (!router_.reachable(peer)) return calls_.fail(id, FailureCode::rank_left, kHasLeft);
  if (!direct_.may_have(peer) || direct_.link_to(peer) != kNoLink) return calls_.complete(id, Payload{});
  direct_.seek(now, peer);
  settle();
}

void Messages::carry_out(Time now, MessageRequest request) {
  if (auto* sending = std::get_if<Send>(&request.what)) return send(now, request.id, std::move(*sending), kNever);
  if (const auto* receiving = std::get_if<Receive>(&request.what)) return receive(now, request.id, *receiving, kNever);
  now_ = now;
  if (const auto* asking = std::get_if<Ask>(&request.what)) {
    if (!over_ && asking->peer != router_.self()) probed_.insert({asking->peer, asking->lane});
  } else if (const auto* foreseen = std::get_if<Foresee>(&request.what)) {
    if (!over_ && router_.reachable(foreseen->peer)) direct_.count(now, foreseen->peer, foreseen->bytes);
  } else if (const auto* discarded = std::get_if<Discard>(&request.what)) {
    discarded->and_later ? inbound_.discard_from(discarded->tag) : inbound_.discard(discarded->tag);
  } else if (const auto* forgotten = std::get_if<Forget>(&request.what)) {
    forget(forgotten->communicator);
  } else {
    cancel(request.id);
  }
  settle();
}

void Messages::cancel(CallId id) {
  const auto call = calls_.all().find(id);
  if (call == calls_.all().end()) return;
  withdraw(id, call->second);
  calls_.forget(id);
}

void Messages::forget(CommunicatorId communicator) {
  std::vector<CallId> pending;
  for (const auto& [id, call] : calls_.all()) {
    if (call.tag.lane.communicator == communicator) pending.push_back(id);
  }
  for (const CallId id : pending) cancel(id);
  inbound_.forget(communicator);
  outbound_.clear([communicator](const wire::Lane& lane) { return lane.communicator == communicator; });
}

bool Messages::withdraw(CallId id, const PendingCall& call) {
  if (call.kind == PendingCall::Kind::send) return outbound_.cancel(id, call.peer, call.tag.lane);
  if (call.kind == PendingCall::Kind::receive) inbound_.cancel(id, call.peer, call.tag);
  return false;
}

void Messages::end_application_calls(const Failure& failure) {
  const auto of_the_application = [](CallId id) { return caller_of(id) == Caller::application; };
  for (auto at = calls_.all().begin(); at != calls_.all().end() && of_the_application(at->first);
       at = calls_.all().begin()) {
    const CallId id = at->first;
    withdraw(id, at->second);
    calls_.forget(id);
    effects_.complete(id, failure);
  }
  application_over_ = true;
  outbound_.clear(is_application);
  inbound_.refuse_all(is_application);
  settle();
}

void Messages::on_time(Time now) {
  now_ = now;
  while (const auto* expired = calls_.expired(now)) time_out(expired->first, expired->second, now);
  if (ask_at_ <= now) ask_peers(now);
  direct_.on_time(now);
  settle();
}

// Only its neighbours are told when a rank leaves; others ask, and whoever can't pass the question on answers it.
void Messages::ask_peers(Time now) {
  // Any lane will do, but those of the application have an answer of their own.
  std::map<Question, wire::Lane> questions;
  const auto add = [&](Rank peer, const wire::Lane& lane) {
    questions.try_emplace({peer, is_application(lane)}, lane);
  };
  for (const FlowName& name : std::exchange(probed_, {})) add(name.peer, name.lane);
  for (const auto& [id, call] : calls_.all()) {
    if (calls_.awaits_another(call)) add(call.peer, call.tag.lane);
  }
  ask_at_ = after(now, ask_interval_);
  auto next = questions.upper_bound(last_asked_);
  for (std::size_t i = std::min(questions.size(), kMaxAskedAtATime); i > 0; --i, ++next) {
    if (next == questions.end()) next = questions.begin();
    last_asked_ = next->first;
    inbound_.ask({next->first.peer, next->second});
  }
}

void Messages::time_out(CallId id, const PendingCall& call, Time now) {
  if (call.kind == PendingCall::Kind::send) {
    const bool withdrawn = withdraw(id, call);
    calls_.time_out(id, now,
                    withdrawn ? fmt::format("{} earlier messages have not been received; this one was not sent",
                                            kMaxMessagesInFlight)
                              : "it has not been received, and still may be");
    return;
  }
  if (call.kind == PendingCall::Kind::connect)
    return calls_.time_out(id, now, "there is no direct link yet; messages are routed");
  const InboundMessages::Progress progress =
      call.peer == kNoRank ? InboundMessages::Progress{} : inbound_.progress(id, call.peer, call.tag);
  withdraw(id, call);
  calls_.time_out(id, now,
                  progress.announced ? fmt::format("{} of {} bytes have come", progress.received, progress.total)
                                     : "nothing has been sent");
}

// --- frames --------------------------------------------------------------------------------------------------------

bool Messages::on_frame(Time now, LinkId from, wire::Kind kind, const Payload& body) {
  now_ = now;
  switch (kind) {
    case wire::Kind::data: return pass<wire::Data>(now, from, body);
    case wire::Kind::grant: return pass<wire::Grant>(now, from, body);
    case wire::Kind::accept: return pass<wire::Accept>(now, from, body);
    case wire::Kind::undeliverable: return pass<wire::Undeliverable>(now, from, body);
    case wire::Kind::direct: return !router_.is_direct(from) && pass<wire::Direct>(now, from, body);
    default: return false;
  }
}

template <typename Message>
bool Messages::pass(Time now, LinkId from, const Payload& body) {
  const auto frame = decode<Message>(body);
  if (!frame) return false;
  const wire::Ends& ends = frame->message.ends;
  if (raw(ends.source) >= topology_.world_size() || raw(ends.target) >= topology_.world_size()) return false;
  const bool direct = router_.is_direct(from);
  // How much a frame may carry depends on the link that it came by.
  if constexpr (std::is_same_v<Message, wire::Data>) {
    if (!frame->message.carries(frame->tail.size(), direct)) return false;
  }
  if (!router_.can_come(ends, from)) return !direct;
  if (direct) direct_.on_use(ends.source);
  if (ends.target != router_.self()) {
    if constexpr (std::is_same_v<Message, wire::Data>) {
      router_.route(frame->message, frame->tail, from);
    } else {
      router_.route(frame->message, from);
    }
  } else if (router_.of_this_life(ends)) {
    if constexpr (std::is_same_v<Message, wire::Data>) {
      deliver(ArrivedData{frame->message, frame->tail}, from);
    } else if constexpr (std::is_same_v<Message, wire::Direct>) {
      direct_.on_word(now, frame->message);
    } else {
      deliver(frame->message, from);
    }
  }
  settle();
  return true;
}

void Messages::deliver(const ArrivedData& data, LinkId from) {
  if (!over(data.head.ends.lane)) {
    outbound_.on_acknowledged(flow_of_source(data.head.ends), data.head.acknowledged);
    inbound_.on_data(data.head, data.bytes, from);
  } else if (over_in_good_order()) {
    if (!inbound_.has_accepted(data.head)) return router_.refuse(data.head.ends, data.head.sequence, from);
    const wire::Ends& ends = data.head.ends;
    router_.send_by(from,
                    wire::Accept{ends.reversed(), data.head.sequence, inbound_.accepted_below(flow_of_source(ends))});
  }
}

void Messages::deliver(const wire::Grant& grant, LinkId from) {
  if (!over(grant.ends.lane)) {
    outbound_.on_grant(grant, from);
  } else if (over_in_good_order()) {
    router_.refuse(grant, router_.way_to(grant.ends.source));
  }
}

void Messages::deliver(const wire::Undeliverable& news, LinkId from) {
  if (!news.awaited) return outbound_.on_undeliverable(news, from);
  // What it has sent before is on the link. It is asked again once that has ended.
  if (direct_.link_to(news.ends.source) != kNoLink && !router_.is_direct(from)) return;
  // A rank that closes may still take part in what others need of it; then it answers for the application alone.
  const Rank gone = news.ends.source;
  const bool altogether = !is_application(news.ends.lane);
  const auto concerned = [altogether](const wire::Lane& lane) { return altogether || is_application(lane); };
  inbound_.drop(gone, concerned);
  outbound_.drop(gone, concerned);
  const auto waits = [&](const PendingCall& call) {
    return call.kind != PendingCall::Kind::connect && call.peer == gone && concerned(call.tag.lane);
  };
  calls_.fail_if(waits, FailureCode::rank_left, kHasLeft);
}

void Messages::deliver_looped() {
  while (const auto frame = router_.next_looped()) {
    std::visit([this](const auto& message) { deliver(message, kNoLink); }, *frame);
  }
}

// --- direct links --------------------------------------------------------------------------------------------------

void Messages::on_listening(Time now, Listener listener, const Endpoint& endpoint) {
  now_ = now;
  direct_.on_listening(now, listener, endpoint);
  settle();
}

void Messages::on_listen_failed(Time now, Listener listener, const std::string& reason) {
  now_ = now;
  direct_.on_listen_failed(now, listener, reason);
  settle();
}

void Messages::on_authenticated(LinkId link) {
  direct_.on_authenticated(link);
  settle();
}

bool Messages::on_accepted(LinkId link, Rank peer) {
  if (!direct_.on_accepted(link, peer)) return false;
  settle();
  return true;
}

void Messages::on_link_failed(Time now, LinkId link, const Failure& failure, bool rejected_by_peer) {
  now_ = now;
  direct_.on_link_failed(now, link, failure.text, failure.code == FailureCode::protocol && !rejected_by_peer,
                         rejected_by_peer);
  settle();
}

void Messages::settle() {
  deliver_looped();
  for (auto news = direct_.take_news(); !news.empty(); news = direct_.take_news()) {
    for (const DirectLinks::News& one : news) {
      switch (one.kind) {
        case DirectLinks::News::Kind::opened:
          outbound_.on_direct_link(one.peer);
          complete_dials(one.peer);
          break;
        case DirectLinks::News::Kind::closed:
          if (canary(Canary::way_lost_unnoticed)) break;
          outbound_.on_way_lost(one.peer, one.link);
          inbound_.on_way_lost(one.peer, one.link);
          break;
        case DirectLinks::News::Kind::failed: fail_dials(one.peer, one.reason); break;
      }
    }
    deliver_looped();
  }
  const bool asks = calls_.await_others() || !probed_.empty();
  if (asks != (ask_at_ != kNever)) ask_at_ = asks ? after(now_, ask_interval_) : kNever;
}

void Messages::complete_dials(Rank peer) { calls_.complete_if(is_dial_to(peer)); }

void Messages::fail_dials(Rank peer, const std::string& reason) {
  const bool left = reason == kHasLeft;
  calls_.fail_if(is_dial_to(peer), left ? FailureCode::rank_left : FailureCode::unreachable,
                 left ? reason : reason + "; messages are routed");
}

void Messages::fill(Statistics& statistics) const {
  statistics.unexpected_bytes = inbound_.held_bytes();
  statistics.direct_links = direct_.open();
  statistics.direct_links_opened = direct_.opened();
  statistics.direct_links_lost = direct_.broken();
}

// --- the end -------------------------------------------------------------------------------------------------------

void Messages::on_child_left(LinkId child) {
  inbound_.drop_unreachable(child);
  outbound_.drop_unreachable(child);
  const auto lost = [&](const PendingCall& call) {
    return call.peer != kNoRank && !router_.reachable(call.peer, child);
  };
  calls_.fail_if(lost, FailureCode::rank_left, kHasLeft);
  settle();
}

// After anything else a verdict reaches everybody, and an answer from here could only be a wrong blame.
bool Messages::over_in_good_order() const {
  return !over_ || over_->code == FailureCode::closed || over_->code == FailureCode::rank_left;
}

void Messages::fail_all(const Failure& failure) {
  if (!over_) over_ = failure;
  calls_.fail_all(failure);
  ask_at_ = kNever;
  const auto all = [](const wire::Lane&) { return true; };
  outbound_.clear(all);
  if (over_in_good_order()) {
    inbound_.refuse_all(all);
  } else {
    inbound_.clear();
  }
  direct_.close();
  settle();
}

}  // namespace banyan::node
