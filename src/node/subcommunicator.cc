#include "node/subcommunicator.hh"

#include <algorithm>
#include <string>
#include <utility>

#include "base/canary.hh"
#include "wire/control.hh"

namespace banyan::node {
namespace {

Payload goodbye() { return wire::encode_unframed(wire::Leave{}); }

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
  if (done.tag.lane.space == wire::Space::collective) {
    communicator_.on_message(std::move(done));
  } else if (const auto arrival = links_.on_message(std::move(done))) {
    if (!arrival->frame) {
      lose(arrival->from, failure_of(arrival->from, FailureCode::rank_left, "has closed"));
    } else if (!on_frame(now, arrival->from, *arrival->frame)) {
      lose(arrival->from, failure_of(arrival->from, FailureCode::protocol, "has broken the protocol"));
    }
  }
  advance();
}

bool Subcommunicator::on_frame(Time now, LinkId from, const Payload& frame) {
  if (frame.empty()) return false;
  const Slice first = frame.part(0, 1).flatten();
  const auto kind = static_cast<wire::Kind>(first.bytes()[0]);
  const Payload body = frame.part(1, frame.size() - 1);
  if (kind == wire::Kind::leave) {
    if (!wire::decode<wire::Leave>(body)) return false;
    lose(from, failure_of(from, FailureCode::rank_left, "has closed it"));
    return true;
  }
  if (kind != wire::Kind::collective) return false;
  const auto message = wire::decode_with_tail<wire::Collective>(body);
  return message && communicator_.on_frame(now, from, message->message, message->tail);
}

// As in a job: below, only what lacks a vote is concerned; without a parent there is no way to the others.
void Subcommunicator::lose(LinkId link, const Failure& failure) {
  links_.drop(link);
  if (topology_.child_index(link) < topology_.children().size()) {
    communicator_.on_child_left(link);
    topology_.remove_child(link);
    ++children_left_;
    return;
  }
  parent_left_ = true;
  communicator_.fail_all(failure);
  for (const Neighbour& child : topology_.children()) links_.send(child.link, FrameClass::data, goodbye());
}

Failure Subcommunicator::failure_of(LinkId link, FailureCode code, const char* what) const {
  const std::size_t child = topology_.child_index(link);
  const Neighbour& neighbour = child < topology_.children().size() ? topology_.children()[child] : topology_.parent();
  const Rank rank = topology_.job_rank(neighbour.rank);
  return {code, Phase::running, RankSet::single(rank), topology_.table().host(rank),
          "rank " + std::to_string(raw(rank)) + ", a neighbour in this communicator of " +
              std::to_string(members_->size()) + " ranks, " + what};
}

void Subcommunicator::leave(const Failure& closed) {
  leaving_ = true;
  communicator_.end_calls(closed);
  advance();
}

void Subcommunicator::advance() {
  const bool waits = communicator_.operations_kept() > 0;
  if (waits != (ask_at_ != kNever)) ask_at_ = waits ? after(now_, ask_interval_) : kNever;
  const bool needed = !canary(Canary::member_leaves_at_once) && !parent_left_ &&
                      (children_left_ < topology_.children().size() || communicator_.owes_bytes());
  if (!leaving_ || needed) return;
  if (!topology_.is_root() && !parent_left_ && !std::exchange(said_goodbye_, true))
    links_.send(topology_.parent().link, FrameClass::data, goodbye());
  gone_ = links_.idle();
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
