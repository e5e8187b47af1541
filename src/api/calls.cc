#include "api/calls.hh"

#include <optional>

namespace banyan::api {
namespace {

using Kind = detail::Call::Kind;

static_assert(static_cast<int>(Reduction::bit_xor) == static_cast<int>(wire::Reduction::bit_xor));
static_assert(static_cast<int>(ElementType::float64) == static_cast<int>(wire::ElementType::float64));

// None: it is no collective.
std::optional<wire::CollectiveKind> collective_kind(Kind kind) {
  switch (kind) {
    case Kind::barrier: return wire::CollectiveKind::barrier;
    case Kind::broadcast: return wire::CollectiveKind::broadcast;
    case Kind::allgather: return wire::CollectiveKind::allgather;
    case Kind::gather: return wire::CollectiveKind::gather;
    case Kind::scatter: return wire::CollectiveKind::scatter;
    case Kind::reduce: return wire::CollectiveKind::reduce;
    case Kind::allreduce: return wire::CollectiveKind::allreduce;
    case Kind::alltoall: return wire::CollectiveKind::alltoall;
    case Kind::reduce_scatter: return wire::CollectiveKind::reduce_scatter;
    case Kind::scan: return wire::CollectiveKind::scan;
    case Kind::exclusive_scan: return wire::CollectiveKind::exclusive_scan;
    case Kind::split: return wire::CollectiveKind::split;
    case Kind::group:
    case Kind::barrier_group:
    case Kind::send:
    case Kind::recv:
    case Kind::recv_any:
    case Kind::probe:
    case Kind::probe_any:
    case Kind::connect:
    case Kind::put:
    case Kind::get:
    case Kind::find:
    case Kind::add:
    case Kind::compare_set:
    case Kind::remove: break;
  }
  return std::nullopt;
}

Payload copy_of(const MessageView& message) { return Payload::copy(Bytes(message.data(), message.size())); }

Payload wish_of(const detail::Call& split) {
  Writer writer;
  writer.number(static_cast<std::int32_t>(split.color));
  writer.number(static_cast<std::int32_t>(split.order));
  return Payload(std::move(writer).finish());
}

node::Collective collective(wire::CollectiveKind kind, const detail::Call& call, int self, const Group* group) {
  node::Collective collective;
  if (group != nullptr) collective.communicator = group->id();
  collective.call.kind = kind;
  if (role_of(call.kind) != nullptr) collective.call.root = static_cast<Rank>(call.rank);
  if (wire::is_reduction(kind)) {
    collective.call.reduction = static_cast<wire::Reduction>(call.reduction);
    collective.call.element = static_cast<wire::ElementType>(call.element);
    collective.call.count = call.count;
  }
  const bool only_root_gives = call.kind == Kind::broadcast || call.kind == Kind::scatter;
  if (only_root_gives && (group == nullptr ? self : group->rank()) != call.rank) return collective;
  collective.contribution = call.kind == Kind::split ? wish_of(call) : copy_of(call.message);
  if (call.parts != nullptr) {
    for (const MessageView& part : *call.parts) collective.parts.push_back(copy_of(part));
  }
  if (call.counts != nullptr) collective.counts.assign(call.counts->begin(), call.counts->end());
  return collective;
}

bool is_of_store(Kind kind) { return kind >= Kind::put; }

node::StoreCall store_call(const detail::Call& call) {
  const auto bytes_of = [](const MessageView& view) { return Slice::copy(Bytes(view.data(), view.size())); };
  node::StoreCall made;
  made.what = static_cast<node::StoreCall::What>(static_cast<int>(call.kind) - static_cast<int>(Kind::put));
  made.key = call.key;
  made.value = bytes_of(call.message);
  if (call.expected != nullptr) made.expected = bytes_of(*call.expected);
  made.delta = call.delta;
  return made;
}
static_assert(static_cast<int>(Kind::remove) - static_cast<int>(Kind::put) ==
              static_cast<int>(node::StoreCall::What::remove));

}  // namespace

const char* name_of(Kind kind) {
  if (kind == Kind::send) return "send";
  if (kind == Kind::recv) return "recv";
  if (kind == Kind::recv_any) return "recv_any";
  if (kind == Kind::probe) return "probe";
  if (kind == Kind::probe_any) return "probe_any";
  if (kind == Kind::connect) return "connect";
  if (kind == Kind::group) return "group";
  if (kind == Kind::barrier_group) return "barrier";  // as the application calls it
  if (kind == Kind::put) return "put";
  if (kind == Kind::get) return "get";
  if (kind == Kind::find) return "find";
  if (kind == Kind::add) return "add";
  if (kind == Kind::compare_set) return "compare_set";
  if (kind == Kind::remove) return "remove";
  return wire::to_string(*collective_kind(kind));
}

bool is_collective(Kind kind) { return collective_kind(kind).has_value(); }

bool makes_communicator(Kind kind) { return kind == Kind::split || kind == Kind::group || kind == Kind::barrier_group; }

const char* role_of(Kind kind) {
  switch (kind) {
    case Kind::broadcast:
    case Kind::gather:
    case Kind::scatter:
    case Kind::reduce: return "root";
    case Kind::send: return "target";
    case Kind::recv:
    case Kind::probe: return "source";
    case Kind::connect: return "peer";
    case Kind::barrier:
    case Kind::allgather:
    case Kind::allreduce:
    case Kind::alltoall:
    case Kind::reduce_scatter:
    case Kind::scan:
    case Kind::exclusive_scan:
    case Kind::recv_any:
    case Kind::probe_any:
    case Kind::split:
    case Kind::group:
    case Kind::barrier_group:
    case Kind::put:
    case Kind::get:
    case Kind::find:
    case Kind::add:
    case Kind::compare_set:
    case Kind::remove: break;
  }
  return nullptr;
}

Rank job_rank(int rank, const Group* group) {
  return static_cast<Rank>(group == nullptr ? rank : group->job_rank(rank));
}

node::Call node_call(const detail::Call& call, int self, const Group* group) {
  const CommunicatorId id = group == nullptr ? kWorld : group->id();
  const wire::Tag tag(call.tag, wire::Space::application, id);
  node::Call made;
  if (call.kind == Kind::send) {
    made.operation = node::Send{job_rank(call.rank, group), tag, copy_of(call.message)};
  } else if (call.kind == Kind::recv) {
    made.operation = node::Receive{job_rank(call.rank, group), tag};
  } else if (call.kind == Kind::recv_any) {
    made.operation = node::Receive{kNoRank, tag};
  } else if (call.kind == Kind::probe) {
    made.operation = node::Probe{job_rank(call.rank, group), tag};
  } else if (call.kind == Kind::probe_any) {
    made.operation = node::Probe{kNoRank, tag};
  } else if (call.kind == Kind::connect) {
    made.operation = node::Dial{job_rank(call.rank, group)};
  } else if (call.kind == Kind::group || call.kind == Kind::barrier_group) {
    node::MakeCommunicator make{id, {}, call.kind == Kind::barrier_group};
    for (const int rank : *call.ranks) make.ranks.push_back(static_cast<Rank>(rank));
    made.operation = std::move(make);
  } else if (is_of_store(call.kind)) {
    made.operation = store_call(call);
  } else {
    made.operation = collective(*collective_kind(call.kind), call, self, group);
  }
  return made;
}

}  // namespace banyan::api
