// The messages that come to this rank. They are matched with receives by order alone: in each channel (source, tag)
// the n-th waiting receive takes the n-th message that has not been taken, and only the first pair completes, so that
// order holds even when a receive is given up half-way: the message then is the next receive's.
//
// A message that a receive waits for is granted in windows. One that nobody waits for is held in the pool if it is
// small and the pool has room; otherwise its sender keeps it. It is accepted once all its bytes are here and this
// rank is sure to have room for them: then the sender may forget it.
#pragma once

#include <list>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/limits.hh"
#include "node/messages_calls.hh"
#include "node/messages_discarded.hh"
#include "node/messages_pool.hh"
#include "node/messages_router.hh"

namespace banyan::node {

class InboundMessages {
 public:
  // All outlive this object.
  InboundMessages(PendingCalls& calls, MessageRouter& router, const Limits& limits);

  void receive(CallId id, Rank source, const wire::Tag& tag);
  // The same from whoever: it takes the message that was announced first, of those that no receive takes and that are
  // not behind one of their flow which has yet to be announced, or the next such one that no older receive takes. From
  // then on it is a receive of that message's source.
  void receive_from_any(CallId id, const wire::Tag& tag);
  // What a receive would take that came now, if it has been announced; from kNoRank: from any rank.
  struct Found {
    Rank source{};
    std::uint64_t bytes = 0;
  };
  std::optional<Found> probe(Rank source, const wire::Tag& tag) const;
  // Whether drop() has been told that it has left.
  bool has_left(Rank source) const;
  // The receive waits no longer; what has come of its message is not lost.
  void cancel(CallId id, Rank source, const wire::Tag& tag);
  // Nobody will receive messages with this tag any more, from wherever; their senders are told that they are here.
  // Those that waited for them have been cancelled.
  void discard(const wire::Tag& tag);
  // The same for all numbers from this one on.
  void discard_from(const wire::Tag& tag);
  // The same for all messages of a communicator; nothing of them is remembered.
  void forget(CommunicatorId communicator);
  // How far the message of a waiting receive has come.
  struct Progress {
    bool announced = false;
    std::uint64_t received = 0;
    std::uint64_t total = 0;
  };
  Progress progress(CallId id, Rank source, const wire::Tag& tag) const;

  // A frame whose ends are of this life. What does not fit its flow is ignored.
  void on_data(const wire::Data& head, const Payload& bytes, LinkId from);
  // The direct link from `source` has ended: what was asked for there and has not come is asked for by routes.
  void on_way_lost(Rank source, LinkId lost);
  // Whether messages from there have been announced and not accepted.
  bool busy(Rank source) const;
  // All messages of the flow below this one have been accepted.
  Sequence accepted_below(const FlowName& name) const;

  // Forgets the receives of sources that can't be reached once `leaving` is gone, and what can't arrive whole from
  // them or would overtake it. Messages that came before are still there to be received.
  void drop_unreachable(LinkId leaving);
  // The same for one source that has left elsewhere. Here and below `concerns` says which lanes.
  template <typename Predicate>
  void drop(Rank source, Predicate concerns) {
    flow_of({source, {}});  // who asks for news of it finds them there
    for_each_flow_with(source, flows_, [&](const FlowName& name, Flow& flow) {
      if (concerns(name.lane)) drop(flow);
    });
    after_drop();
  }
  // Asks its source whether it is still there; if not, the answer is Undeliverable.
  void ask(const FlowName& name);
  // Tells the senders of all messages that are not accepted that they won't be, and forgets everything but which ones
  // were: what is late of these must not be refused.
  template <typename Predicate>
  void refuse_all(Predicate concerns) {
    for (auto& [name, flow] : flows_) {
      if (concerns(name.lane)) refuse_all(flow);
    }
    std::erase_if(any_, [&](const auto& waiting) { return concerns(waiting.first.lane); });
    std::erase_if(free_, [&](const auto& channels) { return concerns(channels.first.lane); });
  }
  bool has_accepted(const wire::Data& head) const;
  void clear();

  std::uint64_t held_bytes() const { return pool_.used(); }
  std::size_t flows() const { return flows_.size(); }
  // For tests: recounts what is kept in two places.
  bool consistent() const;

 private:
  struct Message {
    Sequence sequence{};
    std::uint64_t arrival = 0;  // grows with each message that is announced here
    std::uint64_t total = 0;
    bool is_request = false;    // whole, and kept so: at most kMaxMessagesInFlight of them, of a few KiB
    std::uint64_t granted = 0;  // the sender may send up to here; at least bytes.size()
    std::uint64_t charge = 0;   // of the pool
    UnexpectedPool::Ticket ticket = 0;
    bool wanted = false;   // a receive waits for it
    bool offered = false;  // a receive has had it, which keeps it from those that come from any rank
    bool accepted = false;
    LinkId way = kNoLink;  // by which it was announced, where grants and the acceptance go
    Payload bytes;         // the first part of the message, without a gap

