// The one exception type of Banyan. what() is a sentence for the person who has to act on it:
//
//   rank 3 on node7: registration: missing 1 of 8: 5 after 30 s; see whether they were started with this job's
//   rendezvous node1:4242 and can reach it
//   ^ who speaks     ^ phase       ^ what happened, with the ranks, the host and the remedy
//
// Of a communicator: "rank 3 on node7 (rank 1 of 4 in a communicator): running: ..."; its text and ranks() have the
// ranks of the job.
//
// Two more forms: before init() nobody knows who speaks ("banyan: BANYAN_RANK is "x", which is not ..."), and a call
// that breaks the rules has `misuse` for a phase ("rank 3 on node7: misuse: start() was called a second time: ...").
//
// A program that wants to react rather than print asks code(), ranks(), host() and phase().
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace banyan {

// What happened. Values are stable from release to release.
enum class ErrorCode : std::uint8_t {
  timed_out = 1,         // a deadline passed; ranks() are those that are missing, where that is known
  rank_lost = 2,         // a connection to a rank broke; ranks() are the lost
  rank_left = 3,         // a rank closed before this operation could end
  duplicate_rank = 4,    // two living processes have the same rank
  wrong_world_size = 5,  // ranks disagree on the number of ranks
  wrong_job = 6,         // the other side belongs to another job
  wrong_secret = 7,      // the other side could not prove that it knows the job secret
  wrong_version = 8,     // the other side speaks another version of the protocol
  unreachable = 9,       // no way to connect to where the tree says that one should
  address_in_use = 10,   // a listener could not be bound
  bad_address = 11,      // an address that this rank shall listen at means nothing here: the name of the rendezvous at
                         // rank 0, or in BANYAN_HOSTS, did not resolve until start_timeout; or BANYAN_INTERFACE is not
                         // here. One that can't be read is misuse
  mismatch = 12,         // ranks called different operations (what() names both calls), or a value of another size came
  misuse = 13,           // this program broke the rules of the API, or a variable can't be read; nothing was changed
  too_large = 14,        // more bytes than a limit allows
  closed = 15,           // the bootstrap was closed on this rank while the operation ran
  protocol = 16,         // an authenticated peer sent what the protocol does not allow
  resources = 17,        // the system refused: descriptors, memory, threads
};

// When in the life of the job it happened. Values are stable from release to release.
enum class ErrorPhase : std::uint8_t {
  setup = 0,         // before anything was sent
  join = 1,          // finding the parent in the tree
  registration = 2,  // waiting until every rank has come
  commit = 3,        // handing the table to every rank; not used in this version
  running = 4,       // operations
  closing = 5,       // after close() was called
};

const char* to_string(ErrorCode code) noexcept;    // "timed_out"
const char* to_string(ErrorPhase phase) noexcept;  // "join"

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, ErrorPhase phase, const std::string& what, std::vector<int> ranks = {}, std::string host = {});
  ~Error() override;
  Error(const Error&) noexcept;
  Error& operator=(const Error&) noexcept;

  ErrorCode code() const noexcept { return code_; }
  ErrorPhase phase() const noexcept { return phase_; }
  // The ranks that it is about: the missing, the lost, the duplicate. Ascending; empty where none is to blame. At most
  // the first 65,536 of them; what() has them as ranges.
  const std::vector<int>& ranks() const noexcept;
  // The host of the first of ranks(), empty where it is not known.
  const std::string& host() const noexcept;

 private:
  struct Details;
  ErrorCode code_;
  ErrorPhase phase_;
  std::shared_ptr<const Details> details_;  // shared, so that copying an exception can't throw
};

}  // namespace banyan
