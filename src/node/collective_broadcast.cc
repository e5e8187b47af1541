#include "node/collective_broadcast.hh"

namespace banyan::node {

void BarrierAlgorithm::on_go() {
  CollectiveAlgorithm::on_go();
  result_ = Payload{};
}

void BroadcastAlgorithm::start(Collective call) {
  called_ = true;
  if (!is_source()) return finish_if_complete();
  message_ = std::move(call.contribution);
  deferred_ = message_.size() > kEagerCollectiveBytes;
  if (!deferred_) send_message();
}

void BroadcastAlgorithm::on_go() {
  CollectiveAlgorithm::on_go();
  if (deferred_) send_message();
}

bool BroadcastAlgorithm::on_data(LinkId from, const wire::Collective& head, const Payload& tail) {
  if (is_source() || from != hop_to(head.call.root) || head.about != kNoRank) return false;
  if (head.total > kEagerCollectiveBytes && !has_go()) return false;
  if (!stream_.accept(head, tail)) return false;
  links_.flood_stream(from, head, tail);
  if (stream_.complete()) links_.enclose_down(head, stream_.bytes(), from);
  finish_if_complete();
  return true;
}

void BroadcastAlgorithm::send_message() {
  head_.total = message_.size();
  for_each_chunk(message_, [this](std::uint64_t offset, const Payload& chunk) {
    head_.offset = offset;
    links_.flood_stream(kNoLink, head_, chunk);
  });
  links_.enclose_down(head_, message_);
  result_ = message_;
  done_ = true;
}

void BroadcastAlgorithm::finish_if_complete() {
  if (!called_ || !stream_.complete()) return;
  result_ = stream_.bytes();
  done_ = true;
}

}  // namespace banyan::node
