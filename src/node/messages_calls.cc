#include "node/messages_calls.hh"

#include <fmt/format.h>

#include "base/assert.hh"

namespace banyan::node {

void PendingCalls::add(CallId id, const PendingCall& call) {
  const bool inserted = calls_.emplace(id, call).second;
  BANYAN_ASSERT(inserted);
  if (call.deadline != kNever) deadlines_.emplace(call.deadline, id);
}

void PendingCalls::finish(CallId id) {
  const auto at = calls_.find(id);
  BANYAN_ASSERT(at != calls_.end());
  deadlines_.erase({at->second.deadline, id});
  calls_.erase(at);
}

void PendingCalls::complete(CallId id, Payload result) {
  finish(id);
  effects_.complete(id, std::move(result));
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
  const std::string host = topology_.table().host(call.peer);
  Failure failure{code, Phase::running, RankSet::single(call.peer), host, text_of(call, host) + " " + what_happened};
  finish(id);
  effects_.complete(id, std::move(failure));
}

std::string PendingCalls::text_of(const PendingCall& call, const std::string& host) {
  const std::string peer = fmt::format("rank {} on {}", raw(call.peer), host);
  switch (call.kind) {
    case PendingCall::Kind::send: return fmt::format("send to {} (tag {}, {} bytes)", peer, call.tag, call.bytes);
    case PendingCall::Kind::receive: return fmt::format("recv from {} (tag {})", peer, call.tag);
    case PendingCall::Kind::connect: break;
  }
  return "connect to " + peer;
}

void PendingCalls::fail_all(const Failure& failure) {
  for (const auto& [id, call] : calls_) effects_.complete(id, failure);
  calls_.clear();
  deadlines_.clear();
}

const std::pair<const CallId, PendingCall>* PendingCalls::expired(Time now) const {
  return deadline() <= now && !deadlines_.empty() ? &*calls_.find(deadlines_.begin()->second) : nullptr;
}

}  // namespace banyan::node
