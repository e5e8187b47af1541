// Scan and exclusive scan, in the rounds of Hillis and Steele ("Data parallel algorithms", 1986): in round i a rank
// that has combined the vectors of 2^i ranks, the last of them its own, sends that to the 2^i-th behind it, and puts
// what it gets from the 2^i-th before it in front of its own. So ranks are combined in their order, and how they are
// bracketed follows from the rank alone: every run gives the same bits.
#pragma once

#include "node/collective_algorithm.hh"

namespace banyan::node {

class ScanAlgorithm : public PairwiseAlgorithm {
 public:
  using PairwiseAlgorithm::PairwiseAlgorithm;
  void start(Collective call) override;
  void on_go() override;
  void on_received(Rank from, Payload bytes) override;
  void on_sent(Rank to) override;
  bool finished() const override { return complete_ && sending_ == 0; }

 private:
  void go_on();
  Payload combined(const Payload& lower, const Payload& higher) const;

  bool called_ = false;
  bool complete_ = false;
  std::uint64_t distance_ = 1;    // of this round
  Payload so_far_;                // of distance_ ranks up to this one, or of all there are
  std::optional<Payload> lower_;  // exclusive: the same without this one
  std::uint32_t sending_ = 0;
};

}  // namespace banyan::node
