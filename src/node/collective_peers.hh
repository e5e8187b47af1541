// How one communicator's algorithms exchange bytes between pairs of ranks, wherever the two stand in the tree: as
// messages in spaces of their own. An algorithm does so only once all ranks have called (CollectiveAlgorithm::on_go),
// so that no bytes come to a rank that does not want them.
#pragma once

#include <map>
#include <optional>
#include <utility>

#include "node/message_requests.hh"
#include "node/topology.hh"

namespace banyan::node {

// What a message between two ranks belongs to: an exchange between these alone, or a stream's channel (Pipeline).
enum class StreamChannel : std::uint8_t { none, down_even, down_odd, up_even, up_odd };
constexpr StreamChannel down_channel(unsigned tree) {
  return tree == 0 ? StreamChannel::down_even : StreamChannel::down_odd;
}
constexpr StreamChannel up_channel(unsigned tree) { return tree == 0 ? StreamChannel::up_even : StreamChannel::up_odd; }
constexpr unsigned tree_of(StreamChannel channel) {
  return channel == StreamChannel::down_odd || channel == StreamChannel::up_odd ? 1 : 0;
}
constexpr bool goes_up(StreamChannel channel) {
  return channel == StreamChannel::up_even || channel == StreamChannel::up_odd;
}

class CollectivePeers {
 public:
  struct Exchange {
    Sequence operation{};
    Rank peer{};
    bool receives = false;
    StreamChannel channel{};
  };

  // Both outlive this object. Ranks are numbered as in `topology`.
  CollectivePeers(CommunicatorId id, const Topology& topology, MessageRequests& requests)
      : id_(id), topology_(topology), requests_(requests) {}

  // The n-th message of one rank to another for one operation (in one channel) is taken by the n-th receive there. The
  // algorithm hears of each by on_sent() (the other rank has it) or on_received(), of those of a channel by
  // on_segment_sent() or on_segment(), never before these return.
  void send(Sequence operation, Rank to, Payload bytes, StreamChannel channel = StreamChannel::none) {
    exchanges_.emplace(requests_.send(topology_.job_rank(to), tag_of(operation, channel), std::move(bytes)),
                       Exchange{operation, to, false, channel});
  }
  // `most_bytes`: a longer one can't belong to the call.
  void receive(Sequence operation, Rank from, std::uint64_t most_bytes = kMaxMessageBytes,
               StreamChannel channel = StreamChannel::none) {
    exchanges_.emplace(requests_.receive(topology_.job_rank(from), tag_of(operation, channel), most_bytes),
                       Exchange{operation, from, true, channel});
  }

  // Messages of so many bytes will be sent there: so many hosts may begin to connect at once, instead of each when it
  // has the first.
  void foresee(Rank to, std::uint64_t bytes) { requests_.foresee(topology_.job_rank(to), bytes); }

  // What a message that is done was for; none: for an operation that is over.
  std::optional<Exchange> take(CallId id) {
    const auto at = exchanges_.find(id);
    if (at == exchanges_.end()) return std::nullopt;
    const Exchange exchange = at->second;
    exchanges_.erase(at);
    return exchange;
  }
  // The operation has failed: nobody waits for its messages any more, whoever has yet to hear of that.
  void forget(Sequence operation) {
    cancel_if([operation](const Exchange& exchange) { return exchange.operation == operation; });
    for (const StreamChannel channel : kChannels) requests_.discard(tag_of(operation, channel), false);
  }
  void forget_from(Sequence first) {
    cancel_if([first](const Exchange& exchange) { return exchange.operation >= first; });
    requests_.discard(tag_of(first, StreamChannel::none), true);
    requests_.discard(tag_of(first, StreamChannel::down_even), true);
  }

 private:
  static constexpr auto kChannels = {StreamChannel::none, StreamChannel::down_even, StreamChannel::down_odd,
                                     StreamChannel::up_even, StreamChannel::up_odd};

  // Far fewer operations are under way than there are numbers, so that those can come again.
  wire::Tag tag_of(Sequence operation, StreamChannel channel) const {
    const auto number = static_cast<std::uint32_t>(raw(operation));
    if (channel == StreamChannel::none) return {number, wire::Space::collective, id_};
    return {4 * number + (static_cast<std::uint32_t>(channel) - 1), wire::Space::stream, id_};
  }
  template <typename Predicate>
  void cancel_if(Predicate concerns) {
    for (auto at = exchanges_.begin(); at != exchanges_.end();) {
      if (!concerns(at->second)) {
        ++at;
        continue;
      }
      requests_.cancel(at->first);
      at = exchanges_.erase(at);
    }
  }

  CommunicatorId id_;
  const Topology& topology_;
  MessageRequests& requests_;
  std::map<CallId, Exchange> exchanges_;
};

}  // namespace banyan::node
