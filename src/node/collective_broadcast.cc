#include "node/collective_broadcast.hh"

namespace banyan::node {

void BarrierAlgorithm::on_go() {
  CollectiveAlgorithm::on_go();
  result_ = Payload{};
}

void BroadcastAlgorithm::start(Collective call) {
  called_ = true;
  if (!is_source()) {
    if (stream_.complete()) finish(stream_.bytes());
    return;
  }
  message_ = std::move(call.contribution);
  deferred_ = message_.size() > kEagerCollectiveBytes;
  if (!deferred_) send_message();
}

void BroadcastAlgorithm::on_total(std::uint64_t bytes) {
  head_.total = bytes;
  const bool is_long = bytes > kEagerCollectiveBytes && topology().leads(self());
  if (is_long && goes_between_hosts(head_.call.kind, bytes, topology().hosts(), topology().fan_out()))
    hosts_.emplace(links_, peers_, head_, hop_to(head_.call.root));
}

void BroadcastAlgorithm::on_go() {
  CollectiveAlgorithm::on_go();
  if (!deferred_) return;
  if (!hosts_) return send_message();
  hosts_->down.feed(message_);
  finish(message_);
}

void BroadcastAlgorithm::send_message() {
  head_.total = message_.size();
  for_each_chunk(message_, [this](std::uint64_t offset, const Payload& chunk) {
    head_.offset = offset;
    links_.flood_stream(kNoLink, head_, chunk);
  });
  finish(links_.enclose_down(head_, message_));
}

bool BroadcastAlgorithm::on_data(LinkId from, const wire::Collective& head, const Payload& tail) {
  if (is_source() || from != hop_to(head.call.root) || head.about != kNoRank) return false;
  if (head.total > kEagerCollectiveBytes && !has_go()) return false;
  if (hosts_ && (!hosts_->pipeline.is_apex() || head.total != head_.total)) return false;
  if (!stream_.accept(head, tail)) return false;
  if (hosts_) {
    hosts_->down.feed(tail);
    go_on();
    return true;
  }
  links_.flood_stream(from, head, tail);
  if (!stream_.complete()) return true;
  stream_.replace(links_.enclose_down(head, stream_.bytes(), from));
  if (called_) finish(stream_.bytes());
  return true;
}

void BroadcastAlgorithm::begin() {
  hosts_->down.begin();
  go_on();
}

void BroadcastAlgorithm::on_segment(StreamChannel channel, Rank from, Payload segment) {
  const std::uint64_t bytes = segment.size();
  if (!hosts_->down.on_segment(tree_of(channel), std::move(segment))) {
    failure_ = unfit(from, bytes, hosts_->pipeline.segment_bytes());
    return;
  }
  go_on();
}

void BroadcastAlgorithm::on_segment_sent(StreamChannel channel, Rank to) { hosts_->down.on_sent(tree_of(channel), to); }

void BroadcastAlgorithm::go_on() {
  hosts_->down.take([this](const Payload& segment) { hosts_->to_host.add(segment); });
  if (hosts_->to_host.complete() && !done_) finish(hosts_->to_host.bytes());
}

void BroadcastAlgorithm::finish(const Payload& message) {
  result_ = message;
  done_ = true;
}

}  // namespace banyan::node
