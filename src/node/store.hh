// A small key-value store of the whole job: each key is kept by one rank, which follows from the key. A rank asks the
// keeper by messages of a space of their own. The rules stand in docs/protocol.md, "Store".
//
//   store_asker    what this rank has called: windows, deadlines, and the sentences of failures
//   store_keeper   what this rank keeps for all, and who waits for it
#pragma once

#include "node/store_asker.hh"
#include "node/store_keeper.hh"

namespace banyan::node {

class Store {
 public:
  // All outlive this object.
  Store(const Topology& topology, MessageRequests& messages, Effects& effects, std::uint64_t limit_bytes)
      : asker_(topology, messages, effects), keeper_(topology, messages, limit_bytes) {}

  // The operation of node::StoreCall.
  void call(Time now, CallId id, StoreCall call, Time deadline) { asker_.call(now, id, std::move(call), deadline); }
  // What has come of a message that was asked for. This rank keeps until its messages end.
  void on_message(MessageDone done) {
    if (!keeper_.on_message(done)) asker_.on_message(std::move(done));
  }
  // Ends every pending call, and every later one at once.
  void end_calls(const Failure& failure) { asker_.end_calls(failure); }
  // In place of the one that a pending call has; false: there is no such call.
  bool set_deadline(CallId id, Time deadline) { return asker_.set_deadline(id, deadline); }
  void on_time(Time now) { asker_.on_time(now); }
  Time deadline() const { return asker_.deadline(); }

  const StoreAsker& asker() const { return asker_; }
  const StoreKeeper& keeper() const { return keeper_; }

 private:
  StoreAsker asker_;
  StoreKeeper keeper_;
};

}  // namespace banyan::node
