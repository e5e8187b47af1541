#include "node/collective_reduction.hh"

#include "node/collective_combine.hh"

namespace banyan::node {
namespace {

std::uint64_t bytes_of(const wire::CallSignature& call) { return call.count * wire::element_bytes(call.element); }

}  // namespace

ReductionAlgorithm::ReductionAlgorithm(CollectiveLinks& links, const wire::Collective& head, Reach combines)
    : CollectiveAlgorithm(links, head),
      combines_(combines),
      chunks_(chunk_count(bytes_of(head.call))),
      deferred_(bytes_of(head.call) > eager_bytes(head.call.kind, links.world_size())),
      may_send_(deferred_ ? 0 : chunks_),
      granted_(may_send_),
      from_child_(combines == Reach::host ? links.host_children() : links.child_count(), 0) {
  head_.total = bytes_of(head.call);
}

void ReductionAlgorithm::start(Collective call) {
  called_ = true;
  contribution_ = std::move(call.contribution);
  advance();
}

void ReductionAlgorithm::on_go() {
  CollectiveAlgorithm::on_go();
  if (!deferred_) return;
  granted_ = std::min(chunks_, wire::kReductionWindow);
  set_limit(limit_at_go());
  advance();
}

bool ReductionAlgorithm::on_credit(std::uint64_t offset) {
  const std::uint64_t chunks = chunk_count(offset);
  if (!has_go() || chunks <= may_send_ || chunks > chunks_) return false;
  may_send_ = chunks;
  advance();
  return true;
}

bool ReductionAlgorithm::on_data(LinkId from, const wire::Collective& head, const Payload& tail) {
  if (head.about != kNoRank || head.total != head_.total) return false;
  const std::size_t child = topology().child_index(from);
  return child < from_child_.size() ? on_contribution(child, head, tail) : on_result(from, head, tail);
}

bool ReductionAlgorithm::on_contribution(std::size_t child, const wire::Collective& head, const Payload& tail) {
  std::uint64_t& received = from_child_[child];
  if (!is_chunk(head, tail) || received >= granted_ || head.offset != received * kChunkBytes) return false;
  const std::size_t row = received - combined_;
  ++received;
  while (rows_.size() <= row) rows_.push_back(Row{std::vector<Payload>(from_child_.size()), 0});
  rows_[row].of_child[child] = tail;
  ++rows_[row].arrived;
  advance();
  return true;
}

void ReductionAlgorithm::advance() {
  if (!called_) return;
  const std::uint64_t before = combined_;
  while (combined_ < may_send_) {
    if (!from_child_.empty() && (rows_.empty() || rows_.front().arrived < from_child_.size())) break;
    const std::uint64_t offset = combined_ * kChunkBytes;
    const Payload own = contribution_.part(offset, std::min<std::uint64_t>(kChunkBytes, head_.total - offset));
    const Payload chunk = combine_row(own);
    head_.offset = offset;
    ++combined_;
    pass_up(chunk);
  }
  if (combined_ == before) return;
  grant_credit();
  if (combined_ < chunks_) return;
  contribution_ = {};
  on_all_combined();
}

void ReductionAlgorithm::pass_up(const Payload& chunk) {
  if (links_.is_root()) return send_result(chunk);
  links_.send_data(links_.parent(), head_, chunk);
}

void ReductionAlgorithm::on_all_combined() {
  if (links_.is_root()) {
    if (for_everyone()) result_stream_.replace(links_.enclose_down(head_, result_stream_.bytes()));
    proves_all_called_ = for_everyone();
    finish(gets_result() ? result_stream_.bytes() : Payload{});
  } else if (!gets_result()) {
    finish({});
  }
}

Payload ReductionAlgorithm::combine_row(const Payload& own) {
  if (from_child_.empty()) return own;
  std::vector<std::byte> combined(own.size());
  own.copy_to(combined.data());
  for (const Payload& of_child : rows_.front().of_child) {
    combine(head_.call.reduction, head_.call.element, combined, of_child.flatten().bytes());
  }
  rows_.pop_front();
  return Payload(Slice::adopt(std::move(combined)));
}

void ReductionAlgorithm::send_result(const Payload& chunk) {
  if (for_everyone()) links_.send_stream_down(head_, chunk);
  if (gets_result()) {
    result_stream_.accept(head_, chunk);
  } else if (const LinkId hop = hop_to(head_.call.root); hop != kNoLink) {
    links_.send_data(hop, head_, chunk);
  }
}

void ReductionAlgorithm::grant_credit() {
  if (!deferred_ || granted_ == chunks_ || combined_ + wire::kReductionWindow < granted_ + wire::kReductionWindow / 2)
    return;
  granted_ = std::min(chunks_, combined_ + wire::kReductionWindow);
  wire::Collective credit = head_;
  credit.part = wire::Part::go;
  credit.offset = std::min(head_.total, granted_ * kChunkBytes);
  links_.send_data_down(credit, {}, kNoLink, combines_);
}

bool ReductionAlgorithm::on_result(LinkId from, const wire::Collective& head, const Payload& tail) {
  // No result without this rank's vector: what comes before all of it was combined is a lie.
  if (from != links_.parent() || chunk_count(head.offset + tail.size()) > combined_) return false;
  if (!gets_result()) return pass_on(links_, from, head, tail);
  if (!result_stream_.accept(head, tail)) return false;
  if (for_everyone()) links_.send_stream_down(head, tail, from);
  if (!result_stream_.complete()) return true;
  if (for_everyone()) result_stream_.replace(links_.enclose_down(head, result_stream_.bytes()));
  proves_all_called_ = for_everyone();
  finish(result_stream_.bytes());
  return true;
}

void ReductionAlgorithm::finish(Payload result) {
  result_ = own_part(std::move(result));
  result_stream_ = {};
  done_ = true;
}

PipelinedReductionAlgorithm::PipelinedReductionAlgorithm(CollectiveLinks& links, CollectivePeers& peers,
                                                         const wire::Collective& head)
    : ReductionAlgorithm(links, head, Reach::host),
      pipeline_(links.hosts(), links.self(), for_everyone() ? kRootRank : head.call.root, head_.total),
      up_(pipeline_, peers, head),
      down_(pipeline_, peers, head.sequence),
      to_host_(links, head_, kNoLink) {}

bool PipelinedReductionAlgorithm::on_data(LinkId from, const wire::Collective& head, const Payload& tail) {
  if (!ReductionAlgorithm::on_data(from, head, tail)) return false;
  go_on();
  return true;
}

void PipelinedReductionAlgorithm::begin() {
  up_.begin();
  if (for_everyone()) down_.begin();
  go_on();
}

void PipelinedReductionAlgorithm::on_segment(StreamChannel channel, Rank from, Payload segment) {
  const std::uint64_t bytes = segment.size();
  const unsigned tree = tree_of(channel);
  const bool fits =
      goes_up(channel) ? up_.on_segment(tree, from, std::move(segment)) : down_.on_segment(tree, std::move(segment));
  if (!fits) {
    failure_ = unfit(from, bytes, pipeline_.segment_bytes());
    return;
  }
  go_on();
}

void PipelinedReductionAlgorithm::on_segment_sent(StreamChannel channel, Rank to) {
  if (goes_up(channel)) {
    up_.on_sent(tree_of(channel));
  } else {
    down_.on_sent(tree_of(channel), to);
  }
  go_on();
}

void PipelinedReductionAlgorithm::go_on() {
  // What is passed up may go on at once, and make room for more.
  for (std::uint64_t limit = 0; limit < up_.feed_limit();) {
    limit = up_.feed_limit();
    set_limit(limit / kChunkBytes);
    advance();
  }
  up_.take([this](const Payload& segment) {
    if (for_everyone()) {
      down_.feed(segment);
    } else {
      take_result(segment);
    }
  });
  down_.take([this](const Payload& segment) {
    to_host_.add(segment);
    if (to_host_.complete()) finish(to_host_.bytes());
  });
}

void PipelinedReductionAlgorithm::take_result(const Payload& segment) {
  if (gets_result()) {
    result_bytes_.append(segment);
  } else {
    pass_to_root(segment);
  }
  reduced_ += segment.size();
  if (reduced_ == head_.total) finish(std::exchange(result_bytes_, {}));
}

void PipelinedReductionAlgorithm::pass_to_root(const Payload& segment) {
  const LinkId root = hop_to(head_.call.root);
  if (root == kNoLink) return;
  for_each_piece(segment, kChunkBytes, [&](std::uint64_t offset, const Payload& chunk) {
    head_.offset = reduced_ + offset;
    links_.send_data(root, head_, chunk);
  });
}

void PipelinedReductionAlgorithm::on_all_combined() {
  // Who has no part in the result is done with its call.
  if (!for_everyone() && !pipeline_.is_apex()) finish({});
}

bool PipelinedReductionAlgorithm::finished() const {
  return ReductionAlgorithm::finished() && up_.finished() && (!for_everyone() || down_.finished());
}

void TreeReduceScatterAlgorithm::start(Collective call) {
  blocks_ = Blocks(call.call, call.counts, links_.world_size());
  ReductionAlgorithm::start(std::move(call));
}

}  // namespace banyan::node
