// What the network, a peer or a deadline did to an operation: an outcome value, never an exception.
// It carries what an operator needs: which ranks, on which host, in which phase, and one sentence with the remedy.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/rank_set.hh"

namespace banyan {

// The values are the wire's and the public API's: append only.
enum class FailureCode : std::uint8_t {
  timed_out = 1,         // a deadline passed; `ranks` are those that are missing
  rank_lost = 2,         // a registered rank's connection broke; `ranks` are the lost
  rank_left = 3,         // a rank closed before this operation could end
  duplicate_rank = 4,    // another living process has this rank
  wrong_world_size = 5,  // ranks disagree on N
  wrong_job = 6,         // the peer belongs to another job
  wrong_secret = 7,      // the peer could not prove that it knows the job secret
  wrong_version = 8,     // the peer speaks another protocol version
  unreachable = 9,       // no way to connect to where the tree says one should
  address_in_use = 10,   // a listener could not be bound
  bad_address = 11,      // an address to listen at means nothing here: a name that never resolved, no such interface
  mismatch = 12,         // ranks called different operations; the text names both calls
  misuse = 13,           // the caller broke the API's rules; nothing was changed
  too_large = 14,        // more bytes than a named limit allows
  closed = 15,           // the bootstrap was closed on this rank while the operation ran
  protocol = 16,         // an authenticated peer sent what the protocol does not allow
  resources = 17,        // the system refused: descriptors, memory, threads
};

// Where in a job's life something happened. The values are the wire's: append only.
enum class Phase : std::uint8_t { setup = 0, join = 1, registration = 2, commit = 3, running = 4, closing = 5 };

// Whether the number stands for a code.
bool known(FailureCode code);
const char* to_string(FailureCode code);
const char* to_string(Phase phase);

struct Failure {
  FailureCode code = FailureCode::protocol;
  Phase phase = Phase::setup;
  RankSet ranks;     // the ranks concerned, often one
  std::string host;  // of the first of them, where known
  std::string text;  // one sentence, without the ranks' own prefix
};

}  // namespace banyan
