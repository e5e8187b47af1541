// Collective operations over the tree: votes and contributions go up, results come down, any number in flight.
// The rules that keep memory bounded and results equal stand in docs/protocol.md, "Collectives".
#pragma once

#include <memory>

#include "base/limits.hh"
#include "node/calls.hh"
#include "node/effects.hh"
#include "node/message_requests.hh"
#include "node/topology.hh"

namespace banyan::node {

class Communicator;

class Collectives {
 public:
  // All outlive this object.
  Collectives(const Topology& topology, MessageRequests& requests, Effects& effects, const Limits& limits);
  ~Collectives();

  // This rank's next operation on `collective.communicator`. Completes by effect, or fails at `deadline`. Misuse (a
  // root out of range, bytes that don't fit the count) completes with a failure too, but is not an operation: it uses
  // up no place in the order of calls.
  void call(Time now, CallId id, Collective collective, Time deadline);
  // A frame from a neighbour. False: it breaks the protocol and the link should be given up.
  bool on_frame(Time now, LinkId from, const wire::Collective& head, Payload tail);
  // What has come of a message that was asked for.
  void on_message(MessageDone done);
  // Whether messages are needed, by this rank or, for what it has called, by others.
  bool needs_messages() const;
  // The child's subtree will make no more calls, and all its frames have been handed in; operations that need it fail
  // by naming it.
  void on_child_left(LinkId child);
  // Ends every pending call, and every later one at once.
  void fail_all(const Failure& failure);
  void on_time(Time now);
  Time deadline() const;
  // Operations that are not over at this rank; none once all that was called is done.
  std::size_t operations_kept() const;
  // Whether others wait for bytes that must still come from or through this rank: before it leaves, it should stay.
  bool owes_bytes() const;
  // It leaves all the same: the operations that lack these bytes fail everywhere, by naming it.
  void give_up_owed();

 private:
  const Topology& topology_;
  Effects& effects_;
  // The only one in this version.
  std::unique_ptr<Communicator> world_;
};

}  // namespace banyan::node
