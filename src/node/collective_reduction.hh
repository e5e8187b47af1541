// Reduce and allreduce, chunk by chunk: as soon as a chunk of this rank's vector and of all its children's is there,
// they are combined (own, then the children in the order of Topology::children()) and sent up. The tree's root holds
// the result, so that all ranks get the same bits, and streams it down to all (allreduce) or to one rank (reduce).
// A reduce_scatter of short vectors is an allreduce of which each rank keeps its block.
//
// A vector above eager_bytes() waits for `go` and then moves within a window, so that a node never holds more
// than the window of each child: with `go` a child may send kReductionWindow chunks, and each time its parent has
// combined half of a window it says how far the child may go on.
//
// One that is so long that the tree costs the more (goes_between_hosts) goes so on every host alone, and between hosts
// through pipelines (PipelinedReductionAlgorithm, at their leaders): up to the leader of the root's host, and for all
// down again.
#pragma once

#include <deque>

#include "node/collective_algorithm.hh"
#include "node/collective_blocks.hh"
#include "node/collective_entries.hh"
#include "node/collective_pipeline.hh"
#include "node/collective_stream.hh"

namespace banyan::node {

class ReductionAlgorithm : public CollectiveAlgorithm {
 public:
  ReductionAlgorithm(CollectiveLinks& links, const wire::Collective& head)
      : ReductionAlgorithm(links, head, Reach::subtree) {}
  void start(Collective call) override;
  bool deferred() const override { return deferred_; }
  void on_go() override;
  bool on_credit(std::uint64_t offset) override;
  bool on_data(LinkId from, const wire::Collective& head, const Payload& tail) override;
  bool finished() const override { return done_; }

 protected:
  // `combines`: whose vectors with its own.
  ReductionAlgorithm(CollectiveLinks& links, const wire::Collective& head, Reach combines);
  // What this rank's call is given of the result.
  virtual Payload own_part(Payload result) const { return result; }
  // The next chunk has been combined here, at head_.offset; it was the last.
  virtual void pass_up(const Payload& chunk);
  virtual void on_all_combined();
  // Chunks that may be passed up as soon as all have called.
  virtual std::uint64_t limit_at_go() const { return links_.is_root() ? chunks_ : wire::kReductionWindow; }
  virtual bool on_result(LinkId from, const wire::Collective& head, const Payload& tail);

  bool for_everyone() const { return head_.call.kind != wire::CollectiveKind::reduce; }
  bool gets_result() const { return for_everyone() || head_.call.root == self(); }
  void set_limit(std::uint64_t chunks) { may_send_ = std::min(chunks, chunks_); }
  // Combines and passes on what can be combined and passed on.
  void advance();
  void finish(Payload result);

 private:
  // One chunk of the children's vectors.
  struct Row {
    std::vector<Payload> of_child;
    std::size_t arrived = 0;
  };

  bool on_contribution(std::size_t child, const wire::Collective& head, const Payload& tail);
  Payload combine_row(const Payload& own);
  void send_result(const Payload& chunk);
  void grant_credit();

  const Reach combines_;
  const std::uint64_t chunks_;
  const bool deferred_;
  Payload contribution_;
  bool called_ = false;
  std::uint64_t combined_ = 0;             // chunks combined here, and sent on
  std::uint64_t may_send_;                 // chunks that the parent has room for
  std::uint64_t granted_;                  // chunks that the children may send
  std::deque<Row> rows_;                   // of the chunks from combined_ on
  std::vector<std::uint64_t> from_child_;  // chunks received, by child of those that are combined
  IncomingStream result_stream_;
  bool done_ = false;
};

class PipelinedReductionAlgorithm : public ReductionAlgorithm {
 public:
  PipelinedReductionAlgorithm(CollectiveLinks& links, CollectivePeers& peers, const wire::Collective& head);
  bool deferred() const override { return true; }
  bool on_credit(std::uint64_t) override { return false; }
  bool on_data(LinkId from, const wire::Collective& head, const Payload& tail) override;
  bool is_bulk() const override { return true; }
  void begin() override;
  void on_segment(StreamChannel channel, Rank from, Payload segment) override;
  void on_segment_sent(StreamChannel channel, Rank to) override;
  bool finished() const override;

 private:
  void pass_up(const Payload& chunk) override { up_.feed(chunk); }
  void on_all_combined() override;
  std::uint64_t limit_at_go() const override { return 0; }  // until begin()
  bool on_result(LinkId, const wire::Collective&, const Payload&) override { return false; }
  void go_on();
  void take_result(const Payload& segment);
  void pass_to_root(const Payload& segment);

  Pipeline pipeline_;
  UpStream up_;
  DownStream down_;
  HostStream to_host_;
  std::uint64_t reduced_ = 0;  // bytes of a reduce's result
  Payload result_bytes_;       // of it, at its root
};

class TreeReduceScatterAlgorithm : public ReductionAlgorithm {
 public:
  using ReductionAlgorithm::ReductionAlgorithm;
  void start(Collective call) override;

 private:
  Payload own_part(Payload result) const override { return unpinned(blocks_.of(result, self())); }

  Blocks blocks_;
};

}  // namespace banyan::node
