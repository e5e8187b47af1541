// Reduce and allreduce, chunk by chunk: as soon as a chunk of this rank's vector and of all its children's is there,
// they are combined (own, then the children in the order of Topology::children()) and sent up. The tree's root holds
// the result, so that all ranks get the same bits, and streams it down to all (allreduce) or to one rank (reduce).
// A reduce_scatter of short vectors is an allreduce of which each rank keeps its block.
//
// A vector above eager_bytes() waits for `go` and then moves within a window, so that a node never holds more
// than the window of each child: with `go` a child may send kReductionWindow chunks, and each time its parent has
// combined half of a window it says how far the child may go on.
#pragma once

#include <deque>

#include "node/collective_algorithm.hh"
#include "node/collective_blocks.hh"
#include "node/collective_stream.hh"

namespace banyan::node {

class ReductionAlgorithm : public CollectiveAlgorithm {
 public:
  ReductionAlgorithm(CollectiveLinks& links, const wire::Collective& head);
  void start(Collective call) override;
  bool deferred() const override { return deferred_; }
  void on_go() override;
  bool on_credit(std::uint64_t offset) override;
  bool on_data(LinkId from, const wire::Collective& head, const Payload& tail) override;
  bool finished() const override { return done_; }

 protected:
  // What this rank's call is given of the result.
  virtual Payload own_part(Payload result) const { return result; }

 private:
  // One chunk of the children's vectors.
  struct Row {
    std::vector<Payload> of_child;
    std::size_t arrived = 0;
  };

  bool for_everyone() const { return head_.call.kind != wire::CollectiveKind::reduce; }
  bool gets_result() const { return for_everyone() || head_.call.root == self(); }
  bool on_contribution(std::size_t child, const wire::Collective& head, const Payload& tail);
  bool on_result(LinkId from, const wire::Collective& head, const Payload& tail);
  // Combines and sends what can be combined and sent.
  void advance();
  Payload combine_row(const Payload& own);
  void send_result(const Payload& chunk);
  void grant_credit();
  void finish(Payload result);

  const std::uint64_t chunks_;
  const bool deferred_;
  Payload contribution_;
  bool called_ = false;
  std::uint64_t combined_ = 0;             // chunks combined here, and sent on
  std::uint64_t may_send_;                 // chunks that the parent has room for
  std::uint64_t granted_;                  // chunks that the children may send
  std::deque<Row> rows_;                   // of the chunks from combined_ on
  std::vector<std::uint64_t> from_child_;  // chunks received, by child
  IncomingStream result_stream_;
  bool done_ = false;
};

class TreeReduceScatterAlgorithm : public ReductionAlgorithm {
 public:
  using ReductionAlgorithm::ReductionAlgorithm;
  void start(Collective call) override;

 private:
  Payload own_part(Payload result) const override { return blocks_.of(result, self()); }

  Blocks blocks_;
};

}  // namespace banyan::node
