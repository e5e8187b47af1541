#include "node/collective_ring.hh"

#include <algorithm>
#include <utility>

#include "base/canary.hh"

namespace banyan::node {
namespace {

// Blocks under way in each direction: the next step's is asked for while this one's comes.
constexpr std::uint64_t kWindow = 4;
constexpr StreamChannel kChannel = StreamChannel::down_even;

}  // namespace

HostRing::HostRing(const Hosts& hosts, Rank self, CollectivePeers& peers, Sequence operation, std::uint64_t most_bytes)
    : peers_(peers), operation_(operation), most_bytes_(most_bytes), others_(hosts.count() - 1), blocks_(1) {
  const std::uint32_t own = hosts.place(self);
  next_ = hosts.leader((own + 1) % hosts.count());
  before_ = hosts.leader((own + hosts.count() - 1) % hosts.count());
}

void HostRing::begin() {
  begun_ = true;
  peers_.foresee(next_, most_bytes_);
  go_on();
}

void HostRing::feed(Payload block) {
  blocks_.front() = std::move(block);
  has_own_ = true;
  go_on();
}

void HostRing::on_block(const Payload& block) {
  if (++received_ < others_ && !canary(Canary::ring_block_kept)) blocks_.push_back(block);
  go_on();
}

void HostRing::on_sent() {
  ++accepted_;
  go_on();
}

void HostRing::go_on() {
  if (!begun_) return;
  for (; asked_ < std::min(others_, received_ + kWindow); ++asked_)
    peers_.receive(operation_, before_, most_bytes_, kChannel);
  if (!has_own_) return;
  for (; sent_ < blocks_.size() && sent_ - accepted_ < kWindow; ++sent_)
    peers_.send(operation_, next_, std::exchange(blocks_[sent_], {}), kChannel);
}

}  // namespace banyan::node
