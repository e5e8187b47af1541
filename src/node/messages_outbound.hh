// The messages that this rank sends. A flow to a target (there is one for each lane) numbers them when it announces
// them, at most kMaxMessagesInFlight ahead of the oldest that is not accepted; the others wait here, in order. A
// message's bytes are kept, shared with the application's call, until the target has accepted them, so that it may ask
// for them again.
//
// A send that times out before it was announced never happened. Later than that it can't be taken back, since the
// target may be taking it at this moment: it stays in flight, and arrives if the target receives it.
#pragma once

#include <list>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/limits.hh"
#include "node/messages_calls.hh"
#include "node/messages_router.hh"

namespace banyan::node {

class InboundMessages;

class OutboundMessages {
 public:
  // All outlive this object.
  OutboundMessages(PendingCalls& calls, MessageRouter& router, const InboundMessages& inbound)
      : calls_(calls), router_(router), inbound_(inbound) {}

  void send(CallId id, Rank target, const wire::Tag& tag, Payload message);
  // The call waits no longer. True: its message was never announced and is withdrawn.
  bool cancel(CallId id, Rank target, const wire::Lane& lane);

  // Frames of the reverse direction; what does not fit their flow is ignored, and so is a grant that comes another way
  // than its message goes.
  void on_grant(const wire::Grant& grant, LinkId from);
  void on_accept(const wire::Accept& accept);
  void on_acknowledged(const FlowName& name, Sequence acknowledged);
  // News that come over the tree of a message that goes over a direct link wait for the end of that: the target's
  // acceptance may be on it.
  void on_undeliverable(const wire::Undeliverable& news, LinkId from);
  // The link has taken what was sent: more of what is granted follows.
  void on_drained(LinkId link);

  // A direct link to `target` is open: what takes long goes on there.
  void on_direct_link(Rank target);
  // It has ended: what went that way is announced again, and goes on by routes from what the target asks for.
  void on_way_lost(Rank target, LinkId lost);
  // Whether the target has yet to accept what it has been told of.
  bool busy(Rank target) const;
  // Of all messages that are kept.
  std::uint64_t bytes() const;

  // Forgets what can't be sent any more once `leaving` is gone. Its calls have failed before.
  void drop_unreachable(LinkId leaving);
  // The same for one target that has left elsewhere. It may still tell what it has accepted, so numbers go on.
  // `concerns`: by lane.
  template <typename Predicate>
  void drop(Rank target, Predicate concerns) {
    for_each_flow_with(target, flows_, [&](const FlowName& name, Flow& flow) {
      if (!concerns(name.lane)) return;
      flow = Flow{.first = Sequence{raw(flow.first) + flow.in_flight.size()}, .in_flight = {}, .waiting = {}};
    });
  }
  template <typename Predicate>
  void clear(Predicate concerns) {
    std::erase_if(flows_, [&](const auto& flow) { return concerns(flow.first.lane); });
  }

 private:
  struct Message {
    std::optional<CallId> call;  // none: the call has timed out
    std::uint32_t tag = 0;
    bool done = false;     // accepted, or known not to arrive
    bool refused = false;  // over the tree, while it goes over a direct link: that counts when the link has ended
    LinkId way = kNoLink;  // by which it was announced last: its bytes and all that concerns it keep their order there
    Payload bytes;
    // Granted and not sent yet: one range, for a target never asks for bytes while it waits for later ones.
    std::uint64_t from = 0;
    std::uint64_t to = 0;
  };
  struct Flow {
    Sequence first{};                // of in_flight.front(), or the next to be announced
    std::vector<Message> in_flight;  // announced, in order of their sequences
    std::list<Message> waiting;
  };

  // One link, and what is granted of messages that go that way. Frames are made only as the link takes them, so that
  // grants, however many, cost a rank no memory.
  struct Way {
    std::uint64_t queued = 0;  // granted bytes sent since it was drained
    std::list<std::pair<FlowName, Sequence>> granted;
  };

  void announce_more(const FlowName& name, Flow& flow);
  void announce(const FlowName& name, Sequence sequence, Message& message);
  wire::Data head_of(const FlowName& name, Sequence sequence, const Message& message, std::uint64_t offset) const;
  void send_granted(LinkId link, Way& way);
  // The next of the granted bytes; returns how many.
  std::uint64_t send_chunk(const FlowName& name, Sequence sequence, Message& message);
  Message* find(const FlowName& name, Sequence sequence);
  static Message* find(Flow& flow, Sequence sequence);
  void accepted(Message& message);
  void refused(Message& message, const std::string& reason);
  void drop_done(const FlowName& name, Flow& flow);

  PendingCalls& calls_;
  MessageRouter& router_;
  const InboundMessages& inbound_;
  std::map<FlowName, Flow> flows_;
  std::map<LinkId, Way> ways_;
};

}  // namespace banyan::node
