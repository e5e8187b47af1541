#include "node/subcommunicator.hh"

#include <algorithm>
#include <string>
#include <utility>

#include "base/canary.hh"
#include "wire/control.hh"

namespace banyan::node {
namespace {

// `who`: the one whose leaving cuts others off, if it is not the sender's own.
Payload goodbye(Rank who = kNoRank) {
  return wire::encode_unframed(wire::Leave{false, who == kNoRank ? RankSet{} : RankSet::single(who)});
}

}  // namespace

Subcommunicator::Subcommunicator(CommunicatorId id, Rank self, std::shared_ptr<const Members> members,
                                 const Topology& job, MessageRequests& requests, Effects& effects, const Limits& limits)
    : members_(std::move(members)),
      topology_(self, job.shared_table(), members_),
      links_(id, topology_, requests),
      communicator_(id, topology_, requests, effects, limits, &links_),
      ask_interval_(limits.status_interval) {}

void Subcommunicator::on_message(Time now, MessageDone done) {
  now_ = now;
  const wire::Space space = done.tag.lane.space;
  if (space != wire::Space::link_data && space != wire::Space::link_control) {
    communicator_.on_message(std::move(done));
  } else if (const auto arrival = links_.on_message(std::move(done))) {
    if (!arrival->frame) {
      lose(arrival->from, arrival->reason);
    } else if (!on_frame(now, arrival->from, arrival->frame_class, *arrival->frame)) {
      lose(arrival->from, FailureCode::protocol);
    }
  }
  advance();
}

bool Subcommunicator::on_frame(Time now, LinkId from, FrameClass frame_class, const Payload& frame) {
  if (frame.empty()) return false;
  const Slice first = frame.part(0, 1).flatten();
  const auto kind = static_cast<wire::Kind>(first.bytes()[0]);
  const Payload body = frame.part(1, frame.size() - 1);
  if (kind == wire::Kind::leave) return on_leave(from, frame_class, body);
  if (kind != wire::Kind::collective) return false;
  const auto message = wire::decode_with_tail<wire::Collective>(body);
  return message && communicator_.on_frame(now, from, message->message, message->tail);
}

bool Subcommunicator::on_leave(LinkId from, FrameClass frame_class, const Payload& body) {
  const auto leave = wire::decode<wire::Leave>(body);
  if (!leave || leave->missing.count() > 1) return false;
  const Rank who = leave->missing.empty() ? topology_.job_rank(topology_.parent().rank)
                                          : Rank{leave->missing.ranges().front().first};
  if (raw(who) >= topology_.table().world_size() && !topology_.is_root()) return false;
  if (!links_.hear_goodbye(from, frame_class)) return true;
  if (is_child(from)) {
    communicator_.on_child_left(from);
    topology_.remove_child(from);
    ++children_left_;
    links_.say_goodbye(from, goodbye());
  } else if (said_goodbye_) {
    parent_answered_ = true;
  } else {
    lose_parent(who);
  }
  return true;
}

// Without a word. As in a job, there is no way to the others without a parent; of a child what it may have owed is
// lost.
void Subcommunicator::lose(LinkId link, FailureCode reason) {
  if (!is_child(link)) {
    if (!parent_left_) lose_parent(topology_.job_rank(topology_.parent().rank));
    return links_.drop(link);
  }
  links_.drop(link);
  communicator_.on_child_lost(link, reason);
  topology_.remove_child(link);
  ++children_left_;
}

void Subcommunicator::lose_parent(Rank who) {
  parent_left_ = true;
  links_.drop(topology_.parent().link);
  const std::string text = "rank " + std::to_string(raw(who)) + ", the way to the others of this communicator of " +
                           std::to_string(members_->size()) + " ranks, has closed it";
  communicator_.fail_all(
      {FailureCode::rank_left, Phase::running, RankSet::single(who), topology_.table().host(who), text});
  for (const Neighbour& child : topology_.children()) links_.say_goodbye(child.link, goodbye(who));
}

void Subcommunicator::leave(const Failure& closed) {
  leaving_ = true;
  communicator_.end_calls(closed);
  communicator_.call_no_more();
  advance();
}

void Subcommunicator::advance() {
  const bool waits = communicator_.operations_kept() > 0 || leaving_;
  if (waits != (ask_at_ != kNever)) ask_at_ = waits ? after(now_, ask_interval_) : kNever;
  const bool needed = !canary(Canary::member_leaves_at_once) && !parent_left_ &&
                      (children_left_ < topology_.children().size() || communicator_.owes_bytes());
  if (!leaving_ || needed) return;
  const bool has_parent = !topology_.is_root() && !parent_left_;
  if (has_parent && !std::exchange(said_goodbye_, true)) links_.say_goodbye(topology_.parent().link, goodbye());
  gone_ = links_.idle() && (!has_parent || parent_answered_ || canary(Canary::member_leaves_at_once));
}

void Subcommunicator::on_time(Time now) {
  now_ = now;
  if (communicator_.deadline() <= now) communicator_.on_time(now);
  if (ask_at_ <= now) {
    links_.ask_neighbours();
    ask_at_ = after(now, ask_interval_);
  }
  advance();
}

Time Subcommunicator::deadline() const { return std::min(communicator_.deadline(), ask_at_); }

}  // namespace banyan::node
