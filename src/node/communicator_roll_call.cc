// Deadlines of calls, and finding out who is missing before they pass: an error must name those who have not called.
// Questions go down to children that have not voted, answers come up, and the root tells all. A node that sees an
// operation wait, but is not asked about it, speaks up by itself: the root may not know yet that anybody has called.
#include <algorithm>

#include "node/communicator.hh"

namespace banyan::node {
namespace {

// Operations that the root asks about at a time, the oldest first: who is missing from one is missing from all later.
constexpr std::size_t kMaxRollCalls = 4;

std::string list_of(const MissingRanks& missing, std::uint32_t world_size, const char* how_sure) {
  return std::string("; missing ") + how_sure + std::to_string(missing.count) + " of " + std::to_string(world_size) +
         ": " + missing.to_string();
}

}  // namespace

bool Communicator::set_deadline(CallId id, Time deadline) {
  const auto at = std::ranges::find_if(
      operations_, [id](const auto& entry) { return entry.second.pending && entry.second.pending->id == id; });
  if (at == operations_.end()) return false;
  deadlines_.erase({at->second.pending->deadline, at->first});
  at->second.pending->deadline = deadline;
  deadlines_.emplace(deadline, at->first);
  return true;
}

void Communicator::on_time(Time now) {
  if (closed_) return;
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) expire(deadlines_.begin()->second);
  take_roll_calls(now);
}

Time Communicator::deadline() const {
  if (closed_) return kNever;
  const Time roll_call = next_roll_call();
  return deadlines_.empty() ? roll_call : std::min(roll_call, deadlines_.begin()->first);
}

// Somebody has called it, as far as is known here.
bool Communicator::wants_roll_call(const Operation& operation) {
  return !operation.failed && (operation.caller != kNoRank || operation.roll_call.rounds > 0);
}

void Communicator::take_roll_calls(Time now) {
  std::size_t most = topology_.is_root() ? kMaxRollCalls : 1;
  for (auto at = operations_.lower_bound(voted_); at != operations_.end() && most > 0; ++at) {
    auto& [index, operation] = *at;
    if (!wants_roll_call(operation)) continue;
    --most;
    if (operation.next_question > now) continue;
    if (topology_.is_root()) {
      ask_as_root(now, index, operation);
    } else {
      operation.next_question = kNever;
      if (!operation.roll_call.spoken) say(index, operation, answer(index, operation));
    }
  }
}

Time Communicator::next_roll_call() const {
  Time next = kNever;
  std::size_t most = topology_.is_root() ? kMaxRollCalls : 1;
  for (auto at = operations_.lower_bound(voted_); at != operations_.end() && most > 0; ++at) {
    const Operation& operation = at->second;
    if (!wants_roll_call(operation)) continue;
    --most;
    next = std::min(next, operation.next_question);
  }
  return next;
}

// What this node knows of its subtree. A child that was asked in an earlier round and has never answered is missing.
RollCall::Answer Communicator::answer(Index index, const Operation& operation) const {
  const RollCall& roll_call = operation.roll_call;
  RollCall::Answer answer;
  if (index >= called_) answer.missing.insert(topology_.job_rank(topology_.self()));
  for (std::size_t child = 0; child < links_.child_count(); ++child) {
    if (child_voted_[child] > index || links_.has_left(child)) continue;
    if (const auto at = roll_call.answers.find(child); at != roll_call.answers.end()) {
      answer.missing.insert(at->second.missing);
      answer.provisional = answer.provisional || at->second.provisional;
    } else if (roll_call.rounds > 0) {
      answer.missing.insert(topology_.job_rank(topology_.children()[child].rank));
    } else {
      answer.provisional = true;
    }
  }
  // Children that count one another's ranks, or more than there are, don't make this rank break the protocol.
  answer.missing.count = std::min<std::uint64_t>(answer.missing.count, topology_.world_size());
  return answer;
}

bool Communicator::all_answered(const Operation& operation) const {
  return operation.roll_call.answers.size() + operation.child_votes == links_.child_count();
}

void Communicator::ask_children(Index index, Operation& operation, LinkId feeder) {
  ++operation.roll_call.rounds;
  const wire::Collective question = head_of(wire::Part::question, index, &operation);
  for (std::size_t child = 0; child < links_.child_count(); ++child) {
    if (child_voted_[child] > index || links_.has_left(child)) continue;
    links_.send_control(topology_.children()[child].link, question, {}, feeder);
  }
}

void Communicator::ask_as_root(Time now, Index index, Operation& operation) {
  operation.next_question = after(now, limits_.status_interval);
  RollCall::Answer known = answer(index, operation);
  if (operation.roll_call.rounds > 0 || !known.provisional) say(index, operation, std::move(known));
  ask_children(index, operation);
}

