#include "node/collective_gather.hh"

namespace banyan::node {
namespace {

Failure too_large() {
  return {
      FailureCode::too_large,
      Phase::running,
      {},
      {},
      "the contributions to allgather() are too many bytes together; the limit is " + std::to_string(kMaxMessageBytes)};
}

}  // namespace

GatherAlgorithm::GatherAlgorithm(CollectiveLinks& links, CollectivePeers& peers, const wire::Collective& head)
    : CollectiveAlgorithm(links, head), peers_(peers), collector_rank_(for_everyone() ? kRootRank : head.call.root) {
  hop_ = hop_to(collector_rank_);
}

void GatherAlgorithm::start(Collective call) {
  called_ = true;
  contribution_ = std::move(call.contribution);
  deferred_ = !is_collector() && contribution_.size() > eager_bytes(head_.call.kind, links_.world_size());
  if (!deferred_) contribute();
}

void GatherAlgorithm::before_vote(std::uint64_t bytes) {
  voted_ = true;
  announced_ = for_everyone() ? bytes : 0;
  flush(kNoLink);
}

void GatherAlgorithm::on_vote(std::size_t child, bool deferred) {
  if (deferred && child < links_.host_children()) ++awaited_;
}

void GatherAlgorithm::on_total(std::uint64_t bytes) {
  total_ = bytes;
  if (bytes + links_.world_size() * Parts::kEndBytes > kMaxMessageBytes) failure_ = too_large();
}

void GatherAlgorithm::on_go() {
  CollectiveAlgorithm::on_go();
  if (goes_round()) {
    ring_.emplace(links_.hosts(), self(), peers_, head_.sequence, most_in_block());
    if (!collector_) collector_.emplace(links_.world_size());
    if (!is_collector()) collector_->expect_all();
  }
  if (deferred_) contribute();
  if (ring_) feed_if_ready();
}

std::uint64_t GatherAlgorithm::most_in_block() const { return total_ + links_.world_size() * Entry::kBytes; }

bool GatherAlgorithm::goes_round() const {
  return head_.call.kind == wire::CollectiveKind::allgather && topology().leads(self()) &&
         most_in_block() <= kMaxMessageBytes &&
         goes_between_hosts(head_.call.kind, total_, topology().hosts(), topology().fan_out());
}

void GatherAlgorithm::feed_if_ready() {
  if (awaited_ > 0) return;
  ring_->feed(collector_->entries());
  for (auto& [from, block] : std::exchange(early_, {})) take_block(from, block);
}

void GatherAlgorithm::contribute() {
  if (is_collector() || ring_) {
    if (!collector_) collector_.emplace(links_.world_size());
    if (is_collector()) collector_->expect_all();
    collector_->put(self(), unpinned(std::move(contribution_)));
    return finish_if_complete();
  }
  if (hop_ != kNoLink) {
    packer_.add(self(), contribution_, [this](const Payload& tail) { links_.send_data(hop_, head_, tail); });
    packed_ += contribution_.size();
    if (ready()) flush(kNoLink);
  }
  contribution_ = {};
  if (for_everyone()) return;
  result_ = Parts();
  done_ = true;
}

void GatherAlgorithm::flush(LinkId feeder) {
  if (!packer_.empty()) links_.send_data(hop_, head_, packer_.take(), feeder);
}

void GatherAlgorithm::on_segment(StreamChannel /*channel*/, Rank from, Payload block) {
  // All together have what the votes have said.
  block_bytes_ += block.size();
  if ((done_ && !block.empty()) || block_bytes_ > most_in_block()) {
    failure_ = unfit(from, block_bytes_, most_in_block());
    return;
  }
  if (awaited_ == 0) {
    take_block(from, block);
  } else {
    early_.emplace_back(from, block);
  }
  // What is wrong goes no further.
  if (!failure_) ring_->on_block(block);
}

void GatherAlgorithm::take_block(Rank from, const Payload& block) {
  const bool is_last = ++taken_ + 1 == links_.hosts().count();
  if ((done_ && !block.empty()) || !accept_entries(block) || (is_last && !collector_->complete()))
    failure_ = unfit(from, block.size(), total_);
  if (!failure_) finish_if_complete();
}

bool GatherAlgorithm::accept_entries(const Payload& entries) {
  PayloadCursor cursor(entries);
  while (cursor.remaining() > 0) {
    const auto entry = read_entry(cursor, links_.world_size());
    if (!entry || !collector_->accept(*entry, unpinned(cursor.take(entry->bytes)))) return false;
  }
  return true;
}

bool GatherAlgorithm::on_data(LinkId from, const wire::Collective& head, const Payload& tail) {
  if (ring_) return topology().child_index(from) < links_.host_children() && collect(from, tail);
  if (for_everyone() && !links_.is_root() && from == links_.parent()) return on_result(from, head, tail);
  if (is_collector()) return collect(from, tail);
  // At the root nothing waits for a vote, and the collector may have left.
  if (links_.is_root() || hop_ != links_.parent()) return pass_on_entries(links_, from, head, tail, collector_rank_);
  const auto bytes = bytes_of_entries(tail, links_.world_size());
  if (from == hop_ || !bytes) return false;
  packer_.add_packed(tail, [&](const Payload& full) { links_.send_data(hop_, head_, full, from); });
  packed_ += *bytes;
  if (ready()) flush(from);
  return true;
}

bool GatherAlgorithm::collect(LinkId from, Payload tail) {
  if (tail.empty() || tail.size() > kMaxCollectiveTail || done_) return false;
  if (!collector_) collector_.emplace(links_.world_size());
  tail = unpinned(std::move(tail));
  const std::uint32_t missing = collector_->missing();
  PayloadCursor cursor(tail);
  while (cursor.remaining() > 0) {
    const auto entry = read_entry(cursor, links_.world_size());
    if (!entry || hop_to(entry->rank) != from) return false;
    if (entry->total > eager_bytes(head_.call.kind, links_.world_size()) && !has_go()) return false;
    if (!collector_->accept(*entry, cursor.take(entry->bytes))) return false;
  }
  const std::uint32_t whole = missing - collector_->missing();
  if (ring_ && whole > 0) {
    if (whole > awaited_) return false;
    awaited_ -= whole;
    feed_if_ready();
  }
  finish_if_complete();
  return true;
}

void GatherAlgorithm::finish_if_complete() {
  if (done_ || !collector_->complete()) return;
  Parts parts = Parts::join(collector_->take());
  if (for_everyone()) {
    const Payload& stream = parts.stream();
    // More than the votes had said.
    if (stream.size() > kMaxMessageBytes) {
      failure_ = too_large();
      return;
    }
    head_.total = stream.size();
    const Reach reach = ring_ ? Reach::host : Reach::subtree;
    for_each_chunk(stream, [&](std::uint64_t offset, const Payload& chunk) {
      head_.offset = offset;
      links_.send_stream_down(head_, chunk, kNoLink, reach);
    });
    parts = parts.at(links_.enclose_down(head_, stream, kNoLink, reach));
    proves_all_called_ = true;
  }
  result_ = std::move(parts);
  done_ = true;
}

bool GatherAlgorithm::on_result(LinkId from, const wire::Collective& head, const Payload& tail) {
  // There is no result without this rank's bytes, and those of its children.
  if (!called_ || !packer_.empty() || head.about != kNoRank || !result_stream_.accept(head, tail)) return false;
  links_.send_stream_down(head, tail, from);
  if (!result_stream_.complete()) return true;
  auto parts = Parts::from_stream(links_.enclose_down(head, result_stream_.bytes()), links_.world_size());
  if (!parts) return false;
  result_ = *std::move(parts);
  result_stream_ = {};
  done_ = proves_all_called_ = true;
  return true;
}

bool pass_on_entries(CollectiveLinks& links, LinkId from, const wire::Collective& head, const Payload& tail,
                     Rank target) {
  const LinkId hop = links.topology().next_hop(target);
  if (hop == from || !bytes_of_entries(tail, links.world_size())) return false;
  if (hop != kNoLink) links.send_data(hop, head, tail, from);
  return true;
}

}  // namespace banyan::node
