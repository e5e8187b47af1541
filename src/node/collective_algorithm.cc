#include "node/collective_algorithm.hh"

#include <algorithm>

#include "base/assert.hh"
#include "node/collective_broadcast.hh"
#include "node/collective_exchange.hh"
#include "node/collective_gather.hh"
#include "node/collective_reduction.hh"
#include "node/collective_scan.hh"
#include "node/collective_scatter.hh"

namespace banyan::node {

using wire::CollectiveKind;

void CollectiveAlgorithm::on_exchange_failed(Failure failure) {
  // More bytes than there can be if both have made the same call.
  if (failure.code == FailureCode::protocol) failure.code = FailureCode::mismatch;
  failure.text = head_.call.to_string() + ": " + failure.text;
  failure_ = std::move(failure);
}

Failure CollectiveAlgorithm::unfit(Rank from, std::uint64_t bytes, std::uint64_t due) const {
  const Rank giver = topology().job_rank(from);
  return {FailureCode::mismatch, Phase::running, RankSet::single(giver), topology().table().host(giver),
          "rank " + std::to_string(raw(giver)) + " gave " + std::to_string(bytes) + " bytes to " +
              head_.call.to_string() + " where rank " + std::to_string(raw(topology().job_rank(self()))) +
              " was to get " + std::to_string(due)};
}

std::uint64_t eager_bytes(CollectiveKind kind, std::uint32_t world_size) {
  const bool many_to_one = kind == CollectiveKind::gather || wire::gathers_for_all(kind) ||
                           kind == CollectiveKind::reduce || kind == CollectiveKind::allreduce ||
                           kind == CollectiveKind::reduce_scatter;
  return many_to_one ? std::min(kEagerCollectiveBytes, kEagerManyToOneBytes / world_size) : kEagerCollectiveBytes;
}

static bool reduces_in_pipelines(const CollectiveLinks& links, const wire::CallSignature& call) {
  const std::uint64_t bytes = call.count * wire::element_bytes(call.element);
  return bytes > eager_bytes(call.kind, links.world_size()) &&
         goes_between_hosts(call.kind, bytes, links.topology().hosts(), links.topology().fan_out());
}

std::unique_ptr<CollectiveAlgorithm> make_algorithm(CollectiveLinks& links, CollectivePeers& peers,
                                                    const wire::Collective& head) {
  switch (head.call.kind) {
    case CollectiveKind::barrier: return std::make_unique<BarrierAlgorithm>(links, head);
    case CollectiveKind::broadcast: return std::make_unique<BroadcastAlgorithm>(links, peers, head);
    case CollectiveKind::allgather:
    case CollectiveKind::split:
    case CollectiveKind::gather: return std::make_unique<GatherAlgorithm>(links, peers, head);
    case CollectiveKind::scatter: return std::make_unique<ScatterAlgorithm>(links, head);
    case CollectiveKind::reduce:
    case CollectiveKind::allreduce:
      if (links.topology().leads(links.self()) && reduces_in_pipelines(links, head.call))
        return std::make_unique<PipelinedReductionAlgorithm>(links, peers, head);
      return std::make_unique<ReductionAlgorithm>(links, head);
    case CollectiveKind::alltoall: return std::make_unique<AlltoallAlgorithm>(links, peers, head);
    case CollectiveKind::reduce_scatter:
      if (scatters_over_tree(head.call, links.world_size()))
        return std::make_unique<TreeReduceScatterAlgorithm>(links, head);
      return std::make_unique<ReduceScatterAlgorithm>(links, peers, head);
    case CollectiveKind::scan:
    case CollectiveKind::exclusive_scan: return std::make_unique<ScanAlgorithm>(links, peers, head);
  }
  BANYAN_ASSERT(!"a call that CallSignature::valid() does not admit");
  return nullptr;
}

bool pass_on(CollectiveLinks& links, LinkId from, const wire::Collective& head, const Payload& tail) {
  const Rank root = head.call.root;
  switch (head.call.kind) {
    case CollectiveKind::gather: return root != links.self() && pass_on_entries(links, from, head, tail, root);
    case CollectiveKind::scatter:
      if (root == links.self() || from != links.topology().next_hop(root)) return false;
      return distribute_entries(links, from, head, tail, [](const Entry&, const Payload&) { return false; });
    case CollectiveKind::reduce: {
      if (root == links.self() || links.is_root() || from != links.parent()) return false;
      const LinkId hop = links.topology().next_hop(root);
      if (hop == from || !is_chunk(head, tail)) return false;
      if (hop != kNoLink) links.send_data(hop, head, tail, from);
      return true;
    }
    default: return false;
  }
}

}  // namespace banyan::node
