#include "node/store_asker.hh"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "node/direct_links.hh"
#include "node/store_keeper.hh"

namespace banyan::node {
namespace {

using Status = wire::StoreAnswer::Status;
using What = StoreCall::What;

// So much of a key stands in a sentence.
constexpr std::size_t kShownKeyBytes = 64;
constexpr const char* kFull =
    "it keeps as many bytes as it may; remove what is not needed, or raise store_bytes (BANYAN_STORE_BYTES)";

wire::StoreRequest::What request_of(What what, bool waits) {
  switch (what) {
    case What::put: return wire::StoreRequest::What::put;
    case What::get: return waits ? wire::StoreRequest::What::wait : wire::StoreRequest::What::find;
    case What::find: return wire::StoreRequest::What::find;
    case What::add: return wire::StoreRequest::What::add;
    case What::compare_set: return wire::StoreRequest::What::compare_set;
    case What::remove: break;
  }
  return wire::StoreRequest::What::remove;
}

// Any bytes may be in a key, and not all of them belong in a terminal.
std::string shown(const std::string& key) {
  std::string text;
  std::byte before{};
  for (const std::byte byte : as_byte_span(key).first(std::min(key.size(), kShownKeyBytes))) {
    text += is_control(byte, before) ? '?' : static_cast<char>(byte);
    before = byte;
  }
  return key.size() > kShownKeyBytes ? text + "..." : text;
}

// Whether a keeper that follows the protocol can say so.
bool fits(const StoreCall& call, bool may_be_absent, Status status, std::size_t bytes) {
  const bool is_empty = bytes == 0;
  switch (call.what) {
    case What::put: return (status == Status::done && is_empty) || status == Status::full;
    case What::get: return status == Status::done || (status == Status::absent && may_be_absent);
    case What::find: return status == Status::done || status == Status::absent;
    case What::add:
      return (status == Status::done && bytes == sizeof call.delta) || status == Status::mismatch ||
             status == Status::full;
    case What::compare_set:
      return (status == Status::done && is_empty) || status == Status::differs || status == Status::full ||
             (status == Status::absent && call.expected);
    case What::remove: break;
  }
  return (status == Status::done && is_empty) || status == Status::absent;
}

Payload flag(bool is_set) { return Payload::copy(std::string_view(is_set ? "\1" : "\0", 1)); }

}  // namespace

// --- calls ---------------------------------------------------------------------------------------------------------

void StoreAsker::call(Time now, CallId id, StoreCall call, Time deadline) {
  if (over_) return effects_.complete(id, *over_);
  if (auto failure = call.misuse()) return effects_.complete(id, *std::move(failure));
  const Rank keeper = keeper_of(call.key, topology_.world_size());
  const Number number = next_number();
  Request& request = requests_[number];
  request = {.call = id, .what = std::move(call), .keeper = keeper, .started = now, .deadline = deadline};
  if (deadline != kNever) deadlines_.emplace(deadline, number);
  enqueue(number, request);
}

StoreAsker::Number StoreAsker::next_number() {
  // They come again after four billion: some may still wait.
  do {
    ++last_number_;
  } while (last_number_ == wire::kRequests || requests_.contains(last_number_));
  return last_number_;
}

void StoreAsker::enqueue(Number number, const Request& request) {
  keepers_[request.keeper].window_of(request).queue.push_back(number);
  advance(request.keeper);
}

void StoreAsker::advance(Rank rank) {
  Keeper& keeper = keepers_.at(rank);
  const auto fill = [this](Window& window, std::uint32_t most) {
    while (window.under_way < most && !window.queue.empty()) {
      const Number number = window.queue.front();
      window.queue.pop_front();
      ++window.under_way;
      ask(number, requests_.at(number));
    }
    return window.under_way == 0;
  };
  const bool asks_nothing = fill(keeper.asking, kMaxStoreRequests);
  if (fill(keeper.waiting, kMaxStoreWaits) && asks_nothing) keepers_.erase(rank);
}

void StoreAsker::ask(Number number, Request& request) {
  const StoreCall& call = request.what;
  request.asked = true;
  const wire::StoreRequest message{
      request_of(call.what, request.waits), number, call.key, call.expected, call.value, call.delta};
  exchanges_.emplace(messages_.send(request.keeper, wire::store_tag(wire::kRequests), message.to_message()), number);
  receive_answer(number, request);
}

void StoreAsker::receive_answer(Number number, Request& request) {
  request.answer = messages_.receive(request.keeper, wire::store_tag(number));
  exchanges_.emplace(request.answer, number);
}

// --- answers -------------------------------------------------------------------------------------------------------

void StoreAsker::on_message(MessageDone done) {
  const auto at = exchanges_.find(done.id);
  if (at == exchanges_.end()) return;
  const Number number = at->second;
  exchanges_.erase(at);
  const auto request = requests_.find(number);
  if (request == requests_.end()) return;
  // One that left: whatever else ends messages has ended these calls before.
  if (std::holds_alternative<Failure>(done.result)) {
    messages_.cancel(request->second.answer);
    exchanges_.erase(request->second.answer);
    const Request ended = end(number);
    const char* effect = ended.changes() ? "; it may have been done before" : "";
    return fail(ended, FailureCode::rank_left, std::string("failed: ") + kHasLeft + effect);
  }
  if (done.id == request->second.answer) on_answer(number, std::get<Payload>(done.result));
}

void StoreAsker::on_answer(Number number, const Payload& message) {
  Request& request = requests_.at(number);
  auto answer = wire::decode_with_tail<wire::StoreAnswer>(message);
  const bool asked_if_there = request.what.what == What::get && !request.waits;
  const bool may_be_absent = asked_if_there || !request.call;
  if (!answer || !answer->message.carries(answer->tail.size()) ||
      !fits(request.what, may_be_absent, answer->message.status, answer->tail.size())) {
    return receive_answer(number, request);  // not believed: its own may still come
  }
  if (asked_if_there && request.call && answer->message.status == Status::absent) {
    Keeper& keeper = keepers_.at(request.keeper);
    --keeper.asking.under_way;
    request.asked = false;
    request.waits = true;
    return enqueue(number, request);
  }
  conclude(end(number), answer->message.status, std::move(answer->tail));
}

void StoreAsker::conclude(const Request& request, Status status, Payload value) {
  if (!request.call) return;
  if (status == Status::full) return fail(request, FailureCode::too_large, std::string("failed: ") + kFull);
  if (status == Status::mismatch)
    return fail(request, FailureCode::mismatch, "failed: what is there is no counter, since add has not put it");
  const bool is_done = status == Status::done;
  std::vector<Payload> parts;
  switch (request.what.what) {
    case What::put:
    case What::get:
    case What::add: return effects_.complete(*request.call, std::move(value));
    case What::find:
      if (is_done) parts.push_back(std::move(value));
      return effects_.complete(*request.call, Parts::join(parts));
    case What::compare_set:
      parts.push_back(flag(is_done));
      if (is_done) parts.emplace_back(request.what.value);
      if (status == Status::differs) parts.push_back(std::move(value));
      return effects_.complete(*request.call, Parts::join(parts));
    case What::remove: return effects_.complete(*request.call, flag(is_done));
  }
}

// --- ends ----------------------------------------------------------------------------------------------------------

StoreAsker::Request StoreAsker::end(Number number) {
  const auto at = requests_.find(number);
  Request request = std::move(at->second);
  requests_.erase(at);
  deadlines_.erase({request.deadline, number});
  Window& window = keepers_.at(request.keeper).window_of(request);
  if (request.asked) {
    --window.under_way;
  } else {
    std::erase(window.queue, number);
  }
  advance(request.keeper);
  return request;
}

bool StoreAsker::set_deadline(CallId id, Time deadline) {
  const auto at = std::ranges::find_if(requests_, [id](const auto& entry) { return entry.second.call == id; });
  if (at == requests_.end()) return false;
  deadlines_.erase({at->second.deadline, at->first});
  at->second.deadline = deadline;
  deadlines_.emplace(deadline, at->first);
  return true;
}

void StoreAsker::on_time(Time now) {
  while (deadline() <= now && !deadlines_.empty()) {
    const Number number = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    time_out(number, now);
  }
}

void StoreAsker::time_out(Number number, Time now) {
  Request& request = requests_.at(number);
  const auto waited = std::chrono::duration<double>(now - request.started).count();
  std::string reason = "nobody has put it";
  if (!request.waits) {
    reason = !request.asked
                 ? fmt::format("{} earlier requests have not been answered; this one was not sent", kMaxStoreRequests)
             : request.changes() ? "it has not been answered, and may have been done"
                                 : "it has not been answered";
  } else if (!request.asked) {
    reason = fmt::format("nobody had put it, and {} earlier ones still wait there", kMaxStoreWaits);
  }
  fail(request, FailureCode::timed_out, fmt::format("timed out after {:.1f} s: {}", waited, reason));
  request.call.reset();
  if (!request.asked) {
    end(number);
  } else if (request.waits) {
    const wire::StoreRequest message{wire::StoreRequest::What::forget, number, request.what.key, {}, {}, 0};
    messages_.send(request.keeper, wire::store_tag(wire::kRequests), message.to_message());
  }
}

void StoreAsker::fail(const Request& request, FailureCode code, const std::string& what_happened) {
  if (!request.call) return;
  const std::string host = topology_.table().host(request.keeper);
  effects_.complete(*request.call,
                    Failure{code, Phase::running, RankSet::single(request.keeper), host,
                            fmt::format("{} of key '{}', which rank {} on {} keeps, {}", request.what.name(),
                                        shown(request.what.key), raw(request.keeper), host, what_happened)});
}

void StoreAsker::end_calls(const Failure& failure) {
  if (!over_) over_ = failure;
  for (const auto& [number, request] : requests_) {
    if (request.call) effects_.complete(*request.call, failure);
    if (request.asked) messages_.cancel(request.answer);
  }
  requests_.clear();
  keepers_.clear();
  exchanges_.clear();
  deadlines_.clear();
}

}  // namespace banyan::node
