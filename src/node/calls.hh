// What the application asks of its rank, and what it gets back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.hh"
#include "base/failure.hh"
#include "base/ids.hh"
#include "base/limits.hh"
#include "base/time.hh"
#include "node/parts.hh"
#include "wire/collective.hh"
#include "wire/point_to_point.hh"

namespace banyan::node {

// In a split: this rank will be in none of the communicators that come of it.
inline constexpr std::int32_t kNoColor = -1;

// Every rank of the communicator makes the same collective calls in the same order.
//   broadcast  root: contribution is the message            result: the message, at every rank
//   allgather  contribution: this rank's bytes              result: one payload per rank, by rank
//   gather     contribution: this rank's bytes              result: one payload per rank at root, none elsewhere
//   scatter    root: `parts` holds world-size payloads      result: this rank's part
//   reduce     contribution: count elements                 result: the vector at root, empty elsewhere
//   allreduce  contribution: count elements                 result: the vector
//   barrier    -                                            result: -
//   split      contribution: color 4, key 4 (signed)        result: of the communicator that this rank is in now, its
//   id 8,
//                                                           then the job's rank of each member 4, by their new ranks;
//                                                           empty for kNoColor
//   alltoall   `parts` holds world-size payloads            result: one payload per rank, by rank: what it had for this
//   reduce_scatter  contribution: count elements            result: this rank's block of the vector
//   scan       contribution: count elements                 result: the vector of ranks 0 to this one
//   exclusive_scan  contribution: count elements            result: of ranks 0 to the one before; at rank 0 empty
struct Collective {
  CommunicatorId communicator = kWorld;
  wire::CallSignature call;
  Payload contribution;
  std::vector<Payload> parts;  // scatter's root, and alltoall
  // reduce_scatter: how many elements each rank gets, in the order of ranks; empty: all the same.
  std::vector<std::uint64_t> counts = {};
};

struct Send {
  Rank target{};
  wire::Tag tag;
  Payload message;
};

struct Receive {
  Rank source{};  // kNoRank: any rank
  wire::Tag tag;
  std::uint64_t most_bytes = kMaxMessageBytes;  // a longer message fails it, and is left to the next
};

// Asks whether a Receive of the same would take a message that has been announced here. Completes at once: with the
// message's size in 8 bytes, or with no bytes if there is none. Fails if there is none and its source is known to have
// left; whether it has is asked for, so whoever probes for seconds learns it.
struct Probe {
  Rank source{};  // kNoRank: any rank
  wire::Tag tag;
};

// Asks for a direct link to `peer`. Completes once it is open; at once if there is one, or the peer is a neighbour in
// the tree or this rank. If it fails, messages are routed as before.
struct Dial {
  Rank peer{};
};

// Brings the blob of `owner`: at once if it is in the table; else its owner is asked for it.
struct FetchBlob {
  Rank owner{};
};

// Makes a communicator of these ranks of `parent`, which all of them do, in the same order where they do it more than
// once, and nobody else. Completes at once, as a split does: there is no need to talk to the others.
struct MakeCommunicator {
  CommunicatorId parent = kWorld;
  std::vector<Rank> ranks;  // each once, this one among them; by their new ranks
  // Counted apart from the others: the application asked for a barrier of these ranks, and knows nothing of a
  // communicator.
  bool for_barriers = false;
};

// This rank needs the communicator no longer. Completes at once; what others need of this rank there goes on.
struct LeaveCommunicator {
  CommunicatorId communicator{};
};

// Asks the keeper of a key in the store.
//   put          value                         result: no bytes, once the keeper has it
//   get          waits until there is one      result: the value
//   find                                       result: a part with the value, or no part
//   add          delta                         result: the counter's new value, 8 bytes
//   compare_set  value, expected               result: a part of 1 byte, whether it was set; then the value that is
//   there
//                                              now, if there is one
//   remove                                     result: 1 byte, whether it was there
struct StoreCall {
  enum class What : std::uint8_t { put, get, find, add, compare_set, remove };
  What what{};
  std::string key;
  Slice value;
  std::optional<Slice> expected;  // none: nothing may be there
  std::int64_t delta = 0;

  const char* name() const;
  // What is wrong with it by itself.
  std::optional<Failure> misuse() const;
};

// Ends another call of this rank as if its deadline had passed, if it is still pending. Completes at once.
struct Expire {
  CallId call{};
};

// Says that this rank is done. Completes when nobody below needs it any more or Config::close_timeout has passed.
struct Close {};

struct Call {
  CallId id{};
  Time deadline = kNever;
  std::variant<Collective, Send, Receive, Probe, Dial, StoreCall, FetchBlob, MakeCommunicator, LeaveCommunicator,
               Expire, Close>
      operation;
};

// A completed call: the bytes it asked for, or what prevented it.
struct Completion {
  CallId id{};
  std::variant<Payload, Parts, Failure> result;
  Rank source = kNoRank;  // of the message, for Receive and Probe
};

// Facts about the formed job, for reports.
struct Statistics {
  std::uint32_t hosts = 0;
  std::uint32_t depth = 0;         // of the deepest leader; 0 is the root
  std::uint32_t tree_links = 0;    // at this rank
  std::uint32_t local_links = 0;   // at this rank
  std::uint32_t direct_links = 0;  // at this rank
  std::uint64_t direct_links_opened = 0;
  std::uint64_t direct_links_lost = 0;  // ended by the other side, or broken
  std::uint64_t turned_away = 0;        // connections refused: strangers, wrong secret, wrong job
  std::uint64_t tree_links_peak = 0;
  std::uint64_t unexpected_bytes = 0;  // held now for receives not posted yet
  // Of the start, from its beginning: when this rank had its leader or parent (0 at rank 0), when the first of the
  // table was there, and when the whole was.
  Duration placed{};
  Duration table_begun{};
  Duration formed{};
};

}  // namespace banyan::node
