// Blobs of other ranks. A table has them all, unless it is lazy: then whoever wants one asks its owner, by messages of
// a space of their own. The rules stand in docs/protocol.md, "Table".
//
//   blob_asker      what this rank has asked for: one request to each owner, a window, deadlines, and the sentences
//   blob_answerer   what others have asked of this rank
#pragma once

#include <optional>
#include <utility>

#include "node/blob_answerer.hh"
#include "node/blob_asker.hh"
#include "node/calls.hh"
#include "node/config.hh"

namespace banyan::node {

class PeerBlobs {
 public:
  // All outlive this object.
  PeerBlobs(const Config& config, const Topology& topology, MessageRequests& messages, Effects& effects)
      : asker_(topology, messages, effects) {
    if (topology.table().lazy()) answerer_.emplace(messages, config.blob);
  }

  // The operation of node::FetchBlob.
  void call(Time now, CallId id, const FetchBlob& fetch, Time deadline) { asker_.call(now, id, fetch.owner, deadline); }
  // What has come of a message that was asked for. This rank answers until its messages end.
  void on_message(MessageDone done) {
    if (!(answerer_ && answerer_->on_message(done))) asker_.on_message(std::move(done));
  }
  // Ends every pending call, and every later one at once.
  void end_calls(const Failure& failure) { asker_.end_calls(failure); }
  // In place of the one that a pending call has; false: there is no such call.
  bool set_deadline(CallId id, Time deadline) { return asker_.set_deadline(id, deadline); }
  void on_time(Time now) { asker_.on_time(now); }
  Time deadline() const { return asker_.deadline(); }

  const BlobAsker& asker() const { return asker_; }
  // None where the table has all blobs.
  const std::optional<BlobAnswerer>& answerer() const { return answerer_; }

 private:
  BlobAsker asker_;
  std::optional<BlobAnswerer> answerer_;
};

}  // namespace banyan::node
