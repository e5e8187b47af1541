// How one communicator's algorithms exchange bytes between pairs of ranks, wherever the two stand in the tree: as
// messages in a space of their own. An algorithm does so only once all ranks have called (CollectiveAlgorithm::on_go),
// so that no bytes come to a rank that does not want them.
#pragma once

#include <map>
#include <optional>
#include <utility>

#include "node/message_requests.hh"
#include "node/topology.hh"

namespace banyan::node {

class CollectivePeers {
 public:
  struct Exchange {
    Sequence operation{};
    Rank peer{};
    bool receives = false;
  };

  // Both outlive this object. Ranks are numbered as in `topology`.
  CollectivePeers(CommunicatorId id, const Topology& topology, MessageRequests& requests)
      : id_(id), topology_(topology), requests_(requests) {}

  // The n-th message of one rank to another for one operation is taken by the n-th receive there. The algorithm hears
  // of each by on_sent() (the other rank has it) or on_received(), never before these return.
  void send(Sequence operation, Rank to, Payload bytes) {
    exchanges_.emplace(requests_.send(topology_.job_rank(to), tag_of(operation), std::move(bytes)),
                       Exchange{operation, to, false});
  }
  void receive(Sequence operation, Rank from) {
    exchanges_.emplace(requests_.receive(topology_.job_rank(from), tag_of(operation)), Exchange{operation, from, true});
  }

  // What a message that is done was for; none: for an operation that is over.
  std::optional<Exchange> take(CallId id) {
    const auto at = exchanges_.find(id);
    if (at == exchanges_.end()) return std::nullopt;
    const Exchange exchange = at->second;
    exchanges_.erase(at);
    return exchange;
  }
  // The operation has failed: nobody waits for its messages any more.
  void forget(Sequence operation) {
    forget_if([operation](const Exchange& exchange) { return exchange.operation == operation; });
  }
  void forget_from(Sequence first) {
    forget_if([first](const Exchange& exchange) { return exchange.operation >= first; });
  }

 private:
  // Far fewer operations are under way than there are numbers, so that those can come again.
  wire::Tag tag_of(Sequence operation) const {
    return {static_cast<std::uint32_t>(raw(operation)), wire::Space::collective, id_};
  }
  template <typename Predicate>
  void forget_if(Predicate concerns) {
    for (auto at = exchanges_.begin(); at != exchanges_.end();) {
      if (!concerns(at->second)) {
        ++at;
        continue;
      }
      requests_.ignore(at->first);
      at = exchanges_.erase(at);
    }
  }

  CommunicatorId id_;
  const Topology& topology_;
  MessageRequests& requests_;
  std::map<CallId, Exchange> exchanges_;
};

}  // namespace banyan::node
