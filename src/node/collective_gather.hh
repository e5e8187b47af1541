// Gather and allgather: entries (collective_entries.hh) travel to one rank, the collector. Before a rank's subtree has
// voted they are held back until they fill a frame or the vote follows, so that a leaf's few bytes don't become a frame
// on every link. What comes later (deferred bytes) is held back the same way in an allgather, until all bytes that the
// subtree has announced are here; in a gather it passes at once. The collector of an allgather is the tree's root,
// which sends the result down as one stream.
//
// Where an allgather is so long that this costs the more (goes_between_hosts), every leader collects what waited for
// `go` on its host, the root what came before as well, and all give each other that round a ring; each is the collector
// for its host's ranks then.
#pragma once

#include "node/collective_algorithm.hh"
#include "node/collective_entries.hh"
#include "node/collective_ring.hh"
#include "node/collective_stream.hh"

namespace banyan::node {

class GatherAlgorithm : public CollectiveAlgorithm {
 public:
  GatherAlgorithm(CollectiveLinks& links, CollectivePeers& peers, const wire::Collective& head);
  void start(Collective call) override;
  bool deferred() const override { return deferred_ || is_bulk(); }
  void on_vote(std::size_t child, bool deferred) override;
  void before_vote(std::uint64_t bytes) override;
  void on_total(std::uint64_t bytes) override;
  void on_go() override;
  bool is_bulk() const override { return ring_.has_value(); }
  bool uses_messages() const override { return is_bulk() || (for_everyone() && may_be_bulk()); }
  void begin() override { ring_->begin(); }
  void on_segment(StreamChannel channel, Rank from, Payload block) override;
  void on_segment_sent(StreamChannel, Rank) override { ring_->on_sent(); }
  bool on_data(LinkId from, const wire::Collective& head, const Payload& tail) override;
  bool finished() const override { return done_ && (!ring_ || ring_->finished()); }

 private:
  bool for_everyone() const { return wire::gathers_for_all(head_.call.kind); }
  bool is_collector() const { return collector_rank_ == self(); }
  void contribute();
  bool goes_round() const;
  std::uint64_t most_in_block() const;
  // All of this host is here that waited for `go`.
  void feed_if_ready();
  void take_block(Rank from, const Payload& block);
  bool accept_entries(const Payload& entries);
  void flush(LinkId feeder);
  // Whether nothing more is to be waited for that could fill the frame.
  bool ready() const { return hop_ != links_.parent() || (voted_ && packed_ >= announced_); }
  bool collect(LinkId from, Payload tail);
  void finish_if_complete();
  bool on_result(LinkId from, const wire::Collective& head, const Payload& tail);

  CollectivePeers& peers_;
  Rank collector_rank_;
  LinkId hop_ = kNoLink;  // towards the collector
  Payload contribution_;
  EntryPacker packer_;
  std::uint64_t packed_ = 0;     // bytes of ranks that have gone through the packer
  std::uint64_t announced_ = 0;  // with the vote
  std::optional<EntryCollector> collector_;
  std::optional<HostRing> ring_;
  std::vector<std::pair<Rank, Payload>> early_;  // other hosts' blocks that came before this host's was whole
  std::uint32_t taken_ = 0;                      // other hosts' blocks
  std::uint64_t block_bytes_ = 0;                // of those that have come
  std::uint64_t total_ = 0;                      // bytes of all ranks
  std::uint32_t awaited_ = 0;                    // other ranks of this host whose bytes wait for `go`
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
