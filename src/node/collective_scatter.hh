// Scatter: the operation's root sends every rank its part as entries; each node hands them to the next hops.
#pragma once

#include <map>

#include "node/collective_algorithm.hh"
#include "node/collective_entries.hh"

namespace banyan::node {

class ScatterAlgorithm : public CollectiveAlgorithm {
 public:
  using CollectiveAlgorithm::CollectiveAlgorithm;
  void start(Collective call) override;
  bool deferred() const override { return deferred_; }
  void on_go() override;
  bool on_data(LinkId from, const wire::Collective& head, const Payload& tail) override;
  bool finished() const override { return done_; }

 private:
  bool is_source() const { return head_.call.root == self(); }
  void send_parts();
  bool accept_own(const Entry& entry, Payload bytes);
  void finish_if_complete();

  std::vector<Payload> parts_;  // the source's
  std::optional<std::uint64_t> own_total_;
  Payload own_;
  bool called_ = false;
  bool deferred_ = false;
  bool done_ = false;
};

// Takes entries apart and passes each on; those of this rank go to `own(entry, bytes) -> bool`. False: they break the
// protocol.
template <typename Own>
bool distribute_entries(CollectiveLinks& links, LinkId from, const wire::Collective& head, const Payload& tail,
                        Own own) {
  if (tail.empty() || tail.size() > kMaxCollectiveTail) return false;
  std::map<LinkId, EntryPacker> packers;
  PayloadCursor cursor(tail);
  Payload run;  // consecutive entries with the same next hop
  LinkId run_hop = kNoLink;
  const auto end_run = [&] {
    if (run_hop != kNoLink && !run.empty()) {
      packers[run_hop].add_packed(run, [&](const Payload& full) { links.send_data(run_hop, head, full, from); });
    }
    run = {};
  };
  PayloadCursor whole(tail);
  while (cursor.remaining() > 0) {
    const auto entry = read_entry(cursor, links.world_size());
    if (!entry) return false;
    if (entry->rank == links.self()) {
      whole.skip(Entry::kBytes);
      if (!own(*entry, whole.take(entry->bytes))) return false;
    } else {
      const LinkId hop = links.topology().next_hop(entry->rank);
      if (hop == from) return false;
      if (hop != run_hop) end_run();
      run_hop = hop;
      run.append(whole.take(Entry::kBytes + entry->bytes));
    }
    cursor.skip(entry->bytes);
  }
  end_run();
  for (auto& [hop, packer] : packers) {
    if (!packer.empty()) links.send_data(hop, head, packer.take(), from);
  }
  return true;
}

}  // namespace banyan::node
