// What comes from the neighbours. A frame that a correct neighbour can't send is refused; one that merely comes too
// late, because something failed meanwhile, is dropped.
#include "node/communicator.hh"
#include "wire/control.hh"

namespace banyan::node {

bool Communicator::on_frame(Time now, LinkId from, const wire::Collective& head, const Payload& tail) {
  if (closed_) return true;
  const bool from_parent = !topology_.is_root() && from == links_.parent();
  const std::size_t child = topology_.child_index(from);
  if (!from_parent && (child == links_.child_count() || links_.has_left(child))) return false;
  // Control may come very late where it has a way of its own.
  if (comes_late(head)) return true;
  if (!is_in_time(head)) return false;
  if (head.part == wire::Part::failed) return on_failed(from, head, tail);
  if (broken_ && raw(head.sequence) >= broken_->from) return true;
  switch (head.part) {
    case wire::Part::vote: return !from_parent && on_vote(now, child, head, tail);
    case wire::Part::go: return from_parent && on_go(head, tail);
    case wire::Part::data: return on_data(now, from, head, tail);
    case wire::Part::retired: return from_parent && on_retired(head, tail);
    case wire::Part::question: return from_parent && on_question(now, head, tail);
    case wire::Part::missing: return on_missing(now, from, head, tail);
    case wire::Part::failed: break;
  }
  return false;
}

bool Communicator::overtakes(const wire::Collective& head) {
  return head.part == wire::Part::failed || head.part == wire::Part::question || head.part == wire::Part::missing;
}

bool Communicator::comes_late(const wire::Collective& head) const {
  return id_ != kWorld && overtakes(head) && raw(head.sequence) + 2 * Index{kMaxCollectivesInFlight} < retired_;
}

// Nobody starts an operation outside the window, and what a neighbour knows to be retired comes to be known here before
// anything that builds on it. But a control frame may have overtaken the news: by at most another window, for nothing
// is retired that this rank has not started. Nor does it come late: whoever speaks of an operation that is not over for
// him has started no more than a window beyond it, so that no more is retired before he is heard. Two windows are
// granted, as on the other side; between them lie the sequences whose failure is remembered (kMaxFailedKept).
bool Communicator::is_in_time(const wire::Collective& head) const {
  const Index index = raw(head.sequence);
  if (!overtakes(head)) return index < retired_ + kMaxCollectivesInFlight;
  return index + 2 * Index{kMaxCollectivesInFlight} >= retired_ &&
         index < retired_ + 2 * Index{kMaxCollectivesInFlight};
}

bool Communicator::on_vote(Time now, std::size_t child, const wire::Collective& head, const Payload& tail) {
  const Index index = raw(head.sequence);
  const bool well_formed =
      tail.empty() && head.call.valid(topology_.world_size()) && raw(head.caller) < topology_.world_size();
  if (!well_formed || index != child_voted_[child]) return false;
  // Of a broadcast only its source has bytes.
  const bool brings = head.call.kind == wire::CollectiveKind::broadcast && head.total > 0;
  if (brings &&
      (head.call.root == topology_.self() || topology_.next_hop(head.call.root) != topology_.children()[child].link))
    return false;
  ++child_voted_[child];
  Operation& operation = obtain(now, index);
  ++operation.child_votes;
  operation.deferred = operation.deferred || head.deferred;
  operation.roll_call.answers.erase(child);
  const bool agreed = agree(index, operation, head.call, head.caller);
  if (agreed) add_bytes(operation, head.total);
  if (agreed && operation.algorithm) operation.algorithm->on_vote(child, head.deferred);
  progress(index);
  return true;
}

bool Communicator::on_go(const wire::Collective& head, const Payload& tail) {
  const Index index = raw(head.sequence);
  if (!tail.empty() || index >= voted_) return false;
  Operation* operation = find(index);
  const bool undisputed = operation != nullptr && !operation->contested && !operation->failed;
  if (undisputed && operation->signature != head.call) return false;
  if (head.offset > 0) {
    if (operation != nullptr && operation->algorithm && !operation->algorithm->on_credit(head.offset)) return false;
  } else {
    // The root says in order what is retired, so a second `go` comes too late.
    if (index < retired_) return false;
    links_.send_data_down(head);
    retire(index + 1);
    if (operation != nullptr && operation->algorithm && operation->signature == head.call) {
      operation->algorithm->on_total(head.total);
      on_all_called(index, *operation);
    }
  }
  progress(index);
  return true;
}

bool Communicator::on_data(Time now, LinkId from, const wire::Collective& head, const Payload& tail) {
  const Index index = raw(head.sequence);
  if (!head.call.valid(topology_.world_size()) || raw(head.caller) >= topology_.world_size()) return false;
  if (!operations_.contains(index) && !is_unknown(index)) {
    // Its sender has yet to hear that it has failed.
    if (failed_.contains(index)) return true;
    // Over for this rank. Until all are known to have called, it may be the bytes of a call that contradicts: the votes
    // will tell.
    return pass_on(links_, from, head, tail) || index >= retired_;
  }
  Operation& operation = obtain(now, index);
  const bool agreed = agree(index, operation, head.call, head.caller);
  if (agreed && operation.algorithm && !operation.algorithm->on_data(from, head, tail)) return false;
  progress(index);
  return true;
}

bool Communicator::on_retired(const wire::Collective& head, const Payload& tail) {
  const Index index = raw(head.sequence);
  if (!tail.empty() || index < retired_ || index >= voted_) return false;
  links_.send_data_down(head);
  retire(index + 1);
  progress(index);
  return true;
}

bool Communicator::on_failed(LinkId from, const wire::Collective& head, const Payload& tail) {
  const Slice bytes = tail.flatten();
  Reader reader(bytes.bytes());
  const Failure failure = wire::read_failure(reader);
  const Index index = raw(head.sequence);
  const std::uint32_t job_size = topology_.table().world_size();
  const bool in_job = failure.ranks.empty() || failure.ranks.ranges().back().last < job_size;
  if (!reader.finished() || !in_job) return false;
  if (topology_.is_root()) {
    decide(index, failure, from);
  } else if (from == links_.parent()) {
    links_.send_control_down(head, tail, from);
    apply_failure(index, failure);
  } else {
    Operation* operation = find(index);
    // That a rank has left concerns later operations too: no other failure of this one stands for it.
    const bool told = failure.code == FailureCode::rank_left
                          ? broken_ && broken_->from <= index
                          : failed_.contains(index) || (operation != nullptr && operation->contested);
    if (told) return true;
    if (operation != nullptr) operation->contested = true;
    links_.send_control(links_.parent(), head, tail, from);
  }
  progress(index);
  return true;
}

}  // namespace banyan::node
