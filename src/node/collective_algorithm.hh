// What one rank does with the bytes of one operation: keeps what is its own, passes on the rest. Who has called, in
// what order, and what happens on failure is the Communicator's business, which drives one algorithm per operation.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "node/calls.hh"
#include "node/collective_links.hh"
#include "node/collective_peers.hh"
#include "wire/collective.hh"

namespace banyan::node {

class CollectiveAlgorithm {
 public:
  using Result = std::variant<Payload, Parts>;

  // `head` names the operation; it is the pattern of every frame that the algorithm sends.
  CollectiveAlgorithm(CollectiveLinks& links, const wire::Collective& head) : links_(links), head_(head) {}
  virtual ~CollectiveAlgorithm() = default;

  // This rank's call; comes once, and not before every earlier operation was started.
  virtual void start(Collective call) = 0;
  // Whether this rank's bytes are too many to be sent before on_go(). Asked after start().
  virtual bool deferred() const { return false; }
  // The child's subtree has; `deferred`: it holds bytes that wait for `go`.
  virtual void on_vote(std::size_t /*child*/, bool /*deferred*/) {}
  // The whole subtree has called; its vote goes up as soon as this returns. `bytes`: what the subtree contributes to an
  // allgather.
  virtual void before_vote(std::uint64_t /*bytes*/) {}
  // All have voted: a broadcast's message, or an allgather's contributions together, are so many bytes
  // (kMaxMessageBytes: or more). At the root, which asks for failure() afterwards, and before on_go() elsewhere.
  virtual void on_total(std::uint64_t /*bytes*/) {}
  // All ranks have called.
  virtual void on_go() { has_go_ = true; }
  // The parent has room for the bytes before `offset`. False: it has no reason to say so.
  virtual bool on_credit(std::uint64_t /*offset*/) { return false; }
  // Of what was asked of CollectivePeers: `from`'s next message has come; `to` has this rank's. If one fails, so does
  // the operation.
  virtual void on_received(Rank /*from*/, Payload /*bytes*/) {}
  virtual void on_sent(Rank /*to*/) {}
  virtual void on_segment(StreamChannel /*channel*/, Rank /*from*/, Payload /*segment*/) {}
  virtual void on_segment_sent(StreamChannel /*channel*/, Rank /*to*/) {}
  void on_exchange_failed(Failure failure);
  // Whether it moves a long stream between hosts. One such operation at a time does so, in their order: begin() says
  // that it is this one's turn.
  virtual bool is_bulk() const { return false; }
  virtual void begin() {}
  // Whether it exchanges bytes between pairs, or may come to.
  virtual bool uses_messages() const { return is_bulk(); }
  // Bytes from a neighbour. False: they break the protocol.
  virtual bool on_data(LinkId from, const wire::Collective& head, const Payload& tail) = 0;
  // This rank has been given what it asked for, and has nothing left to do for the others (but votes, and passing on
  // what concerns only others: see pass_on).
  virtual bool finished() const = 0;

  // What this rank's call is to be completed with, once.
  std::optional<Result> take_result() { return std::exchange(result_, std::nullopt); }
  // Why the operation can't be done, if so; for all ranks.
  const std::optional<Failure>& failure() const { return failure_; }
  // Every neighbour below has been sent something that proves that all ranks have called.
  bool proves_all_called() const { return proves_all_called_; }

 protected:
  const Topology& topology() const { return links_.topology(); }
  Rank self() const { return links_.self(); }
  // kNoLink: `target` has left, or is this rank.
  LinkId hop_to(Rank target) const { return target == self() ? kNoLink : topology().next_hop(target); }
  bool has_go() const { return has_go_; }
  // How long it is shows only with `go`.
  bool may_be_bulk() const { return !has_go_ && topology().leads(self()) && topology().hosts() > 1; }
  // `from` has sent bytes that can't belong to this call.
  Failure unfit(Rank from, std::uint64_t bytes, std::uint64_t due) const;

  CollectiveLinks& links_;
  wire::Collective head_;
  std::optional<Result> result_;
  std::optional<Failure> failure_;
  bool proves_all_called_ = false;

 private:
  bool has_go_ = false;
};

// One whose ranks exchange bytes between pairs, and send nothing over the tree but votes.
class PairwiseAlgorithm : public CollectiveAlgorithm {
 public:
  PairwiseAlgorithm(CollectiveLinks& links, CollectivePeers& peers, const wire::Collective& head)
      : CollectiveAlgorithm(links, head), peers_(peers) {}
  bool deferred() const override { return true; }
  bool uses_messages() const override { return true; }
  bool on_data(LinkId, const wire::Collective&, const Payload&) override { return false; }

 protected:
  CollectivePeers& peers_;
};

// What one rank may send of an operation before all have called it; all ranks come to the same answer.
std::uint64_t eager_bytes(wire::CollectiveKind kind, std::uint32_t world_size);

// `head.call` is valid.
std::unique_ptr<CollectiveAlgorithm> make_algorithm(CollectiveLinks& links, CollectivePeers& peers,
                                                    const wire::Collective& head);

// Data of an operation that is finished here, on its way between other ranks. False: it does not belong here.
bool pass_on(CollectiveLinks& links, LinkId from, const wire::Collective& head, const Payload& tail);

}  // namespace banyan::node
