#include "node/messages_calls.hh"

#include <type_traits>

#include <fmt/format.h>

#include "base/assert.hh"

namespace banyan::node {

void PendingCalls::add(CallId id, const PendingCall& call) {
  const bool inserted = calls_.emplace(id, call).second;
  BANYAN_ASSERT(inserted);
  if (call.deadline != kNever) deadlines_.emplace(call.deadline, id);
  if (awaits_another(call)) ++awaiting_others_;
}

bool PendingCalls::awaits_another(const PendingCall& call) const {
  // Those wait as long as their communicator lives, and ask when it has something to wait for.
  const bool always = call.tag.lane.space == wire::Space::link_data || call.tag.lane.space == wire::Space::link_control;
  return call.kind != PendingCall::Kind::connect && call.peer != kNoRank && call.peer != topology_.self() && !always;
}

void PendingCalls::claim(CallId id, Rank source) {
  PendingCall& call = calls_.at(id);
  if (awaits_another(call)) --awaiting_others_;
  call.peer = source;
  if (awaits_another(call)) ++awaiting_others_;
}

bool PendingCalls::set_deadline(CallId id, Time deadline) {
  const auto at = calls_.find(id);
  if (at == calls_.end()) return false;
  deadlines_.erase({at->second.deadline, id});
  at->second.deadline = deadline;
  deadlines_.emplace(deadline, id);
  return true;
}

PendingCall PendingCalls::finish(CallId id) {
  const auto at = calls_.find(id);
  BANYAN_ASSERT(at != calls_.end());
  if (awaits_another(at->second)) --awaiting_others_;
  deadlines_.erase({at->second.deadline, id});
  const PendingCall call = at->second;
  calls_.erase(at);
  return call;
}

template <typename Result>
void PendingCalls::report(CallId id, const PendingCall& call, Result result, Rank source) {
  if (caller_of(id) != Caller::application) {
    done_.push_back({id, call.tag, std::move(result), source});
  } else if constexpr (std::is_same_v<Result, Failure>) {
    effects_.complete(id, std::move(result));
  } else {
    effects_.complete(id, std::move(result), source);
  }
}

void PendingCalls::complete(CallId id, Payload result, Rank source) {
  const PendingCall call = finish(id);
  report(id, call, std::move(result), source);
}

void PendingCalls::refuse(CallId id, const wire::Tag& tag, Failure failure) {
  report(id, PendingCall{.tag = tag}, std::move(failure));
}

void PendingCalls::fail(CallId id, FailureCode code, const std::string& reason) {
  fail_with(id, code, "failed: " + reason);
}

void PendingCalls::time_out(CallId id, Time now, const std::string& reason) {
  const auto waited = std::chrono::duration<double>(now - calls_.at(id).started).count();
  fail_with(id, FailureCode::timed_out, fmt::format("timed out after {:.1f} s: {}", waited, reason));
}

void PendingCalls::fail_with(CallId id, FailureCode code, const std::string& what_happened) {
  const PendingCall& call = calls_.at(id);
  const bool known = call.peer != kNoRank;
  const std::string host = known ? topology_.table().host(call.peer) : std::string();
  Failure failure{code, Phase::running, known ? RankSet::single(call.peer) : RankSet{}, host,
                  text_of(call, host) + " " + what_happened};
  report(id, finish(id), std::move(failure));
}

std::string PendingCalls::text_of(const PendingCall& call, const std::string& host) {
  const std::string peer =
      call.peer == kNoRank ? std::string("any rank") : fmt::format("rank {} on {}", raw(call.peer), host);
  switch (call.kind) {
    case PendingCall::Kind::send:
      return fmt::format("send to {} (tag {}, {} bytes)", peer, call.tag.number, call.bytes);
    case PendingCall::Kind::receive: return fmt::format("recv from {} (tag {})", peer, call.tag.number);
    case PendingCall::Kind::probe: return "probe of " + peer;
    case PendingCall::Kind::connect: break;
  }
  return "connect to " + peer;
}

void PendingCalls::fail_all(const Failure& failure) {
  for (const auto& [id, call] : calls_) report(id, call, failure);
  calls_.clear();
  deadlines_.clear();
  awaiting_others_ = 0;
}

const std::pair<const CallId, PendingCall>* PendingCalls::expired(Time now) const {
  return deadline() <= now && !deadlines_.empty() ? &*calls_.find(deadlines_.begin()->second) : nullptr;
}

}  // namespace banyan::node
