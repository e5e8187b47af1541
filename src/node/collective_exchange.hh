// Operations in which every rank has bytes for every other: alltoall, and reduce_scatter of long vectors. They go
// between pairs: in step k = 1 .. N-1 a rank sends to the k-th behind it and receives from the k-th before it, so that
// no rank is everybody's target at the same time. A few steps are under way in each direction: that bounds what
// comes to one rank at once, and a slow peer holds up one of them and not the others.
//
// Nobody waits in a circle, however many of these are in flight: all begin their steps in order, so the pairs of the
// least step that is not done anywhere wait for each other alone. (A scan's messages go as many ranks ahead.)
#pragma once

#include <map>

#include "node/collective_algorithm.hh"
#include "node/collective_blocks.hh"

namespace banyan::node {

class ExchangeAlgorithm : public PairwiseAlgorithm {
 public:
  using PairwiseAlgorithm::PairwiseAlgorithm;
  void start(Collective call) override;
  void on_go() override;
  void on_received(Rank from, Payload bytes) override;
  void on_sent(Rank to) override;
  bool finished() const override { return complete_ && sent_ == others(); }

 protected:
  virtual void prepare(Collective call) = 0;
  // What this rank has for `to`; asked for once, maybe after result().
  virtual Payload part_for(Rank to) = 0;
  // No more than so many bytes come from each.
  virtual std::uint64_t most_bytes() const { return kMaxMessageBytes; }
  // What `from` has for this rank, itself included; in any order.
  virtual void take(Rank from, Payload bytes) = 0;
  virtual Result result() = 0;

 private:
  std::uint32_t others() const { return links_.world_size() - 1; }
  Rank rank_after(std::uint32_t steps) const { return Rank{(raw(self()) + steps) % links_.world_size()}; }
  void go_on();

  bool called_ = false;
  bool complete_ = false;  // all that is for this rank is here
  // Steps begun, and of these those that are done, by direction.
  std::uint32_t sending_ = 0;
  std::uint32_t sent_ = 0;
  std::uint32_t receiving_ = 0;
  std::uint32_t received_ = 0;
};

class AlltoallAlgorithm : public ExchangeAlgorithm {
 public:
  using ExchangeAlgorithm::ExchangeAlgorithm;

 private:
  void prepare(Collective call) override;
  Payload part_for(Rank to) override { return std::move(parts_[raw(to)]); }
  void take(Rank from, Payload bytes) override;
  Result result() override { return Parts::join(std::exchange(taken_, {})); }

  std::vector<Payload> parts_;
  std::vector<Payload> taken_;
};

// The blocks are combined in the order of ranks, so that every run gives the same bits. What comes before its turn is
// kept: together no more than this rank's own vector has.
class ReduceScatterAlgorithm : public ExchangeAlgorithm {
 public:
  using ExchangeAlgorithm::ExchangeAlgorithm;

 private:
  void prepare(Collective call) override;
  Payload part_for(Rank to) override { return blocks_.of(vector_, to); }
  std::uint64_t most_bytes() const override { return blocks_.bytes_of(self()); }
  void take(Rank from, Payload bytes) override;
  Result result() override { return Payload(Slice::adopt(std::exchange(so_far_, {}))); }

  Blocks blocks_;
  Payload vector_;
  std::map<Rank, Payload> early_;
  std::uint32_t combined_ = 0;  // ranks, from 0 on
  std::vector<std::byte> so_far_;
};

// Whether the vectors are so short that reduce_scatter is done over the tree, as an allreduce of which each rank keeps
// its block; all ranks come to the same answer.
bool scatters_over_tree(const wire::CallSignature& call, std::uint32_t world_size);

}  // namespace banyan::node
