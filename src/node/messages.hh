// send and recv between any two ranks, routed over the tree: ordered by (source, target, tag), with credit, from one
// bounded pool for what comes unasked. The rules stand in docs/protocol.md, "Point to point".
//
//   messages_calls      sends and receives that are not done: deadlines, and the sentences of their failures
//   messages_outbound   flows from this rank: announce, send what is granted, keep until accepted
//   messages_inbound    flows to this rank: match with receives, grant, hold what comes unasked (messages_pool)
//   messages_router     direct links and next hops, and the inner loop for what this rank sends to itself
//   direct_links        how direct links come to be, and end
#pragma once

#include <algorithm>
#include <optional>
#include <set>

#include "base/limits.hh"
#include "node/calls.hh"
#include "node/config.hh"
#include "node/direct_links.hh"
#include "node/link_ids.hh"
#include "node/messages_calls.hh"
#include "node/messages_inbound.hh"
#include "node/messages_outbound.hh"
#include "node/messages_router.hh"

namespace banyan::node {

class Messages final : private DirectLinks::Traffic {
 public:
  // All outlive this object.
  Messages(const Config& config, const Topology& topology, LinkIds& link_ids, Effects& effects);
  Messages(const Messages&) = delete;
  Messages& operator=(const Messages&) = delete;

  // Completes, with no bytes, when the target has accepted the message: it lies in a posted receive or in the target's
  // pool. A message that was announced and then timed out is still delivered if the target takes it later; the failure
  // says so. To one target at most kMaxMessagesInFlight messages are under way, whatever their tags; later ones wait.
  void send(Time now, CallId id, Send send, Time deadline);
  // Completes with the oldest message of (source, tag) that no earlier receive takes. A receive that times out
  // half-way leaves its message to the next one. While sends and receives wait, their other ends are asked now and then
  // whether they are still there: one that has left fails them.
  void receive(Time now, CallId id, const Receive& receive, Time deadline);
  // The operation of node::Probe.
  void probe(Time now, CallId id, const Probe& probe);
  // The operation of node::Dial.
  void dial(Time now, CallId id, Rank peer, Time deadline);
  // What a node's other parts ask for; they have no deadlines here.
  void carry_out(Time now, MessageRequest request);
  // What has come of that since this was called last.
  std::vector<MessageDone> take_done() { return calls_.take_done(); }
  // Frames of wire/point_to_point.hh, for this rank or to be passed on. False: the frame breaks the protocol in a way
  // that every hop can see, so the neighbour is to blame. What only its two ends can judge is ignored instead.
  bool on_frame(Time now, LinkId from, wire::Kind kind, const Payload& body);
  // Ranks that can't be reached any more because they left in good order: what is pending with them fails. What came
  // from them before can still be received.
  void on_child_left(LinkId child);
  // Ends every pending call, and every later one at once. With FailureCode::closed or rank_left nothing has broken, but
  // this rank receives no more, and whoever sends to it is told so.
  void fail_all(const Failure& failure);
  // The same for the application alone: the node's other parts go on.
  void end_application_calls(const Failure& failure);
  // What this rank had queued on the link is on its way: granted bytes follow.
  void on_drained(LinkId link) { outbound_.on_drained(link); }
  // In place of the one that a pending call has; false: there is no such call.
  bool set_deadline(CallId id, Time deadline) { return calls_.set_deadline(id, deadline); }
  void on_time(Time now);
  Time deadline() const { return std::min({calls_.deadline(), ask_at_, direct_.deadline()}); }

  // What concerns direct links: whether a link is one, and what becomes of it and of the doors for them.
  bool owns(LinkId link) const { return direct_.owns(link); }
  void on_listening(Time now, Listener listener, const Endpoint& endpoint);
  void on_listen_failed(Time now, Listener listener, const std::string& reason);
  void on_authenticated(LinkId link);
  // A rank that this one waits for has come; false: this one waits for none there.
  bool on_accepted(LinkId link, Rank peer);
  void on_link_failed(Time now, LinkId link, const Failure& failure, bool rejected_by_peer);
  void fill(Statistics& statistics) const;

  // What the pool of unexpected messages holds or has promised room for, with its own costs.
  std::uint64_t unexpected_bytes() const { return inbound_.held_bytes(); }
  // Bytes of messages that this rank has sent and others have yet to accept, and of those that wait to be sent.
  std::uint64_t outbound_bytes() const { return outbound_.bytes(); }
  // For tests: how many flows to this rank are remembered.
  std::size_t inbound_flows() const { return inbound_.flows(); }
  // For tests: recounts what is kept in two places.
  bool consistent() const { return inbound_.consistent(); }

 private:
  // Is it still there: for the application, or for this node's other parts?
  struct Question {
    Rank peer{};
    bool for_application = false;
    friend auto operator<=>(const Question&, const Question&) = default;
  };

  bool in_use(Rank peer) const override { return outbound_.busy(peer) || inbound_.busy(peer); }
  bool may_call(CallId id, Rank peer, const wire::Tag& tag = {});
  template <typename Message>
  bool pass(Time now, LinkId from, const Payload& body);
  void deliver_looped();
  void deliver(const ArrivedData& data, LinkId from);
  void deliver(const wire::Grant& grant, LinkId from);
  void deliver(const wire::Accept& accept, LinkId) { outbound_.on_accept(accept); }
  void deliver(const wire::Undeliverable& news, LinkId from);
  // After whatever may have changed direct links, or sent something round the inner loop.
  void settle();
  // The pending calls for a link to `peer`.
  void complete_dials(Rank peer);
  void fail_dials(Rank peer, const std::string& reason);
  void find_nothing(Time now, CallId id, Rank source);
  void ask_peers(Time now);
  void cancel(CallId id);
  void forget(CommunicatorId communicator);
  // What it had asked for is asked for no longer; nothing is reported. True: a message that was to be sent never was.
  bool withdraw(CallId id, const PendingCall& call);
  void time_out(CallId id, const PendingCall& call, Time now);
  bool over_in_good_order() const;
  // Whether nothing is received any more in this lane.
  bool over(const wire::Lane& lane) const { return over_ || (application_over_ && is_application(lane)); }
  static bool is_application(const wire::Lane& lane) { return lane.space == wire::Space::application; }

  const Topology& topology_;
  Effects& effects_;
  DirectLinks direct_;
  MessageRouter router_;
  PendingCalls calls_;
  InboundMessages inbound_;
  OutboundMessages outbound_;
  std::optional<Failure> over_;
  bool application_over_ = false;  // in good order
  const Duration ask_interval_;
  Time now_{};                 // of the last input that had one
  Time ask_at_ = kNever;       // while calls wait for other ranks
  std::set<FlowName> probed_;  // in vain, since others were asked last
  Question last_asked_{kNoRank};
};

}  // namespace banyan::node
