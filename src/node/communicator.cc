#include "node/communicator.hh"

#include <algorithm>

#include "base/assert.hh"
#include "base/canary.hh"
#include "node/collective_blocks.hh"

namespace banyan::node {
namespace {

// The root says that operations are retired when others could otherwise come to wait for it.
constexpr std::uint64_t kAnnounceAfter = kMaxCollectivesInFlight / 2;

}  // namespace

Communicator::Communicator(CommunicatorId id, const Topology& topology, MessageRequests& requests, Effects& effects,
                           const Limits& limits, MemberLinks* member_links)
    : id_(id),
      topology_(topology),
      effects_(effects),
      limits_(limits),
      links_(topology, effects, member_links),
      peers_(id, topology, requests),
      child_voted_(topology.children().size(), 0) {}

void Communicator::call(Time now, CallId id, Collective collective, Time deadline) {
  if (closed_) return effects_.complete(id, *closed_);
  collective.call.blocks = wire::blocks_of(collective.counts);
  if (auto misuse = misuse_of(collective)) return effects_.complete(id, *std::move(misuse));
  const Index index = called_++;
  if (broken_ && index >= broken_->from) return effects_.complete(id, broken_->failure);
  Operation& operation = obtain(now, index);
  operation.pending = PendingCall{id, collective.call, now, deadline};
  if (deadline != kNever) deadlines_.emplace(deadline, index);
  if (operation.failed) {
    fail(operation, index, failed_.at(index));
  } else if (next_fails_) {
    fail(operation, index, *std::exchange(next_fails_, std::nullopt));
  }
  agree(index, operation, collective.call, topology_.self());
  operation.waiting = std::move(collective);
  progress(index);
}

std::optional<Failure> Communicator::misuse_of(const Collective& collective) const {
  const wire::CallSignature& call = collective.call;
  const auto misuse = [&](std::string text) { return failure_of(FailureCode::misuse, {}, std::move(text)); };
  if (!call.valid(topology_.world_size())) {
    const bool no_such_root = call.root != kNoRank && raw(call.root) >= topology_.world_size();
    return misuse(no_such_root ? "root " + std::to_string(raw(call.root)) + " is not a rank of this job of " +
                                     std::to_string(topology_.world_size())
                               : "this collective call does not exist");
  }
  const std::uint64_t vector_bytes = call.count * wire::element_bytes(call.element);
  if (call.reduction != wire::Reduction::none && collective.contribution.size() != vector_bytes) {
    return misuse(call.to_string() + " was given " + std::to_string(collective.contribution.size()) +
                  " bytes instead of " + std::to_string(vector_bytes));
  }
  if (call.kind == wire::CollectiveKind::reduce_scatter) {
    const auto obstacle = obstacle_to_blocks(call, collective.counts, topology_.world_size());
    if (obstacle) return misuse(call.to_string() + " " + *obstacle);
  }
  const bool scatters = call.kind == wire::CollectiveKind::scatter && call.root == topology_.self();
  if ((scatters || call.kind == wire::CollectiveKind::alltoall) && collective.parts.size() != topology_.world_size()) {
    return misuse(call.to_string() + " was given " + std::to_string(collective.parts.size()) + " parts for " +
                  std::to_string(topology_.world_size()) + " ranks");
  }
  std::uint64_t most = collective.contribution.size();
  for (const Payload& part : collective.parts) most = std::max<std::uint64_t>(most, part.size());
  if (most <= kMaxMessageBytes) return std::nullopt;
  return failure_of(FailureCode::too_large, {},
                    call.to_string() + " was given " + std::to_string(most) + " bytes; the limit is " +
                        std::to_string(kMaxMessageBytes));
}

void Communicator::fail_all(const Failure& failure) {
  closed_ = failure;
  for (auto& [index, operation] : operations_) fail(operation, index, failure);
  peers_.forget_from(Sequence{operations_.empty() ? called_ : operations_.begin()->first});
  operations_.clear();
}

void Communicator::end_calls(const Failure& failure) {
  std::vector<Index> ended;
  for (auto& [index, operation] : operations_) {
    fail(operation, index, failure);
    ended.push_back(index);
  }
  for (const Index index : ended) progress(index);
}

void Communicator::on_message(MessageDone done) {
  const auto exchange = peers_.take(done.id);
  if (!exchange) return;
  const Index index = raw(exchange->operation);
  Operation* operation = find(index);
  // One that has failed here waits for the root's word: what still comes for it would not fit.
  if (operation == nullptr || !operation->algorithm || operation->algorithm->failure()) return;
  CollectiveAlgorithm& algorithm = *operation->algorithm;
  if (auto* failure = std::get_if<Failure>(&done.result)) {
    algorithm.on_exchange_failed(std::move(*failure));
  } else if (exchange->channel != StreamChannel::none) {
    exchange->receives
        ? algorithm.on_segment(exchange->channel, exchange->peer, std::get<Payload>(std::move(done.result)))
        : algorithm.on_segment_sent(exchange->channel, exchange->peer);
  } else {
    exchange->receives ? algorithm.on_received(exchange->peer, std::get<Payload>(std::move(done.result)))
                       : algorithm.on_sent(exchange->peer);
  }
  progress(index);
}

bool Communicator::needs_messages() const {
  return std::ranges::any_of(
      operations_, [](const auto& entry) { return entry.second.algorithm && entry.second.algorithm->uses_messages(); });
}

Communicator::Operation* Communicator::find(Index index) {
  const auto at = operations_.find(index);
  return at == operations_.end() ? nullptr : &at->second;
}

Communicator::Operation& Communicator::obtain(Time now, Index index) {
  const auto [at, is_new] = operations_.try_emplace(index);
  Operation& operation = at->second;
  if (is_new) {
    operation.failed = failed_.contains(index);
    // Long enough that a job in which all is well never asks, short enough that a call of a second knows the answer.
    operation.next_question = after(now, limits_.status_interval / 4);
  }
  return operation;
}

bool Communicator::agree(Index index, Operation& operation, const wire::CallSignature& call, Rank caller) {
  if (operation.caller == kNoRank) {
    operation.signature = call;
    operation.caller = caller;
    if (!operation.failed)
      operation.algorithm = make_algorithm(links_, peers_, head_of(wire::Part::data, index, &operation));
    return true;
  }
  if (operation.signature == call) return true;
  const Rank other = topology_.job_rank(operation.caller);
  caller = topology_.job_rank(caller);
  RankSet both = RankSet::single(caller);
  both.insert(other);
  contest(index, operation,
          failure_of(FailureCode::mismatch, both,
                     "rank " + std::to_string(raw(caller)) + " called " + call.to_string() + " where rank " +
                         std::to_string(raw(other)) + " called " + operation.signature.to_string()));
  return false;
}

// After anything has changed for operation `index`: completes, votes and starts what now can be.
void Communicator::progress(Index index) {
  report_left();
  settle(index);
  while (vote_next() || start_next()) continue;
  begin_next_bulk();
}

// Votes for the oldest operation that this subtree has not voted for, if all have called it.
bool Communicator::vote_next() {
  Operation* operation = find(voted_);
  const std::size_t votes = links_.child_count() - (canary(Canary::vote_too_early) && links_.child_count() > 0 ? 1 : 0);
  if (operation == nullptr || voted_ >= started_ || operation->child_votes < votes) return false;
  const Index index = voted_++;
  bool deferred = operation->deferred;
  if (operation->algorithm) {
    operation->algorithm->before_vote(operation->bytes);
    deferred = deferred || operation->algorithm->deferred();
  }
  if (topology_.is_root()) {
    retire(index + 1);
    if (operation->algorithm) operation->algorithm->on_total(operation->bytes);
    announce_as_root(index, *operation, deferred);
  } else {
    wire::Collective vote = head_of(wire::Part::vote, index, operation);
    vote.deferred = deferred;
    vote.total = operation->bytes;
    links_.send_data(links_.parent(), vote);
  }
  settle(index);
  return true;
}

void Communicator::announce_as_root(Index index, Operation& operation, bool deferred) {
  const bool go = deferred || operation.signature.kind == wire::CollectiveKind::barrier;
  if (go && operation.algorithm && !operation.algorithm->failure()) {
    wire::Collective head = head_of(wire::Part::go, index, &operation);
    head.total = operation.bytes;
    links_.send_data_down(head);
    announced_ = std::max(announced_, index + 1);
    on_all_called(index, operation);
  } else if (retired_ >= announced_ + kAnnounceAfter) {
    announced_ = retired_;
    links_.send_data_down(head_of(wire::Part::retired, retired_ - 1, nullptr));
  }
}

void Communicator::on_all_called(Index index, Operation& operation) {
  operation.algorithm->on_go();
  if (!operation.algorithm->is_bulk()) return;
  bulk_.insert(index);
  // Every host has its part in it, also one whose ranks had all called and then left.
  for (std::size_t child = links_.host_children(); child < links_.child_count(); ++child) {
    if (links_.has_left(child))
      remember_left({index, topology_.job_rank(topology_.children()[child].rank), "left before its part in "});
  }
}

void Communicator::begin_next_bulk() {
  while (!bulk_.empty()) {
    const Index index = *bulk_.begin();
    const Operation* operation = find(index);
    if (operation == nullptr || !operation->algorithm || operation->algorithm->finished()) {
      bulk_.erase(bulk_.begin());
      continue;
    }
    if (begun_ == index) return;
    begun_ = index;
    operation->algorithm->begin();
    settle(index);
  }
}

void Communicator::add_bytes(Operation& operation, std::uint64_t bytes) {
  operation.bytes = std::min(operation.bytes + bytes, kMaxMessageBytes);
}

// Starts the oldest call that waits, if it fits into the window.
bool Communicator::start_next() {
  // The root knows first what is retired; its neighbours must know too before they get what builds on it.
  const Index known_to_all = topology_.is_root() ? announced_ : retired_;
  Operation* operation = find(started_);
  if (operation == nullptr || !operation->waiting) return false;
  // All may have called long before the bytes have come: those, too, may fall behind by one window only. The oldest
  // operation of all can always start, so nobody waits for one that waits for him.
  const Index oldest = std::min(known_to_all, operations_.begin()->first);
  if (started_ >= oldest + kMaxCollectivesInFlight) return false;
  const Index index = started_++;
  Collective collective = *std::exchange(operation->waiting, std::nullopt);
  const bool broadcasts =
      collective.call.kind == wire::CollectiveKind::broadcast && collective.call.root == topology_.self();
  // A call that contradicts the others' has lost; it counts as called all the same.
  const bool agrees = operation->signature == collective.call;
  if (agrees && (broadcasts || wire::gathers_for_all(collective.call.kind)))
    add_bytes(*operation, collective.contribution.size());
  if (agrees && operation->algorithm) operation->algorithm->start(std::move(collective));
  settle(index);
  return true;
}

// Completes the operation's call and forgets the operation, if it is time.
void Communicator::settle(Index index) {
  Operation* operation = find(index);
  if (operation == nullptr) return;
  if (operation->algorithm && operation->algorithm->failure()) {
    contest(index, *operation, Failure(*operation->algorithm->failure()));
    // At the root that may have ended it.
    operation = find(index);
    if (operation == nullptr) return;
  }
  if (operation->algorithm && operation->algorithm->proves_all_called()) {
    retire(index + 1);
    announced_ = std::max(announced_, index + 1);
  }
  // A split makes something even where nobody waits for it any more, since the others count on that.
  const bool wanted = operation->pending || operation->signature.kind == wire::CollectiveKind::split;
  if (operation->algorithm && wanted && !operation->contested) {
    if (auto result = operation->algorithm->take_result()) complete(*operation, index, *std::move(result));
  }
  const bool over = operation->failed || (operation->algorithm && operation->algorithm->finished());
  if (!over || index >= voted_ || operation->pending) return;
  if (operation->failed_here) remember_failed_here(index);
  operations_.erase(index);
}

void Communicator::retire(Index count) { retired_ = std::max(retired_, count); }

void Communicator::complete(Operation& operation, Index index, CollectiveAlgorithm::Result result) {
  const std::optional<PendingCall> pending = std::exchange(operation.pending, std::nullopt);
  if (pending) deadlines_.erase({pending->deadline, index});
  if (operation.signature.kind == wire::CollectiveKind::split) {
    splits_.push_back(
        {pending ? std::optional(pending->id) : std::nullopt, Sequence{index}, std::get<Parts>(std::move(result))});
  } else {
    std::visit([&](auto& value) { effects_.complete(pending->id, std::move(value)); }, result);
  }
}

void Communicator::fail(Operation& operation, Index index, const Failure& failure) {
  if (!operation.pending) return;
  effects_.complete(operation.pending->id, failure);
  deadlines_.erase({operation.pending->deadline, index});
  operation.pending.reset();
  operation.failed_here = true;
}

wire::Collective Communicator::head_of(wire::Part part, Index index, const Operation* operation) const {
  wire::Collective head;
  head.part = part;
  head.communicator = id_;
  head.sequence = Sequence{index};
  if (operation != nullptr) {
    head.call = operation->signature;
    head.caller = operation->caller;
  }
  return head;
}

}  // namespace banyan::node
