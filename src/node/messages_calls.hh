// The sends, receives and connects that have not completed: their deadlines, and the sentences that say why one failed.
// What becomes of the application's goes out as effects; of a node's other parts, to where Operations looks for it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.hh"
#include "node/effects.hh"
#include "node/message_requests.hh"
#include "node/topology.hh"

namespace banyan::node {

struct PendingCall {
  enum class Kind : std::uint8_t { send, receive, probe, connect };
  Kind kind{};
  Rank peer{};  // kNoRank: any, for a receive that no message has been given to yet
  wire::Tag tag;
  std::uint64_t bytes = 0;  // of the message, sends only
  Time started{};
  Time deadline = kNever;
  bool from_any = false;                        // a receive from whoever sends
  std::uint64_t most_bytes = kMaxMessageBytes;  // that a receive takes
};

class PendingCalls {
 public:
  // Both outlive this object.
  PendingCalls(const Topology& topology, Effects& effects) : topology_(topology), effects_(effects) {}

  void add(CallId id, const PendingCall& call);
  bool contains(CallId id) const { return calls_.contains(id); }
  // By id: the order in which they fail together.
  const std::map<CallId, PendingCall>& all() const { return calls_; }

  bool is_from_any(CallId id) const { return calls_.at(id).from_any; }
  std::uint64_t most_bytes(CallId id) const { return calls_.at(id).most_bytes; }
  // A receive from any rank takes a message of this one; kNoRank: of nobody any more.
  void claim(CallId id, Rank source);
  // Whether any waits for a certain other rank; connects have patience of their own.
  bool await_others() const { return awaiting_others_ > 0; }
  bool awaits_another(const PendingCall& call) const;

  void complete(CallId id, Payload result, Rank source = kNoRank);
  // A call that was never added.
  void refuse(CallId id, const wire::Tag& tag, Failure failure);
  // The call is nobody's any more.
  void forget(CallId id) { finish(id); }
  // "send to rank 5 on host-1 (tag 0, 4096 bytes) failed: " and the reason.
  void fail(CallId id, FailureCode code, const std::string& reason);
  // All those that `concerns` is true of; with no bytes.
  template <typename Predicate>
  void complete_if(Predicate concerns) {
    end_if(concerns, [this](CallId id) { complete(id, Payload{}); });
  }
  template <typename Predicate>
  void fail_if(Predicate concerns, FailureCode code, const std::string& reason) {
    end_if(concerns, [&](CallId id) { fail(id, code, reason); });
  }
  // "... timed out after 2.0 s: " and the reason.
  void time_out(CallId id, Time now, const std::string& reason);
  void fail_all(const Failure& failure);

  // False: there is no such call.
  bool set_deadline(CallId id, Time deadline);
  // A call whose deadline has passed, the earliest first; null: none has.
  const std::pair<const CallId, PendingCall>* expired(Time now) const;
  // Of the calls that a node's other parts have made.
  std::vector<MessageDone> take_done() { return std::exchange(done_, {}); }
  Time deadline() const { return deadlines_.empty() ? kNever : deadlines_.begin()->first; }

 private:
  template <typename Predicate, typename End>
  void end_if(Predicate concerns, End end) {
    for (auto at = calls_.begin(); at != calls_.end();) {
      const auto& [id, call] = *at++;
      if (concerns(call)) end(id);
    }
  }
  PendingCall finish(CallId id);
  template <typename Result>
  void report(CallId id, const PendingCall& call, Result result, Rank source = kNoRank);
  void fail_with(CallId id, FailureCode code, const std::string& what_happened);
  static std::string text_of(const PendingCall& call, const std::string& host);

  const Topology& topology_;
  Effects& effects_;
  std::map<CallId, PendingCall> calls_;
  std::set<std::pair<Time, CallId>> deadlines_;
  std::size_t awaiting_others_ = 0;
  std::vector<MessageDone> done_;
};

}  // namespace banyan::node
