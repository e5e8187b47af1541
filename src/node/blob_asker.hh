// The asking side of a lazy table: asks other ranks for their blobs. Blobs never change, so whoever wants one that has
// been asked for already waits for the same answer: an owner has one request of this rank at a time, and of all owners
// at most kMaxBlobRequests; further ones wait in a queue.
//
// Each request has exactly one answer. So one that nobody waits for any more keeps its place until that has come, and
// no owner ever owes this rank more.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.hh"
#include "node/effects.hh"
#include "node/message_requests.hh"
#include "node/topology.hh"

namespace banyan::node {

class BlobAsker {
 public:
  // All outlive this object.
  BlobAsker(const Topology& topology, MessageRequests& messages, Effects& effects)
      : topology_(topology), messages_(messages), effects_(effects) {}

  void call(Time now, CallId id, Rank owner, Time deadline);
  void on_message(MessageDone done);
  void end_calls(const Failure& failure);
  bool set_deadline(CallId id, Time deadline);
  void on_time(Time now);
  Time deadline() const { return deadlines_.empty() ? kNever : deadlines_.begin()->first; }

  // Owners whose answer has not come, those that nobody waits for any more included, and those in the queue.
  std::size_t requests() const { return requests_.size(); }
  std::uint32_t under_way() const { return under_way_; }

 private:
  struct Waiting {
    Rank owner{};
    Time started{};
    Time deadline = kNever;
  };
  struct Request {
    std::vector<CallId> calls;  // none: all have given up
    bool asked = false;         // else it stands in the queue
    CallId sent{};
    CallId answer{};  // the receive of it
  };

  void advance();
  // Takes it out of the window or the queue, and lets the next ones go.
  Request end(Rank owner);
  void give_up(CallId id, Time now);
  void complete(CallId id, const Payload& blob);
  void fail(CallId id, FailureCode code, const std::string& what_happened);
  void forget(CallId id);

  const Topology& topology_;
  MessageRequests& messages_;
  Effects& effects_;
  std::map<CallId, Waiting> calls_;
  std::set<std::pair<Time, CallId>> deadlines_;
  std::map<Rank, Request> requests_;  // by owner
  std::deque<Rank> queue_;
  std::uint32_t under_way_ = 0;
  std::map<CallId, Rank> exchanges_;  // messages under way
  std::optional<Failure> over_;
};

}  // namespace banyan::node
