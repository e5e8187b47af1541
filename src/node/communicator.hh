// The collectives of one communicator at one rank: calls get sequence numbers, votes and contributions go up, results
// come down, any number in flight. The rules stand in docs/protocol.md, "Collectives"; in short:
//
//   vote     A rank's subtree votes for operation s once all its ranks have called it. Votes go up every link in the
//            order of the sequence, among the data and behind all that was sent before `go`.
//   retired  When the root has all votes for s, s is retired: all ranks have called it. Ranks learn that by `go`, by
//            the result of an allgather or allreduce, or by a message of its own. A rank starts operation s only when
//            s < retired + kMaxCollectivesInFlight, which bounds what anybody has to keep for it.
//   go       Tells that all have called, where somebody waits for that: at a barrier, and before more bytes than
//            eager_bytes() are sent to ranks that may not want them yet.
//   failed   Who sees that two ranks made different calls tells the root, the root tells all; the first word counts.
//            Votes go on, so that later operations are not concerned. If a rank has left (rank_left), no operation that
//            lacks its vote can ever be done: that operation and all later ones fail.
//   question Who has not called? The root asks when an operation waits long, and tells all the answers.
//
// A call that ran out of time, or was failed here only, has used up its sequence: the rank goes on to do for the others
// what the operation needs, and drops its own result.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.hh"
#include "node/calls.hh"
#include "node/collective_algorithm.hh"
#include "node/collective_links.hh"
#include "node/collective_peers.hh"
#include "node/collective_roll_call.hh"
#include "node/effects.hh"
#include "node/topology.hh"

namespace banyan::node {

class Communicator {
 public:
  // A split whose bytes are all here. Its call is completed by whoever makes the communicator that comes of it.
  struct Split {
    std::optional<CallId> call;  // none: nobody waits for it here any more
    Sequence sequence{};
    Parts parts;
  };

  // All but `id` outlive this object. `member_links`: of one that is not the whole job.
  Communicator(CommunicatorId id, const Topology& topology, MessageRequests& requests, Effects& effects,
               const Limits& limits, MemberLinks* member_links = nullptr);

  // The operations of Collectives, for one communicator.
  void call(Time now, CallId id, Collective collective, Time deadline);
  bool on_frame(Time now, LinkId from, const wire::Collective& head, const Payload& tail);
  void on_message(MessageDone done);
  bool needs_messages() const;
  void on_child_left(LinkId child);
  // The same for one that has gone without taking leave: what it may have owed for earlier operations won't come.
  void on_child_lost(LinkId child, FailureCode reason);
  // This rank makes no more calls, but does for others what it should.
  void call_no_more();
  void fail_all(const Failure& failure);
  // Fails what the application has pending; the operations go on for the others.
  void end_calls(const Failure& failure);
  // The splits that are done since this was called last: each rank's contribution to them.
  std::vector<Split> take_splits() { return std::exchange(splits_, {}); }
  // In place of the one that a pending call has; false: there is no such call.
  bool set_deadline(CallId id, Time deadline);
  void on_time(Time now);
  Time deadline() const;
  std::size_t operations_kept() const { return operations_.size(); }
  bool owes_bytes() const { return first_owed() != operations_.end(); }
  void give_up_owed();

 private:
  // A place in the order of operations, as a number to count with.
  using Index = std::uint64_t;

  struct PendingCall {
    CallId id{};
    wire::CallSignature call;
    Time since{};
    Time deadline{};
  };
  // Kept from the first sight of an operation until nothing more can come for it.
  struct Operation {
    wire::CallSignature signature;
    Rank caller = kNoRank;  // who made the first call that was seen here; kNoRank: none was
    std::unique_ptr<CollectiveAlgorithm> algorithm;
    std::optional<PendingCall> pending;  // this rank's call, until it is completed
    std::optional<Collective> waiting;   // this rank's call, until it is started
    std::size_t child_votes = 0;
    std::uint64_t bytes = 0;   // a broadcast's, or contributed to an allgather, here and below by who has called
    bool deferred = false;     // somebody below waits for `go`
    bool contested = false;    // a failure was reported; nothing is completed until the root's word comes
    bool failed = false;       // the root's word has come
    bool failed_here = false;  // this rank's call was completed with a failure
    Time next_question = kNever;
    RollCall roll_call;
  };
  // A child, or this rank itself.
  struct Left {
    Index first_missing;  // for this operation it has not done what it should, and never will
    Rank rank;            // the job's
    const char* how;
  };
  struct Broken {
    Index from;
    Failure failure;
  };