    bool complete() const { return bytes.size() == total; }
    bool small() const { return total <= kEagerMessageBytes; }
  };
  struct Channel {
    std::list<CallId> receives;      // the n-th takes the n-th message; of those from any rank, only such as have one
    std::list<Message> messages;     // by sequence
    std::uint64_t free_arrival = 0;  // of the first message that no receive takes, as free_ has it; 0: there is none
  };
  struct Flow {
    FlowName name;
    Sequence lowest{};                          // everything below is accepted
    std::uint32_t announced = 0;                // bit i: lowest + i has been announced
    std::uint32_t accepted = 0;                 // bit i: lowest + i has been accepted
    std::map<std::uint32_t, Channel> channels;  // by the number of the tag; none is empty
    bool left = false;                          // nothing more will come

    Sequence announced_below() const;
    wire::Tag tag(std::uint32_t number) const { return {number, name.lane.space, name.lane.communicator}; }
  };
  static_assert(kMaxMessagesInFlight < 32, "a flow's window is a bit set");

  Flow& flow_of(const FlowName& name);
  // This rank's ends of it.
  wire::Ends ends_of(const Flow& flow) const { return router_.ends_to(flow.name.peer, flow.name.lane); }
  void drop(Flow& flow);
  void refuse_all(Flow& flow);
  bool may_begin(const FlowName& name) const;
  static Message* find(Flow& flow, std::uint32_t tag, Sequence sequence);
  // Only what comes before the first gap of the flow: a message that is still on another path could be older.
  static bool deliverable(const Flow& flow, const Message& message) {
    return message.sequence < flow.announced_below();
  }
  void announce(Flow& flow, const wire::Data& head, const Payload& bytes, LinkId from);
  void keep(Flow& flow, const wire::Data& head, const Payload& bytes, LinkId from);
  // Accepts and drops what is here of the channels whose tags `concerns` is true of.
  template <typename Predicate>
  void drop_discarded(Predicate concerns);
  void announce_again(const Flow& flow, Message& message, LinkId from);
  void ask_again(const Flow& flow, const Message& message);
  void say_again_what_is_accepted(const Flow& flow, LinkId way);
  // Where there is a direct link, both ways: refusals and answers on it must not overtake what was said over the tree,
  // and whoever loses it before reading would ask those who know no more than that this rank has left.
  void say_again_before_leaving(const Flow& flow);
  static bool append(Message& message, std::uint64_t offset, const Payload& bytes);

  // The first message of the channel that no receive takes, if one could take it; null: there is none.
  static const Message* free_in(const Flow& flow, const Channel& channel);
  // Whose free message with this tag was announced first; kNoRank: nobody has one.
  Rank first_free(const wire::Tag& tag) const;
  void note_free(const Flow& flow, std::uint32_t tag, Channel& channel);
  // Receives from any rank take what can be taken, unless an older one does.
  void offer_to_any(Flow& flow, std::uint32_t tag);
  // Receives from any rank whose messages won't come wait again, for others.
  void return_to_any(Channel& channel, const wire::Tag& tag);
  void after_drop();
  // After every change of a channel: completes what can be, and asks for, holds or gives back what else is there.
  void settle(Flow& flow, std::uint32_t tag);
  void deliver(Flow& flow, Channel& channel);
  // `most_bytes`: that its receive takes.
  void want(Flow& flow, Message& message, std::uint64_t most_bytes);
  void shelve(Flow& flow, std::uint32_t tag, Message& message);
  bool hold(Flow& flow, Message& message);
  void grant(const Flow& flow, Message& message, std::uint64_t window);
  void accept(Flow& flow, const Message& message);
  // Gives back what a message has of the pool, its place in the queue included.
  void release(Message& message);
  // Asks for waiting small messages as far as the pool has room.
  void refill();

  PendingCalls& calls_;
  MessageRouter& router_;
  std::uint64_t window_;
  UnexpectedPool pool_;
  std::map<FlowName, Flow> flows_;
  // By tag, none is empty. Receives from any rank wait only while no message with their tag is free.
  std::map<wire::Tag, std::list<CallId>> any_;                          // oldest first
  std::map<wire::Tag, std::set<std::pair<std::uint64_t, Rank>>> free_;  // channels with a free message, by arrival
  std::uint64_t last_arrival_ = 0;
  DiscardedMessages discarded_;
};

}  // namespace banyan::node
