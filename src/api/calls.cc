#include "api/calls.hh"

namespace banyan::api {
namespace {

using Kind = detail::Call::Kind;

static_assert(static_cast<int>(Kind::allreduce) == static_cast<int>(wire::CollectiveKind::allreduce));
static_assert(static_cast<int>(Reduction::bit_xor) == static_cast<int>(wire::Reduction::bit_xor));
static_assert(static_cast<int>(ElementType::float64) == static_cast<int>(wire::ElementType::float64));

Payload copy_of(const MessageView& message) { return Payload::copy(Bytes(message.data(), message.size())); }

node::Collective collective(const detail::Call& call, int self) {
  node::Collective collective;
  collective.call.kind = static_cast<wire::CollectiveKind>(call.kind);
  if (role_of(call.kind) != nullptr) collective.call.root = static_cast<Rank>(call.rank);
  if (call.kind == Kind::reduce || call.kind == Kind::allreduce) {
    collective.call.reduction = static_cast<wire::Reduction>(call.reduction);
    collective.call.element = static_cast<wire::ElementType>(call.element);
    collective.call.count = call.count;
  }
  const bool only_root_gives = call.kind == Kind::broadcast || call.kind == Kind::scatter;
  if (only_root_gives && self != call.rank) return collective;
  collective.contribution = copy_of(call.message);
  if (call.kind == Kind::scatter) {
    for (const MessageView& part : *call.parts) collective.parts.push_back(copy_of(part));
  }
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
  if (kind == Kind::put) return "put";
  if (kind == Kind::get) return "get";
  if (kind == Kind::find) return "find";
  if (kind == Kind::add) return "add";
  if (kind == Kind::compare_set) return "compare_set";
  if (kind == Kind::remove) return "remove";
  return wire::to_string(static_cast<wire::CollectiveKind>(kind));
}

bool is_collective(Kind kind) { return kind < Kind::send; }

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
    case Kind::put:
    case Kind::get:
    case Kind::find:
    case Kind::add:
    case Kind::compare_set:
    case Kind::remove: break;
  }
  return nullptr;
}

node::Call node_call(const detail::Call& call, int self) {
  node::Call made;
  if (call.kind == Kind::send) {
    made.operation = node::Send{static_cast<Rank>(call.rank), call.tag, copy_of(call.message)};
  } else if (call.kind == Kind::recv) {
    made.operation = node::Receive{static_cast<Rank>(call.rank), call.tag};
  } else if (call.kind == Kind::recv_any) {
    made.operation = node::Receive{kNoRank, call.tag};
  } else if (call.kind == Kind::probe) {
    made.operation = node::Probe{static_cast<Rank>(call.rank), call.tag};
  } else if (call.kind == Kind::probe_any) {
    made.operation = node::Probe{kNoRank, call.tag};
  } else if (call.kind == Kind::connect) {
    made.operation = node::Dial{static_cast<Rank>(call.rank)};
  } else if (is_of_store(call.kind)) {
    made.operation = store_call(call);
  } else {
    made.operation = collective(call, self);
  }
  return made;
}

}  // namespace banyan::api
