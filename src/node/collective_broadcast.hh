// Barrier: nothing but votes and `go`. Broadcast: one stream floods the tree from the root of the operation.
#pragma once

#include "node/collective_algorithm.hh"
#include "node/collective_stream.hh"

namespace banyan::node {

class BarrierAlgorithm : public CollectiveAlgorithm {
 public:
  using CollectiveAlgorithm::CollectiveAlgorithm;
  void start(Collective) override {}
  void on_go() override;
  bool on_data(LinkId, const wire::Collective&, const Payload&) override { return false; }
  bool finished() const override { return has_go(); }
};

class BroadcastAlgorithm : public CollectiveAlgorithm {
 public:
  using CollectiveAlgorithm::CollectiveAlgorithm;
  void start(Collective call) override;
  bool deferred() const override { return deferred_; }
  void on_go() override;
  bool on_data(LinkId from, const wire::Collective& head, const Payload& tail) override;
  bool finished() const override { return done_; }

 private:
  bool is_source() const { return head_.call.root == self(); }
  void send_message();
  void finish_if_complete();

  Payload message_;  // the source's
  IncomingStream stream_;
  bool called_ = false;
  bool deferred_ = false;
  bool done_ = false;
};

}  // namespace banyan::node
