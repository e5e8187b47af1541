// Collective operations over trees: votes and contributions go up, results come down, any number in flight. One
// Communicator for the whole job, in the job's tree, and one for each group of ranks that the application has made, in
// a tree of its own. The rules that keep memory bounded and results equal stand in docs/protocol.md, "Collectives".
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/limits.hh"
#include "node/calls.hh"
#include "node/communicator.hh"
#include "node/effects.hh"
#include "node/message_requests.hh"
#include "node/subcommunicator.hh"
#include "node/topology.hh"

namespace banyan::node {

// What all its members call a communicator that comes of split number `sequence` of `parent`, or that they make as the
// `sequence`-th of the same ranks.
CommunicatorId communicator_of_split(CommunicatorId parent, Sequence sequence, std::int32_t color);
CommunicatorId communicator_of_ranks(CommunicatorId parent, Sequence sequence, const std::vector<Rank>& job_ranks,
                                     bool for_barriers);

class Collectives {
 public:
  // All outlive this object.
  Collectives(const Topology& topology, MessageRequests& requests, Effects& effects, const Limits& limits);

  // This rank's next operation on `collective.communicator`. Completes by effect, or fails at `deadline`. Misuse (a
  // root out of range, bytes that don't fit the count) completes with a failure too, but is not an operation: it uses
  // up no place in the order of calls.
  void call(Time now, CallId id, Collective collective, Time deadline);
  void make(CallId id, const MakeCommunicator& call);
  void leave(CallId id, const LeaveCommunicator& call);
  // A frame from a neighbour in the job's tree. False: it breaks the protocol and the link should be given up.
  bool on_frame(Time now, LinkId from, const wire::Collective& head, const Payload& tail);
  // What has come of a message that was asked for.
  void on_message(Time now, MessageDone done);
  // This rank closes: it leaves all communicators but the job's.
  void close(const Failure& closed);
  // Whether messages are needed, by this rank or, for what it has called, by others.
  bool needs_messages() const;
  // The child's subtree will make no more calls, and all its frames have been handed in; operations that need it fail
  // by naming it.
  void on_child_left(LinkId child) { world_.on_child_left(child); }
  // Ends every pending call, and every later one at once.
  void fail_all(const Failure& failure);
  // In place of the one that a pending call has; false: there is no such call.
  bool set_deadline(CallId id, Time deadline);
  void on_time(Time now);
  Time deadline() const;
  // Operations that are not over at this rank; none once all that was called is done.
  std::size_t operations_kept() const;
  std::size_t communicators() const { return subcommunicators_.size(); }
  // Whether others wait for bytes that must still come from or through this rank: before it leaves, it should stay.
  bool owes_bytes() const { return world_.owes_bytes() || !subcommunicators_.empty(); }
  // It leaves all the same: the operations that lack these bytes fail everywhere, by naming it.
  void give_up_owed();

 private:
  Subcommunicator* find(CommunicatorId id);
  Failure unknown(CommunicatorId id) const;
  // After anything that may have ended a split, or a communicator.
  void settle(CommunicatorId id);
  void make_of_split(CommunicatorId parent, Communicator::Split split);
  // Without a call, or where this rank closes, it is left at once: the others count on this rank to say so.
  void make(std::optional<CallId> call, CommunicatorId id, std::vector<Rank> job_ranks);

  const Topology& topology_;
  MessageRequests& requests_;
  Effects& effects_;
  const Limits& limits_;
  Communicator world_;
  std::map<CommunicatorId, std::unique_ptr<Subcommunicator>> subcommunicators_;
  std::optional<Failure> over_;
  std::optional<Failure> closing_;
  std::map<CommunicatorId, Sequence> made_of_ranks_;  // how often, by the id of the first
};

}  // namespace banyan::node
