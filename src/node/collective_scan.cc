#include "node/collective_scan.hh"

#include "base/canary.hh"
#include "node/collective_combine.hh"

namespace banyan::node {

void ScanAlgorithm::start(Collective call) {
  called_ = true;
  so_far_ = std::move(call.contribution);
}

void ScanAlgorithm::on_go() {
  CollectiveAlgorithm::on_go();
  if (called_) go_on();
}

void ScanAlgorithm::go_on() {
  for (; distance_ < links_.world_size(); distance_ *= 2) {
    const std::uint64_t target = raw(self()) + distance_;
    if (target < links_.world_size()) {
      ++sending_;
      peers_.send(head_.sequence, Rank{static_cast<std::uint32_t>(target)}, so_far_);
    }
    if (raw(self()) < distance_) continue;
    peers_.receive(head_.sequence, Rank{static_cast<std::uint32_t>(raw(self()) - distance_)}, so_far_.size());
    return;
  }
  complete_ = true;
  if (head_.call.kind == wire::CollectiveKind::scan) {
    result_ = std::move(so_far_);
  } else {
    result_ = std::exchange(lower_, std::nullopt).value_or(Payload{});
  }
}

void ScanAlgorithm::on_received(Rank from, Payload bytes) {
  if (bytes.size() != so_far_.size()) {
    failure_ = unfit(from, bytes.size(), so_far_.size());
    return;
  }
  if (head_.call.kind == wire::CollectiveKind::exclusive_scan) lower_ = lower_ ? combined(bytes, *lower_) : bytes;
  so_far_ = combined(bytes, so_far_);
  distance_ *= canary(Canary::scan_round_skipped) ? 4 : 2;
  go_on();
}

void ScanAlgorithm::on_sent(Rank /*to*/) { --sending_; }

Payload ScanAlgorithm::combined(const Payload& lower, const Payload& higher) const {
  std::vector<std::byte> into(lower.size());
  lower.copy_to(into.data());
  combine(head_.call.reduction, head_.call.element, into, higher.flatten().bytes());
  return Payload(Slice::adopt(std::move(into)));
}

}  // namespace banyan::node
