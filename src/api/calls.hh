// From an operation as the public header describes it to the node's call.
#pragma once

#include <banyan/hierarchical_bootstrap.hpp>

#include "node/calls.hh"

namespace banyan::api {

const char* name_of(detail::Call::Kind kind);  // "broadcast"
bool is_collective(detail::Call::Kind kind);
// What the rank in the call is: "root", "target", "source", "peer"; null where the operation has none.
const char* role_of(detail::Call::Kind kind);

// Copies the bytes that `self` contributes. The call's ranks and parts have been checked; its deadline is left open.
node::Call node_call(const detail::Call& call, int self);

}  // namespace banyan::api