  // Steps of an operation's life; communicator.cc.
  std::optional<Failure> misuse_of(const Collective& collective) const;
  bool is_unknown(Index index) const { return index >= voted_ && !operations_.contains(index); }
  Operation* find(Index index);
  Operation& obtain(Time now, Index index);
  bool agree(Index index, Operation& operation, const wire::CallSignature& call, Rank caller);
  void progress(Index index);
  bool vote_next();
  static void add_bytes(Operation& operation, std::uint64_t bytes);
  void announce_as_root(Index index, Operation& operation, bool deferred);
  bool start_next();
  void on_all_called(Index index, Operation& operation);
  void begin_next_bulk();
  void settle(Index index);
  void retire(Index count);
  void complete(Operation& operation, Index index, CollectiveAlgorithm::Result result);
  void fail(Operation& operation, Index index, const Failure& failure);
  wire::Collective head_of(wire::Part part, Index index, const Operation* operation) const;

  // Frames; communicator_frames.cc. `index` is the frame's sequence.
  static bool overtakes(const wire::Collective& head);
  bool comes_late(const wire::Collective& head) const;
  bool is_in_time(const wire::Collective& head) const;
  bool on_vote(Time now, std::size_t child, const wire::Collective& head, const Payload& tail);
  bool on_go(const wire::Collective& head, const Payload& tail);
  bool on_data(Time now, LinkId from, const wire::Collective& head, const Payload& tail);
  bool on_retired(const wire::Collective& head, const Payload& tail);
  bool on_failed(LinkId from, const wire::Collective& head, const Payload& tail);
  bool on_question(Time now, const wire::Collective& head, const Payload& tail);
  bool on_missing(Time now, LinkId from, const wire::Collective& head, const Payload& tail);

  // Failures; communicator_failures.cc.
  void contest(Index index, Operation& operation, const Failure& failure);
  void note_left(const Left& left);
  void remember_left(const Left& left);
  void report_left();
  std::map<Index, Operation>::const_iterator first_owed() const;
  // `feeder`: the link that the news came by, if it did.
  void decide(Index index, const Failure& failure, LinkId feeder = kNoLink);
  void apply_failure(Index index, const Failure& failure);
  void break_from(Index index, const Failure& failure);
  void fail_next_after(Index index, const Failure& failure);
  void remember_failed_here(Index index);
  Failure failure_of(FailureCode code, RankSet ranks, std::string text) const;

  // Who is missing; communicator_roll_call.cc.
  bool all_answered(const Operation& operation) const;
  RollCall::Answer answer(Index index, const Operation& operation) const;
  // `feeder`: the link whose frame is passed on so, if it is.
  void ask_children(Index index, Operation& operation, LinkId feeder = kNoLink);
  void ask_as_root(Time now, Index index, Operation& operation);
  void say(Index index, Operation& operation, RollCall::Answer answer, LinkId feeder = kNoLink);
  void say_if_final(Index index, Operation& operation, LinkId feeder);
  static bool wants_roll_call(const Operation& operation);
  void take_roll_calls(Time now);
  Time next_roll_call() const;
  void expire(Index index);
  Failure timeout_of(Index index, const Operation& operation) const;
  std::string missing_here(Index index, const Operation& operation, RankSet& ranks) const;

  const CommunicatorId id_;
  const Topology& topology_;
  Effects& effects_;
  const Limits& limits_;
  CollectiveLinks links_;
  CollectivePeers peers_;

  // Always retired_ <= voted_ <= started_ <= called_ (at the root, results may retire an operation before its votes).
  Index called_ = 0;                // calls that this rank has made
  Index started_ = 0;               // of these, the ones that take part
  Index voted_ = 0;                 // operations that this rank's subtree has voted for
  Index retired_ = 0;               // operations known to have been called by all
  Index announced_ = 0;             // at the root: those that the others know to be retired
  std::vector<Index> child_voted_;  // the same as voted_, by child
  std::map<Index, Operation> operations_;
  std::set<std::pair<Time, Index>> deadlines_;  // of pending calls
  std::map<Index, Failure> failed_;             // the root's words, the latest kMaxFailedKept
  std::set<Index> failed_here_;                 // calls that failed here and are over, the latest kMaxFailedKept
  std::optional<Failure> next_fails_;           // an operation failed elsewhere that was completed here
  std::optional<Left> left_;                    // the one that the oldest operation lacks
  bool left_reported_ = false;
  std::optional<Broken> broken_;
  std::optional<Failure> closed_;
  std::vector<Split> splits_;
  std::set<Index> bulk_;        // operations whose turn has come or will come (CollectiveAlgorithm::is_bulk)
  std::optional<Index> begun_;  // of these
};

}  // namespace banyan::node
