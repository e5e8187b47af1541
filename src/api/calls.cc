#include "api/calls.hh"

namespace banyan::api {
namespace {

using Kind = detail::Call::Kind;

static_assert(static_cast<int>(Kind::allreduce) == static_cast<int>(wire::CollectiveKind::allreduce));
static_assert(static_cast<int>(Reduction::bit_xor) == static_cast<int>(wire::Reduction::bit_xor));
static_assert(static_cast<int>(ElementType::float64) == static_cast<int>(wire::ElementType::float64));

wire::CollectiveKind kind_of(Kind kind) {
  return kind == Kind::split ? wire::CollectiveKind::split : static_cast<wire::CollectiveKind>(kind);
}

Payload copy_of(const MessageView& message) { return Payload::copy(Bytes(message.data(), message.size())); }

Payload wish_of(const detail::Call& split) {
  Writer writer;
  writer.number(static_cast<std::int32_t>(split.color));
  writer.number(static_cast<std::int32_t>(split.key));
  return Payload(std::move(writer).finish());
}

node::Collective collective(const detail::Call& call, int self, const Group* group) {
  node::Collective collective;
  if (group != nullptr) collective.communicator = group->id();
  collective.call.kind = kind_of(call.kind);
  if (role_of(call.kind) != nullptr) collective.call.root = static_cast<Rank>(call.rank);
  if (call.kind == Kind::reduce || call.kind == Kind::allreduce) {
    collective.call.reduction = static_cast<wire::Reduction>(call.reduction);
    collective.call.element = static_cast<wire::ElementType>(call.element);
    collective.call.count = call.count;
  }
  const bool only_root_gives = call.kind == Kind::broadcast || call.kind == Kind::scatter;
  if (only_root_gives && (group == nullptr ? self : group->rank()) != call.rank) return collective;
  collective.contribution = call.kind == Kind::split ? wish_of(call) : copy_of(call.message);
  if (call.kind == Kind::scatter) {
    for (const MessageView& part : *call.parts) collective.parts.push_back(copy_of(part));
  }
  return collective;
}

}  // namespace

const char* name_of(Kind kind) {
  if (kind == Kind::send) return "send";
  if (kind == Kind::recv) return "recv";
  if (kind == Kind::recv_any) return "recv_any";
  if (kind == Kind::probe) return "probe";
  if (kind == Kind::probe_any) return "probe_any";
  if (kind == Kind::connect) return "connect";
  if (kind == Kind::group) return "group";
  return wire::to_string(kind_of(kind));
}

bool is_collective(Kind kind) { return kind < Kind::send || kind == Kind::split; }

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
    case Kind::recv_any:
    case Kind::probe_any:
    case Kind::split:
    case Kind::group: break;
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
  } else if (call.kind == Kind::group) {
    node::MakeCommunicator make{id, {}};
    for (const int rank : *call.ranks) make.ranks.push_back(static_cast<Rank>(rank));
    made.operation = std::move(make);
  } else {
    made.operation = collective(call, self, group);
  }
  return made;
}

}  // namespace banyan::api
