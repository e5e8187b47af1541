#include "api/calls.hh"

#include <optional>

#include "driver/sockets/shared_memory.hh"

namespace banyan::api {
namespace {

using Kind = detail::Call::Kind;

static_assert(static_cast<int>(Reduction::bit_xor) == static_cast<int>(wire::Reduction::bit_xor));
static_assert(static_cast<int>(ElementType::float64) == static_cast<int>(wire::ElementType::float64));

// What there is to say of each kind of call.
struct Facts {
  const char* name;                                // as the application calls it
  const char* role;                                // of the rank in the call; null: there is none
  std::optional<wire::CollectiveKind> collective;  // none: it is no collective
};

Facts facts_of(Kind kind) {
  using enum wire::CollectiveKind;
  switch (kind) {
    case Kind::barrier: return {"barrier", nullptr, barrier};
    case Kind::broadcast: return {"broadcast", "root", broadcast};
    case Kind::allgather: return {"allgather", nullptr, allgather};
    case Kind::gather: return {"gather", "root", gather};
    case Kind::scatter: return {"scatter", "root", scatter};
    case Kind::reduce: return {"reduce", "root", reduce};
    case Kind::allreduce: return {"allreduce", nullptr, allreduce};
    case Kind::alltoall: return {"alltoall", nullptr, alltoall};
    case Kind::reduce_scatter: return {"reduce_scatter", nullptr, reduce_scatter};
    case Kind::scan: return {"scan", nullptr, scan};
    case Kind::exclusive_scan: return {"exclusive_scan", nullptr, exclusive_scan};
    case Kind::split: return {"split", nullptr, split};
    case Kind::send: return {"send", "target", {}};
    case Kind::recv: return {"recv", "source", {}};
    case Kind::recv_any: return {"recv_any", nullptr, {}};
    case Kind::probe: return {"probe", "source", {}};
    case Kind::probe_any: return {"probe_any", nullptr, {}};
    case Kind::connect: return {"connect", "peer", {}};
    case Kind::group: return {"group", nullptr, {}};
    case Kind::barrier_group: return {"barrier", nullptr, {}};
    case Kind::peer_blob: return {"peer_blob", "rank", {}};
    case Kind::put: return {"put", nullptr, {}};
    case Kind::get: return {"get", nullptr, {}};
    case Kind::find: return {"find", nullptr, {}};
    case Kind::add: return {"add", nullptr, {}};
    case Kind::compare_set: return {"compare_set", nullptr, {}};
    case Kind::remove: return {"remove", nullptr, {}};
  }
  return {"unknown", nullptr, {}};
}

Bytes bytes_of(const MessageView& message) { return {message.data(), message.size()}; }
// A copy, unless the call keeps them.
Payload payload_of(const detail::Call& call, const MessageView& message) {
  return call.keeper ? Payload(Slice(call.keeper, bytes_of(message))) : Payload::copy(bytes_of(message));
}

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
  if (call.kind == Kind::split) {
    collective.contribution = wish_of(call);
  } else if (call.kind == Kind::broadcast) {
    collective.contribution = call.keeper ? driver::share_memory(payload_of(call, call.message))
                                          : driver::copy_to_share(bytes_of(call.message));
  } else {
    collective.contribution = payload_of(call, call.message);
  }
  if (call.parts != nullptr) {
    for (const MessageView& part : *call.parts) collective.parts.push_back(payload_of(call, part));
  }
  if (call.counts != nullptr) collective.counts.assign(call.counts->begin(), call.counts->end());
  return collective;
}

bool is_of_store(Kind kind) { return kind >= Kind::put; }

node::StoreCall store_call(const detail::Call& call) {
  node::StoreCall made;
  made.what = static_cast<node::StoreCall::What>(static_cast<int>(call.kind) - static_cast<int>(Kind::put));
  made.key = call.key;
  made.value = Slice::copy(bytes_of(call.message));
  if (call.expected != nullptr) made.expected = Slice::copy(bytes_of(*call.expected));
  made.delta = call.delta;
  return made;
}
static_assert(static_cast<int>(Kind::remove) - static_cast<int>(Kind::put) ==
              static_cast<int>(node::StoreCall::What::remove));

}  // namespace

const char* name_of(Kind kind) { return facts_of(kind).name; }
const char* role_of(Kind kind) { return facts_of(kind).role; }
bool is_collective(Kind kind) { return facts_of(kind).collective.has_value(); }
bool makes_communicator(Kind kind) { return kind == Kind::split || kind == Kind::group || kind == Kind::barrier_group; }

Rank job_rank(int rank, const Group* group) {
  return static_cast<Rank>(group == nullptr ? rank : group->job_rank(rank));
}

node::Call node_call(const detail::Call& call, int self, const Group* group) {
  const CommunicatorId id = group == nullptr ? kWorld : group->id();
  const wire::Tag tag(call.tag, wire::Space::application, id);
  node::Call made;
  if (call.kind == Kind::send) {
    made.operation = node::Send{job_rank(call.rank, group), tag, payload_of(call, call.message)};
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
  } else if (call.kind == Kind::peer_blob) {
    made.operation = node::FetchBlob{job_rank(call.rank, group)};
  } else if (is_of_store(call.kind)) {
    made.operation = store_call(call);
  } else {
    made.operation = collective(*facts_of(call.kind).collective, call, self, group);
  }
  return made;
}

}  // namespace banyan::api
