// Canaries: deliberate defects, each of which the swarm must notice (tests/swarm/canaries.cc). They exist only in a
// build of their own, with BANYAN_CANARIES, where one of them sings at a time; everywhere else canary() is false at
// compile time.
#pragma once

#include <cstdint>

namespace banyan {

// tests/CMakeLists.txt reads the names from here.
enum class Canary : std::uint8_t {
  none,
  lost_child_remembered,   // records of a child that is gone go up all the same
  early_child_forgotten,   // a child that came before its parent knew its own place is never let in
  refusal_believed,        // a rendezvous that refuses is not asked again
  silence_believed,        // a connection that never answers is waited for
  root_given_up_at_once,   // a broken connection to rank 0 is not made again
  verdict_kept,            // a rank that fails tells nobody below
  root_leaves_at_once,     // a failed root does not wait for those who have yet to hear why
  vote_too_early,          // a relay votes before its last child has
  credit_lost,             // a receiver never asks for more of a long message
  fragment_order_ignored,  // a part of a message is put before those that came first
  goodbye_ignored,         // a child that leaves in good order counts as lost
  way_lost_unnoticed,      // what went over a direct link that has ended is not sent again
  member_leaves_at_once,   // a rank that closes takes leave of those above it in a communicator, not waiting for others
  waiter_forgotten,        // a value that comes is not told to those who wait for it
  enclosure_forgotten,     // the last rank of a host is not given what the others share
  exchange_misplaced,      // an alltoall takes all parts for those of the last rank
  scan_round_skipped,      // a scan leaves out every other round
  segments_swapped,        // a long stream's segments are put together in another order than they were cut
  ring_block_kept,         // what came round a ring of hosts is not passed on
  blob_mistaken,           // whoever wants a blob is given another one that has been asked for already
};

#ifdef BANYAN_CANARIES
inline Canary singing_canary = Canary::none;
inline bool canary(Canary which) { return singing_canary == which; }
#else
constexpr bool canary(Canary) { return false; }
#endif

}  // namespace banyan
