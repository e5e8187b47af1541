#include "node/collective_scatter.hh"

namespace banyan::node {

void ScatterAlgorithm::start(Collective call) {
  called_ = true;
  if (!is_source()) return finish_if_complete();
  parts_ = std::move(call.parts);
  std::uint64_t bytes = 0;
  for (const Payload& part : parts_) bytes += part.size();
  deferred_ = bytes > kEagerCollectiveBytes;
  if (!deferred_) send_parts();
}

void ScatterAlgorithm::on_go() {
  CollectiveAlgorithm::on_go();
  if (deferred_) send_parts();
}

void ScatterAlgorithm::send_parts() {
  std::map<LinkId, EntryPacker> packers;
  for (std::uint32_t i = 0; i < parts_.size(); ++i) {
    const LinkId hop = hop_to(Rank{i});
    if (hop == kNoLink) continue;
    packers[hop].add(Rank{i}, parts_[i], [&](const Payload& full) { links_.send_data(hop, head_, full); });
  }
  for (auto& [hop, packer] : packers) {
    if (!packer.empty()) links_.send_data(hop, head_, packer.take());
  }
  result_ = parts_[raw(self())];
  parts_.clear();
  done_ = true;
}

bool ScatterAlgorithm::on_data(LinkId from, const wire::Collective& head, const Payload& tail) {
  if (is_source() || from != hop_to(head.call.root)) return false;
  return distribute_entries(links_, from, head, tail,
                            [this](const Entry& entry, Payload bytes) { return accept_own(entry, std::move(bytes)); });
}

bool ScatterAlgorithm::accept_own(const Entry& entry, Payload bytes) {
  if (own_total_ ? *own_total_ != entry.total || own_.size() == entry.total : entry.offset != 0) return false;
  if (entry.offset != own_.size()) return false;
  if (entry.total > kEagerCollectiveBytes && !has_go()) return false;
  own_total_ = entry.total;
  own_.append(unpinned(std::move(bytes)));
  finish_if_complete();
  return true;
}

void ScatterAlgorithm::finish_if_complete() {
  if (!called_ || !own_total_ || own_.size() != *own_total_) return;
  result_ = std::move(own_);
  done_ = true;
}

}  // namespace banyan::node
