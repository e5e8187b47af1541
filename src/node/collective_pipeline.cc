#include "node/collective_pipeline.hh"

#include <algorithm>
#include <utility>

#include "node/collective_combine.hh"

namespace banyan::node {
namespace {

// A shorter segment costs more for its message than for its bytes, and is not worth a direct link
// (Limits::direct_bytes).
constexpr std::uint64_t kLeastSegmentBytes = 128 * 1024;

}  // namespace

Pipeline::Pipeline(const Hosts& hosts, Rank self, Rank end, std::uint64_t bytes)
    : bytes_(bytes),
      segment_bytes_(std::max<std::uint64_t>(kLeastSegmentBytes, stream_chunk_bytes(bytes))),
      segments_((bytes + segment_bytes_ - 1) / segment_bytes_) {
  // The apex stands above both trees: nodes are the others, counted from the one behind it.
  const std::uint32_t count = hosts.count();
  const std::uint32_t apex = hosts.place(end);
  const std::uint32_t own = hosts.place(self);
  const auto leader = [&](std::uint32_t node) { return hosts.leader((apex + 1 + node) % count); };
  is_apex_ = own == apex;
  if (count < 2) return;
  const tree::TwoTrees trees(count - 1);
  const std::uint32_t node = (own + count - apex - 1) % count;
  for (unsigned tree = 0; tree < kTrees; ++tree) {
    if (is_apex_) {
      children_[tree].push_back(leader(trees.root(tree)));
      continue;
    }
    const auto above = trees.parent(tree, node);
    parents_[tree] = above ? leader(*above) : hosts.leader(apex);
    for (const std::uint32_t below : trees.children(tree, node)) children_[tree].push_back(leader(below));
  }
}

// --- down ----------------------------------------------------------------------------------------------------------

DownStream::DownStream(const Pipeline& pipeline, CollectivePeers& peers, Sequence operation)
    : pipeline_(pipeline), peers_(peers), operation_(operation), own_(pipeline) {
  for (unsigned tree = 0; tree < Pipeline::kTrees; ++tree) {
    for (const Rank child : pipeline.children(tree)) children_[tree].push_back({child});
  }
}

void DownStream::begin() {
  begun_ = true;
  for (const std::vector<Child>& children : children_) {
    for (const Child& child : children) peers_.foresee(child.rank, pipeline_.segment_bytes());
  }
  for (unsigned tree = 0; tree < Pipeline::kTrees; ++tree) go_on(tree);
}

void DownStream::feed(const Payload& bytes) {
  own_.add(bytes, [this](std::uint64_t number, const Payload& segment) {
    here_[number % Pipeline::kTrees].push_back(segment);
    go_on(number % Pipeline::kTrees);
  });
}

bool DownStream::on_segment(unsigned tree, Payload segment) {
  const std::uint64_t number = here_[tree].size() * Pipeline::kTrees + tree;
  if (segment.size() != pipeline_.bytes_of(number)) return false;
  here_[tree].push_back(std::move(segment));
  go_on(tree);
  return true;
}

void DownStream::on_sent(unsigned tree, Rank to) {
  ++std::ranges::find(children_[tree], to, &Child::rank)->accepted;
  go_on(tree);
}

void DownStream::go_on(unsigned tree) {
  if (!begun_) return;
  const StreamChannel channel = down_channel(tree);
  std::uint64_t& asked = asked_[tree];
  if (const auto parent = pipeline_.parent(tree)) {
    for (; asked < std::min(pipeline_.segments_of(tree), here_[tree].size() + Pipeline::kWindow); ++asked)
      peers_.receive(operation_, *parent, pipeline_.bytes_of(asked * Pipeline::kTrees + tree), channel);
  }
  for (Child& child : children_[tree]) {
    for (; child.sent < here_[tree].size() && child.sent - child.accepted < Pipeline::kWindow; ++child.sent)
      peers_.send(operation_, child.rank, here_[tree][child.sent], channel);
  }
}

bool DownStream::finished() const {
  if (taken_ < pipeline_.segments()) return false;
  for (unsigned tree = 0; tree < Pipeline::kTrees; ++tree) {
    for (const Child& child : children_[tree]) {
      if (child.accepted < pipeline_.segments_of(tree)) return false;
    }
  }
  return true;
}

// --- up ------------------------------------------------------------------------------------------------------------

UpStream::UpStream(const Pipeline& pipeline, CollectivePeers& peers, const wire::Collective& head)
    : pipeline_(pipeline), peers_(peers), head_(head), own_(pipeline) {
  for (unsigned tree = 0; tree < Pipeline::kTrees; ++tree) {
    ways_[tree].asked.resize(pipeline.children(tree).size());
    ways_[tree].received.resize(pipeline.children(tree).size());
  }
}

void UpStream::begin() {
  begun_ = true;
  for (unsigned tree = 0; tree < Pipeline::kTrees; ++tree) {
    if (const auto parent = pipeline_.parent(tree)) peers_.foresee(*parent, pipeline_.segment_bytes());
  }
  for (unsigned tree = 0; tree < Pipeline::kTrees; ++tree) go_on(tree);
}

UpStream::Row& UpStream::row_of(unsigned tree, std::uint64_t place) {
  Way& way = ways_[tree];
  while (way.rows.size() <= place - way.done)
    way.rows.push_back({{}, std::vector<Payload>(pipeline_.children(tree).size())});
  return way.rows[place - way.done];
}

void UpStream::feed(const Payload& bytes) {
  own_.add(bytes, [this](std::uint64_t number, const Payload& segment) {
    row_of(number % Pipeline::kTrees, number / Pipeline::kTrees).own = segment;
  });
  for (unsigned tree = 0; tree < Pipeline::kTrees; ++tree) go_on(tree);
}

std::uint64_t UpStream::feed_limit() const {
  if (!begun_) return 0;
  std::uint64_t segments = pipeline_.segments();
  for (unsigned tree = 0; tree < Pipeline::kTrees; ++tree)
    segments = std::min(segments, (ways_[tree].done + Pipeline::kWindow) * Pipeline::kTrees + tree);
  return segments * pipeline_.segment_bytes();
}

bool UpStream::on_segment(unsigned tree, Rank from, Payload segment) {
  Way& way = ways_[tree];
  const std::vector<Rank>& children = pipeline_.children(tree);
  const auto child = static_cast<std::size_t>(std::ranges::find(children, from) - children.begin());
  const std::uint64_t place = way.received[child]++;
  if (segment.size() != pipeline_.bytes_of(place * Pipeline::kTrees + tree)) return false;
  Row& row = row_of(tree, place);
  row.of_child[child] = std::move(segment);
  ++row.arrived;
  go_on(tree);
  return true;
}

void UpStream::on_sent(unsigned tree) {
  ++ways_[tree].accepted;
  go_on(tree);
}

void UpStream::go_on(unsigned tree) {
  if (!begun_) return;
  Way& way = ways_[tree];
  const StreamChannel channel = up_channel(tree);
  const std::vector<Rank>& children = pipeline_.children(tree);
  const auto parent = pipeline_.parent(tree);
  while (!way.rows.empty() && way.rows.front().own && way.rows.front().arrived == children.size() &&
         (!parent || way.done - way.accepted < Pipeline::kWindow)) {
    const Payload combined = combine_row(std::move(way.rows.front()));
    way.rows.pop_front();
    const std::uint64_t number = way.done++ * Pipeline::kTrees + tree;
    if (parent) {
      peers_.send(head_.sequence, *parent, combined, channel);
    } else {
      combined_.emplace(number, combined);
    }
  }
  for (std::size_t child = 0; child < children.size(); ++child) {
    std::uint64_t& asked = way.asked[child];
    for (; asked < std::min(pipeline_.segments_of(tree), way.done + Pipeline::kWindow); ++asked)
      peers_.receive(head_.sequence, children[child], pipeline_.bytes_of(asked * Pipeline::kTrees + tree), channel);
  }
}

Payload UpStream::combine_row(Row row) const {
  if (row.of_child.empty()) return *std::move(row.own);
  std::vector<std::byte> combined(row.own->size());
  row.own->copy_to(combined.data());
  for (const Payload& of_child : row.of_child)
    combine(head_.call.reduction, head_.call.element, combined, of_child.flatten().bytes());
  return Payload(Slice::adopt(std::move(combined)));
}

bool UpStream::finished() const {
  for (unsigned tree = 0; tree < Pipeline::kTrees; ++tree) {
    const Way& way = ways_[tree];
    if (way.done < pipeline_.segments_of(tree)) return false;
    if (pipeline_.parent(tree) && way.accepted < way.done) return false;
  }
  return !pipeline_.is_apex() || taken_ == pipeline_.segments();
}

}  // namespace banyan::node
