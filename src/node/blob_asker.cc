#include "node/blob_asker.hh"

#include <chrono>
#include <variant>

#include <fmt/format.h>

#include "base/canary.hh"
#include "node/direct_links.hh"
#include "wire/blob.hh"

namespace banyan::node {
namespace {

constexpr const char* kEager = "BANYAN_TABLE=eager at rank 0";

}  // namespace

void BlobAsker::call(Time now, CallId id, Rank owner, Time deadline) {
  if (over_) return effects_.complete(id, *over_);
  if (raw(owner) >= topology_.world_size()) {
    const std::string text =
        fmt::format("there is no rank {}: the job has {} ranks", raw(owner), topology_.world_size());
    return effects_.complete(id, Failure{FailureCode::misuse, Phase::running, {}, {}, text});
  }
  if (!topology_.table().lazy()) return effects_.complete(id, topology_.table().blob(owner));
  if (canary(Canary::blob_mistaken) && !requests_.empty()) owner = requests_.begin()->first;
  calls_.emplace(id, Waiting{owner, now, deadline});
  if (deadline != kNever) deadlines_.emplace(deadline, id);
  const auto [request, is_new] = requests_.try_emplace(owner);
  request->second.calls.push_back(id);
  if (is_new) queue_.push_back(owner);
  advance();
}

void BlobAsker::advance() {
  for (; under_way_ < kMaxBlobRequests && !queue_.empty(); queue_.pop_front()) {
    const Rank owner = queue_.front();
    Request& request = requests_.at(owner);
    request.asked = true;
    request.sent = messages_.send(owner, wire::kBlobRequests, {});
    request.answer = messages_.receive(owner, wire::kBlobAnswers);
    exchanges_.emplace(request.sent, owner);
    exchanges_.emplace(request.answer, owner);
    ++under_way_;
  }
}

void BlobAsker::on_message(MessageDone done) {
  const auto at = exchanges_.find(done.id);
  if (at == exchanges_.end()) return;
  const Rank owner = at->second;
  const Request& request = requests_.at(owner);
  // One that left: whatever else ends messages has ended these calls before.
  if (std::holds_alternative<Failure>(done.result)) {
    messages_.cancel(request.answer);
    for (const CallId id : end(owner).calls) {
      fail(id, FailureCode::rank_left,
           fmt::format("can't be had any more: {}; with {} it would be here", kHasLeft, kEager));
    }
  } else if (done.id == request.sent) {
    exchanges_.erase(at);
  } else {
    for (const CallId id : end(owner).calls) complete(id, std::get<Payload>(done.result));
  }
}

BlobAsker::Request BlobAsker::end(Rank owner) {
  const auto at = requests_.find(owner);
  Request request = std::move(at->second);
  requests_.erase(at);
  if (request.asked) {
    exchanges_.erase(request.sent);
    exchanges_.erase(request.answer);
    --under_way_;
  } else {
    std::erase(queue_, owner);
  }
  advance();
  return request;
}

bool BlobAsker::set_deadline(CallId id, Time deadline) {
  const auto at = calls_.find(id);
  if (at == calls_.end()) return false;
  deadlines_.erase({at->second.deadline, id});
  at->second.deadline = deadline;
  deadlines_.emplace(deadline, id);
  return true;
}

void BlobAsker::on_time(Time now) {
  while (!deadlines_.empty() && deadline() <= now) give_up(deadlines_.begin()->second, now);
}

void BlobAsker::give_up(CallId id, Time now) {
  const Waiting call = calls_.at(id);
  Request& request = requests_.at(call.owner);
  const auto waited = std::chrono::duration<double>(now - call.started).count();
  const std::string reason = request.asked
                                 ? "it has not answered"
                                 : fmt::format("{} others that were asked before have not answered", kMaxBlobRequests);
  fail(id, FailureCode::timed_out,
       fmt::format("has not come within {:.1f} s: {}; give it more time (BANYAN_CALL_TIMEOUT), or set {}", waited,
                   reason, kEager));
  std::erase(request.calls, id);
  if (!request.asked && request.calls.empty()) end(call.owner);
}

void BlobAsker::complete(CallId id, const Payload& blob) {
  forget(id);
  effects_.complete(id, blob);
}

void BlobAsker::fail(CallId id, FailureCode code, const std::string& what_happened) {
  const Rank owner = calls_.at(id).owner;
  forget(id);
  const std::string host = topology_.table().host(owner);
  effects_.complete(id, Failure{code, Phase::running, RankSet::single(owner), host,
                                fmt::format("the blob of rank {} on {} {}", raw(owner), host, what_happened)});
}

void BlobAsker::forget(CallId id) {
  const auto at = calls_.find(id);
  deadlines_.erase({at->second.deadline, id});
  calls_.erase(at);
}

void BlobAsker::end_calls(const Failure& failure) {
  if (!over_) over_ = failure;
  for (const auto& [id, call] : calls_) effects_.complete(id, failure);
  calls_.clear();
  deadlines_.clear();
  requests_.clear();
  queue_.clear();
  under_way_ = 0;
  exchanges_.clear();
}

}  // namespace banyan::node
