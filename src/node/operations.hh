// What a rank of a formed job can be asked to do: collectives, messages, the store and blobs of others, and the
// messages by which all of these but the second exchange bytes between pairs. Nothing calls back: the parts write down
// what they ask of each other, and settle() carries it to and fro until nothing is left.
#pragma once

#include "node/collectives.hh"
#include "node/config.hh"
#include "node/effects.hh"
#include "node/link_ids.hh"
#include "node/message_requests.hh"
#include "node/messages.hh"
#include "node/peer_blobs.hh"
#include "node/store.hh"
#include "node/topology.hh"

namespace banyan::node {

class Operations {
 public:
  // All outlive this object.
  Operations(const Config& config, const Topology& topology, LinkIds& link_ids, Effects& effects);

  // Everything but Close.
  void call(Time now, Call call);
  // Whoever uses one of the two directly lets the other know by settle() before it returns.
  Collectives& collectives() { return collectives_; }
  Messages& messages() { return messages_; }
  const Messages& messages() const { return messages_; }
  const Store& store() const { return store_; }
  const PeerBlobs& blobs() const { return blobs_; }
  void settle(Time now);

  // Ends what the application has pending, messages here, and with them what this rank keeps for the store, as soon as
  // no collective needs any: what it has called itself may be needed by others, and goes on.
  void close(Time now, const Failure& failure);
  // Whether this rank should stay, since others wait for bytes that come from or through it.
  bool owes_bytes() const { return collectives_.owes_bytes(); }
  // Ends every pending call, and every later one at once.
  void fail_all(Time now, const Failure& failure);
  void on_time(Time now);
  Time deadline() const;

 private:
  void expire(Time now, CallId id);
  void end_messages_if_done();

  Effects& effects_;
  MessageRequests for_collectives_{Caller::collectives};
  MessageRequests for_store_{Caller::store};
  MessageRequests for_blobs_{Caller::blobs};
  Collectives collectives_;
  Store store_;
  PeerBlobs blobs_;
  Messages messages_;
  std::optional<Failure> closing_;  // until messages have ended
};

}  // namespace banyan::node
