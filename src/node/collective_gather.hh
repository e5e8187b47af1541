// Gather and allgather: entries (collective_entries.hh) travel to one rank, the collector. Before a rank's subtree has
// voted they are held back until they fill a frame or the vote follows, so that a leaf's few bytes don't become a frame
// on every link. What comes later (deferred bytes) is held back the same way in an allgather, until all bytes that the
// subtree has announced are here; in a gather it passes at once. The collector of an allgather is the tree's root,
// which sends the result down as one stream.
#pragma once

#include "node/collective_algorithm.hh"
#include "node/collective_entries.hh"
#include "node/collective_stream.hh"

namespace banyan::node {

class GatherAlgorithm : public CollectiveAlgorithm {
 public:
  GatherAlgorithm(CollectiveLinks& links, const wire::Collective& head);
  void start(Collective call) override;
  bool deferred() const override { return deferred_; }
  void before_vote(std::uint64_t bytes) override;
  void on_total(std::uint64_t bytes) override;
  void on_go() override;
  bool on_data(LinkId from, const wire::Collective& head, const Payload& tail) override;
  bool finished() const override { return done_; }

 private:
  bool for_everyone() const { return wire::gathers_for_all(head_.call.kind); }
  bool is_collector() const { return collector_rank_ == self(); }
  void contribute();
  void flush(LinkId feeder);
  // Whether nothing more is to be waited for that could fill the frame.
  bool ready() const { return hop_ != links_.parent() || (voted_ && packed_ >= announced_); }
  bool collect(LinkId from, Payload tail);
  void finish_if_complete();
  bool on_result(LinkId from, const wire::Collective& head, const Payload& tail);

  Rank collector_rank_;
  LinkId hop_ = kNoLink;  // towards the collector
  Payload contribution_;
  EntryPacker packer_;
  std::uint64_t packed_ = 0;     // bytes of ranks that have gone through the packer
  std::uint64_t announced_ = 0;  // with the vote
  std::optional<EntryCollector> collector_;
  IncomingStream result_stream_;
  bool called_ = false;
  bool deferred_ = false;
  bool voted_ = false;
  bool done_ = false;
};

// Passes entries on towards `target`. False: they are none, or come from where they should go to.
bool pass_on_entries(CollectiveLinks& links, LinkId from, const wire::Collective& head, const Payload& tail,
                     Rank target);

}  // namespace banyan::node
