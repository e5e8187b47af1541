// Barrier: nothing but votes and `go`. Broadcast: one stream floods the tree from the root of the operation; or, if it
// is so long that this costs the more (goes_between_hosts), goes through a pipeline of hosts and floods each of these.
#pragma once

#include "node/collective_algorithm.hh"
#include "node/collective_pipeline.hh"
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
  BroadcastAlgorithm(CollectiveLinks& links, CollectivePeers& peers, const wire::Collective& head)
      : CollectiveAlgorithm(links, head), peers_(peers) {}
  void start(Collective call) override;
  bool deferred() const override { return deferred_ || is_bulk(); }
  void on_total(std::uint64_t bytes) override;
  void on_go() override;
  bool is_bulk() const override { return hosts_.has_value(); }
  bool uses_messages() const override { return is_bulk() || may_be_bulk(); }
  void begin() override;
  void on_segment(StreamChannel channel, Rank from, Payload segment) override;
  void on_segment_sent(StreamChannel channel, Rank to) override;
  bool on_data(LinkId from, const wire::Collective& head, const Payload& tail) override;
  bool finished() const override { return done_ && (!hosts_ || hosts_->down.finished()); }

 private:
  // At a leader, of a long one.
  struct BetweenHosts {
    BetweenHosts(CollectiveLinks& links, CollectivePeers& peers, const wire::Collective& head, LinkId source)
        : pipeline(links.hosts(), links.self(), head.call.root, head.total),
          down(pipeline, peers, head.sequence),
          to_host(links, head, source) {}
    BetweenHosts(const BetweenHosts&) = delete;

    Pipeline pipeline;
    DownStream down;
    HostStream to_host;
  };

  bool is_source() const { return head_.call.root == self(); }
  void send_message();
  void go_on();
  void finish(const Payload& message);

  CollectivePeers& peers_;
  Payload message_;  // the source's
  IncomingStream stream_;
  std::optional<BetweenHosts> hosts_;
  bool called_ = false;
  bool deferred_ = false;
  bool done_ = false;
};

}  // namespace banyan::node
