#include "node/store_keeper.hh"

#include <algorithm>
#include <array>
#include <utility>

#include "base/canary.hh"
#include "base/digest.hh"

namespace banyan::node {
namespace {

using What = wire::StoreRequest::What;

std::uint64_t cost_of(const std::string& key, const Payload& value) {
  return key.size() + value.size() + kStoreEntryBytes;
}

}  // namespace

Rank keeper_of(std::string_view key, std::uint32_t world_size) {
  return Rank{static_cast<std::uint32_t>(short_digest_of(Payload::copy(key)) % world_size)};
}

StoreKeeper::StoreKeeper(const Topology& topology, MessageRequests& messages, std::uint64_t limit_bytes)
    : topology_(topology),
      messages_(messages),
      limit_bytes_(limit_bytes),
      receive_(messages.receive(kNoRank, wire::store_tag(wire::kRequests))) {}

std::size_t StoreKeeper::waiting() const {
  std::size_t count = 0;
  for (const auto& [key, waiters] : waiters_) count += waiters.size();
  return count;
}

std::uint32_t StoreKeeper::owed(Rank asker) const {
  const auto at = askers_.find(asker);
  return at == askers_.end() ? 0 : at->second.owed;
}

bool StoreKeeper::on_message(const MessageDone& done) {
  if (done.id == receive_) {
    const auto* body = std::get_if<Payload>(&done.result);
    if (body == nullptr) {
      stop();
      return true;
    }
    // What no correct rank sends is ignored.
    auto request = wire::decode<wire::StoreRequest>(*body);
    if (request && keeper_of(request->key, topology_.world_size()) == topology_.self())
      on_request(done.source, *std::move(request));
    receive_ = messages_.receive(kNoRank, wire::store_tag(wire::kRequests));
    return true;
  }
  const auto answered = answers_.find(done.id);
  if (answered == answers_.end()) return false;
  const auto asker = askers_.find(answered->second);
  --asker->second.owed;
  if (asker->second.owed == 0 && asker->second.waiting == 0) askers_.erase(asker);
  answers_.erase(answered);
  return true;
}

void StoreKeeper::on_request(Rank asker, wire::StoreRequest request) {
  if (request.what == What::forget) return forget(asker, request);
  if (const auto known = askers_.find(asker);
      known != askers_.end() && known->second.owed + known->second.waiting >= kMostOwed)
    return;
  const auto respond = [&](Status status) { answer(asker, request.number, status); };
  switch (request.what) {
    case What::put:
      return respond(store(request.key, {Payload(std::move(request.value))}) ? Status::done : Status::full);
    case What::find:
      if (const Value* value = find(request.key)) return answer(asker, request.number, Status::done, value->bytes);
      return respond(Status::absent);
    case What::wait: return wait(asker, request);
    case What::add: return add(asker, request);
    case What::compare_set: return compare_set(asker, request);
    case What::remove: return respond(remove(request.key) ? Status::done : Status::absent);
    case What::forget: break;
  }
}

void StoreKeeper::wait(Rank asker, const wire::StoreRequest& request) {
  if (const Value* value = find(request.key)) return answer(asker, request.number, Status::done, value->bytes);
  Asker& owed = askers_[asker];
  if (owed.waiting >= kMaxStoreWaits) return;
  ++owed.waiting;
  waiters_[request.key].push_back({asker, request.number});
}

// One that has been answered is so already: the two have crossed.
void StoreKeeper::forget(Rank asker, const wire::StoreRequest& request) {
  const auto waiting = waiters_.find(request.key);
  if (waiting == waiters_.end()) return;
  const auto waiter = std::ranges::find(waiting->second, Waiter{asker, request.number});
  if (waiter == waiting->second.end()) return;
  waiting->second.erase(waiter);
  if (waiting->second.empty()) waiters_.erase(waiting);
  --askers_.at(asker).waiting;
  answer(asker, request.number, Status::absent);
}

void StoreKeeper::add(Rank asker, const wire::StoreRequest& request) {
  std::int64_t count = 0;
  if (const Value* value = find(request.key)) {
    if (!value->counter) return answer(asker, request.number, Status::mismatch);
    value->bytes.copy_to(reinterpret_cast<std::byte*>(&count));
  }
  // It wraps around, as reductions of integers do.
  count = static_cast<std::int64_t>(static_cast<std::uint64_t>(count) + static_cast<std::uint64_t>(request.delta));
  const Payload bytes = Payload::copy(std::as_bytes(std::span(&count, 1)));
  if (!store(request.key, {bytes, true})) return answer(asker, request.number, Status::full);
  answer(asker, request.number, Status::done, bytes);
}

void StoreKeeper::compare_set(Rank asker, const wire::StoreRequest& request) {
  const Value* value = find(request.key);
  if (value == nullptr && request.expected) return answer(asker, request.number, Status::absent);
  if (value != nullptr && !(request.expected && value->bytes == Payload(*request.expected)))
    return answer(asker, request.number, Status::differs, value->bytes);
  const bool stored = store(request.key, {Payload(request.value)});
  answer(asker, request.number, stored ? Status::done : Status::full);
}

bool StoreKeeper::remove(const std::string& key) {
  const auto at = values_.find(key);
  if (at == values_.end()) return false;
  kept_bytes_ -= cost_of(key, at->second.bytes);
  values_.erase(at);
  return true;
}

const StoreKeeper::Value* StoreKeeper::find(const std::string& key) const {
  const auto at = values_.find(key);
  return at == values_.end() ? nullptr : &at->second;
}

bool StoreKeeper::store(const std::string& key, Value value) {
  const Value* before = find(key);
  const std::uint64_t others = kept_bytes_ - (before == nullptr ? 0 : cost_of(key, before->bytes));
  const std::uint64_t cost = cost_of(key, value.bytes);
  if (cost > limit_bytes_ - std::min(limit_bytes_, others)) return false;
  kept_bytes_ = others + cost;
  wake(key, value.bytes);
  values_[key] = std::move(value);
  return true;
}

void StoreKeeper::wake(const std::string& key, const Payload& value) {
  if (canary(Canary::waiter_forgotten)) return;
  const auto waiting = waiters_.find(key);
  if (waiting == waiters_.end()) return;
  const std::vector<Waiter> waiters = std::move(waiting->second);
  waiters_.erase(waiting);
  for (const Waiter& waiter : waiters) {
    answer(waiter.asker, waiter.number, Status::done, value);
    --askers_.at(waiter.asker).waiting;
  }
}

void StoreKeeper::answer(Rank asker, std::uint32_t number, Status status, const Payload& value) {
  ++askers_[asker].owed;
  const CallId sent = messages_.send(asker, wire::store_tag(number), wire::StoreAnswer{status}.to_message(value));
  answers_.emplace(sent, asker);
}

void StoreKeeper::stop() {
  values_.clear();
  waiters_.clear();
  askers_.clear();
  answers_.clear();
  kept_bytes_ = 0;
}

}  // namespace banyan::node