// Up to the parent; from the root down to all.
void Communicator::say(Index index, Operation& operation, RollCall::Answer answer, LinkId feeder) {
  RollCall& roll_call = operation.roll_call;
  if (roll_call.spoken && roll_call.last_said == answer) return;
  wire::Collective head = head_of(wire::Part::missing, index, &operation);
  head.deferred = answer.provisional;
  if (!topology_.is_root()) {
    links_.send_control(links_.parent(), head, answer.missing.write(), feeder);
  } else if (answer.missing.count > 0) {
    links_.send_control_down(head, answer.missing.write(), feeder);
    roll_call.from_root = answer.missing;
  }
  roll_call.spoken = true;
  roll_call.last_said = std::move(answer);
}

void Communicator::say_if_final(Index index, Operation& operation, LinkId feeder) {
  if (!all_answered(operation)) return;
  RollCall::Answer known = answer(index, operation);
  if (!known.provisional) say(index, operation, std::move(known), feeder);
}

bool Communicator::on_question(Time now, const wire::Collective& head, const Payload& tail) {
  const Index index = raw(head.sequence);
  if (!tail.empty()) return false;
  if (index < voted_) return true;  // the vote is on its way
  Operation& operation = obtain(now, index);
  if (operation.failed) return true;
  say(index, operation, answer(index, operation));
  ask_children(index, operation, topology_.parent().link);
  progress(index);
  return true;
}

bool Communicator::on_missing(Time now, LinkId from, const wire::Collective& head, const Payload& tail) {
  const Index index = raw(head.sequence);
  auto missing = MissingRanks::read(tail, topology_.table().world_size());
  if (!missing) return false;
  const std::size_t child = topology_.child_index(from);
  const bool from_child = child < links_.child_count();
  if (!from_child) links_.send_control_down(head, tail, from);
  if (from_child ? index < child_voted_[child] : !operations_.contains(index) && !is_unknown(index)) return true;
  Operation& operation = obtain(now, index);
  RollCall& roll_call = operation.roll_call;
  if (!from_child) {
    roll_call.from_root = *std::move(missing);
    return true;
  }
  if (operation.failed) return true;
  roll_call.answers[child] = {*std::move(missing), head.deferred};
  if (topology_.is_root() && roll_call.rounds == 0) {
    ask_as_root(now, index, operation);
  } else if (roll_call.spoken || topology_.is_root()) {
    say_if_final(index, operation, from);
  } else {
    say(index, operation, answer(index, operation), from);
  }
  progress(index);
  return true;
}

void Communicator::expire(Index index) {
  Operation& operation = operations_.at(index);
  fail(operation, index, timeout_of(index, operation));
  progress(index);
}

Failure Communicator::timeout_of(Index index, const Operation& operation) const {
  std::string text = operation.pending->call.to_string() + " #" + std::to_string(index) + " timed out after " +
                     seconds_text(operation.pending->deadline - operation.pending->since);
  if (index < retired_) {
    return failure_of(FailureCode::timed_out, {},
                      text + "; all ranks have called it, but its bytes did not come in time");
  }
  // The root's word on this operation, or on an earlier one: who is missing there is missing here too.
  for (auto at = std::make_reverse_iterator(operations_.upper_bound(index)); at != operations_.rend(); ++at) {
    if (at->first < retired_) break;
    if (!at->second.roll_call.from_root) continue;
    MissingRanks missing = *at->second.roll_call.from_root;
    missing.erase(topology_.job_rank(topology_.self()));
    if (missing.count == 0) continue;
    text += list_of(missing, topology_.world_size(), at->first == index ? "" : "at least ");
    return failure_of(FailureCode::timed_out, missing.named, std::move(text));
  }
  RankSet ranks;
  text += missing_here(index, operation, ranks);
  return failure_of(FailureCode::timed_out, std::move(ranks), std::move(text));
}

// Without the root's word: a local rank that has not voted is missing; of a leader only its subtree is known to be
// late.
std::string Communicator::missing_here(Index index, const Operation& operation, RankSet& ranks) const {
  MissingRanks missing;
  RankSet late;
  for (std::size_t child = 0; child < links_.child_count(); ++child) {
    if (child_voted_[child] > index) continue;
    const Neighbour& neighbour = topology_.children()[child];
    const auto answered = operation.roll_call.answers.find(child);
    if (neighbour.position == kNoPosition) {
      missing.insert(topology_.job_rank(neighbour.rank));
    } else if (answered != operation.roll_call.answers.end() && answered->second.missing.count > 0) {
      missing.insert(answered->second.missing);
    } else {
      late.insert(topology_.job_rank(neighbour.rank));
    }
  }
  ranks = missing.named;
  std::string text;
  if (missing.count > 0) text += list_of(missing, topology_.world_size(), "at least ");
  if (!late.empty()) text += "; not all ranks have called it in the subtree of " + late.to_string();
  return text.empty() ? "; which ranks are missing is not known here" : text;
}

}  // namespace banyan::node
