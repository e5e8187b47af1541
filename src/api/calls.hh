// From an operation as the public header describes it to the node's call.
#pragma once

#include <banyan/hierarchical_bootstrap.hpp>

#include "api/group.hh"
#include "node/calls.hh"

namespace banyan::api {

const char* name_of(detail::Call::Kind kind);  // "broadcast"
bool is_collective(detail::Call::Kind kind);
// Its result is that of a split (node/calls.hh).
bool makes_communicator(detail::Call::Kind kind);
// What the rank in the call is: "root", "target", "source", "peer", "rank"; null where the operation has none.
const char* role_of(detail::Call::Kind kind);

// Copies the bytes that `self` (a rank of the job) contributes. The call's ranks and parts, which are those of `group`
// (null: the job), have been checked; its deadline is left open.
node::Call node_call(const detail::Call& call, int self, const Group* group);
// `group`'s rank, as the job numbers it.
Rank job_rank(int rank, const Group* group);

}  // namespace banyan::api
