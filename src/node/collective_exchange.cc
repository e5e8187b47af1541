#include "node/collective_exchange.hh"

#include "base/canary.hh"
#include "node/collective_combine.hh"
#include "node/collective_entries.hh"

namespace banyan::node {
namespace {

// Steps under way in each direction: with windows of 1 MiB (Limits::message_window_bytes) a rank has at most 8 MiB on
// their way to it, and eight round trips at once hide the distance between small parts.
constexpr std::uint32_t kExchangeWindow = 8;

// A block costs a frame and its acceptance on every hop, a vector over the tree two frames for each link: blocks
// shorter than this are cheaper in one vector.
constexpr std::uint64_t kLeastBlockBytes = 4096;

}  // namespace

void ExchangeAlgorithm::start(Collective call) {
  called_ = true;
  prepare(std::move(call));
}

void ExchangeAlgorithm::on_go() {
  CollectiveAlgorithm::on_go();
  if (!called_) return;
  take(self(), part_for(self()));
  go_on();
}

void ExchangeAlgorithm::on_received(Rank from, Payload bytes) {
  ++received_;
  take(from, std::move(bytes));
  go_on();
}

void ExchangeAlgorithm::on_sent(Rank /*to*/) {
  ++sent_;
  go_on();
}

void ExchangeAlgorithm::go_on() {
  while (receiving_ < others() && receiving_ - received_ < kExchangeWindow) {
    ++receiving_;
    peers_.receive(head_.sequence, rank_after(links_.world_size() - receiving_), most_bytes());
  }
  while (sending_ < others() && sending_ - sent_ < kExchangeWindow) {
    const Rank to = rank_after(++sending_);
    peers_.send(head_.sequence, to, part_for(to));
  }
  if (complete_ || failure_ || received_ < others()) return;
  complete_ = true;
  result_ = result();
}

void AlltoallAlgorithm::prepare(Collective call) {
  parts_ = std::move(call.parts);
  taken_.resize(links_.world_size());
}

void AlltoallAlgorithm::take(Rank from, Payload bytes) {
  if (canary(Canary::exchange_misplaced) && from != self()) from = Rank{links_.world_size() - 1};
  taken_[raw(from)] = unpinned(std::move(bytes));
}

void ReduceScatterAlgorithm::prepare(Collective call) {
  blocks_ = Blocks(call.call, call.counts, links_.world_size());
  vector_ = std::move(call.contribution);
}

void ReduceScatterAlgorithm::take(Rank from, Payload bytes) {
  if (failure_) return;
  if (bytes.size() != blocks_.bytes_of(self())) {
    failure_ = unfit(from, bytes.size(), blocks_.bytes_of(self()));
    return;
  }
  early_.emplace(from, unpinned(std::move(bytes)));
  for (auto next = early_.begin(); next != early_.end() && next->first == Rank{combined_}; next = early_.begin()) {
    const Slice block = next->second.flatten();
    if (combined_++ == 0) {
      so_far_.assign(block.bytes().begin(), block.bytes().end());
    } else {
      combine(head_.call.reduction, head_.call.element, so_far_, block.bytes());
    }
    early_.erase(next);
  }
}

bool scatters_over_tree(const wire::CallSignature& call, std::uint32_t world_size) {
  return call.count * wire::element_bytes(call.element) < world_size * kLeastBlockBytes;
}

}  // namespace banyan::node
