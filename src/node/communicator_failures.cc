// How failures of single operations spread: up to the root, whose word then goes to all.
#include <algorithm>

#include "node/communicator.hh"
#include "wire/control.hh"

namespace banyan::node {
namespace {

// Sequences whose failure is remembered: all that can still be called (the windows of two neighbours), and as many
// that frames may still be under way for. All that is_in_time() admits, so that none is decided twice.
constexpr std::size_t kMaxFailedKept = 4 * kMaxCollectivesInFlight;

Payload tail_of(const Failure& failure) {
  Writer writer;
  wire::write(writer, failure);
  return Payload(std::move(writer).finish());
}

}  // namespace

void Communicator::contest(Index index, Operation& operation, const Failure& failure) {
  if (operation.contested || operation.failed) return;
  if (topology_.is_root()) return decide(index, failure);
  operation.contested = true;
  links_.send_control(links_.parent(), head_of(wire::Part::failed, index, &operation), tail_of(failure));
}

void Communicator::on_child_left(LinkId link) {
  const std::size_t child = topology_.child_index(link);
  if (closed_ || child == links_.child_count() || links_.has_left(child)) return;
  links_.child_left(child);
  for (auto& [index, operation] : operations_) operation.roll_call.answers.erase(child);
  note_left({child_voted_[child], topology_.job_rank(topology_.children()[child].rank), "left before it called "});
}

void Communicator::on_child_lost(LinkId link, FailureCode reason) {
  const std::size_t child = topology_.child_index(link);
  if (closed_ || child == links_.child_count() || links_.has_left(child)) return;
  const Rank rank = topology_.job_rank(topology_.children()[child].rank);
  const Index oldest = operations_.empty() ? child_voted_[child] : operations_.begin()->first;
  on_child_left(link);
  if (oldest >= child_voted_[child]) return;
  note_left({oldest, rank, reason == FailureCode::protocol ? "broke the protocol in " : "left in the middle of "});
}

void Communicator::call_no_more() {
  if (!closed_) note_left({called_, topology_.job_rank(topology_.self()), "left before it called "});
}

void Communicator::note_left(const Left& left) {
  remember_left(left);
  progress(left.first_missing);
}

void Communicator::remember_left(const Left& left) {
  if (left_ && left.first_missing >= left_->first_missing) return;
  left_ = left;
  left_reported_ = false;
}

// Whoever left matters only if there is an operation that lacks it: mostly all ranks are done by then.
void Communicator::report_left() {
  if (!left_ || left_reported_) return;
  const auto lacking = operations_.lower_bound(left_->first_missing);
  if (lacking == operations_.end()) return;
  left_reported_ = true;
  const Index index = left_->first_missing;
  const bool known = lacking->first == index && lacking->second.caller != kNoRank;
  const Failure failure =
      failure_of(FailureCode::rank_left, RankSet::single(left_->rank),
                 "rank " + std::to_string(raw(left_->rank)) + " " + left_->how +
                     (known ? lacking->second.signature.to_string() : "operation #" + std::to_string(index)));
  if (topology_.is_root()) return decide(index, failure);
  links_.send_control(links_.parent(), head_of(wire::Part::failed, index, nullptr), tail_of(failure));
}

// The oldest operation that this subtree has voted for and that still waits for bytes of it.
std::map<Communicator::Index, Communicator::Operation>::const_iterator Communicator::first_owed() const {
  return std::ranges::find_if(operations_, [this](const auto& entry) {
    const auto& [index, operation] = entry;
    return index < voted_ && operation.algorithm && operation.algorithm->deferred();
  });
}

void Communicator::give_up_owed() {
  const auto owed = first_owed();
  if (closed_ || topology_.is_root() || owed == operations_.end()) return;
  const Rank self = topology_.job_rank(topology_.self());
  const Failure failure = failure_of(FailureCode::rank_left, RankSet::single(self),
                                     "rank " + std::to_string(raw(self)) + " left before the bytes of " +
                                         owed->second.signature.to_string() + " had gone through it");
  links_.send_control(links_.parent(), head_of(wire::Part::failed, owed->first, nullptr), tail_of(failure));
}

// At the root.
void Communicator::decide(Index index, const Failure& failure, LinkId feeder) {
  const bool known =
      failure.code == FailureCode::rank_left ? broken_ && broken_->from <= index : failed_.contains(index);
  if (known) return;
  links_.send_control_down(head_of(wire::Part::failed, index, find(index)), tail_of(failure), feeder);
  apply_failure(index, failure);
}

void Communicator::apply_failure(Index index, const Failure& failure) {
  if (failure.code == FailureCode::rank_left) return break_from(index, failure);
  if (!failed_.emplace(index, failure).second) return;
  if (failed_.size() > kMaxFailedKept) failed_.erase(failed_.begin());
  peers_.forget(Sequence{index});
  Operation* operation = find(index);
  const bool ended_here = operation == nullptr || !operation->pending;
  const bool failed_here = operation == nullptr ? failed_here_.contains(index) : operation->failed_here;
  const bool completed_well = index < called_ && ended_here && !failed_here;
  if (completed_well) fail_next_after(index, failure);
  if (operation == nullptr) return;
  operation->failed = true;
  operation->algorithm.reset();
  fail(*operation, index, failure);
}

void Communicator::break_from(Index index, const Failure& failure) {
  if (broken_ && broken_->from <= index) return;
  broken_ = Broken{index, failure};
  const auto first = operations_.lower_bound(index);
  for (auto at = first; at != operations_.end(); ++at) fail(at->second, at->first, failure);
  operations_.erase(first, operations_.end());
  peers_.forget_from(Sequence{index});
}

void Communicator::remember_failed_here(Index index) {
  failed_here_.insert(index);
  if (failed_here_.size() > kMaxFailedKept) failed_here_.erase(failed_here_.begin());
}

// What was completed here has failed elsewhere: this rank hears of it by its next call, pending or to come.
void Communicator::fail_next_after(Index index, const Failure& failure) {
  for (auto at = operations_.upper_bound(index); at != operations_.end(); ++at) {
    if (at->second.pending) return fail(at->second, at->first, failure);
  }
  if (!next_fails_) next_fails_ = failure;
}

Failure Communicator::failure_of(FailureCode code, RankSet ranks, std::string text) const {
  Failure failure{code, Phase::running, std::move(ranks), {}, std::move(text)};
  if (!failure.ranks.empty()) failure.host = topology_.table().host(Rank{failure.ranks.ranges().front().first});
  return failure;
}

}  // namespace banyan::node
