// How the other parts of a node use its messages: they write down what they ask for, Operations carries it out once
// they have returned, and brings them what came of it. Their messages stand in spaces of their own (wire::Tag), so that
// they never mix with the application's.
#pragma once

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "base/failure.hh"
#include "base/limits.hh"
#include "node/calls.hh"

namespace banyan::node {

// Who made a call: the driver's ids are the application's, a node's own parts mark theirs.
enum class Caller : std::uint8_t { application, collectives, store, blobs };

inline constexpr int kCallerShift = 56;
constexpr Caller caller_of(CallId id) { return static_cast<Caller>(raw(id) >> kCallerShift); }

// Is it still there, for this lane? If it has left, what is pending with it fails; else nothing comes of it.
struct Ask {
  Rank peer{};
  wire::Lane lane;
};
// A message of so many bytes will be sent there: if it is worth a direct link, that may be made meanwhile.
struct Foresee {
  Rank peer{};
  std::uint64_t bytes = 0;
};
// Whoever made the call with this id does not wait any more, and hears no more of it.
struct Cancel {};
// Nobody receives what comes with this tag, and with all later numbers, any more: their senders need not wait for that.
struct Discard {
  wire::Tag tag;
  bool and_later = false;
};
// This rank is done with all lanes of a communicator.
struct Forget {
  CommunicatorId communicator{};
};

struct MessageRequest {
  CallId id{};
  std::variant<Send, Receive, Ask, Foresee, Cancel, Discard, Forget> what;
};

// A Send or Receive that has come to its end.
struct MessageDone {
  CallId id{};
  wire::Tag tag;
  std::variant<Payload, Failure> result;
  Rank source = kNoRank;  // of a received message
};

class MessageRequests {
 public:
  explicit MessageRequests(Caller caller) : last_(CallId{static_cast<std::uint64_t>(caller) << kCallerShift}) {}

  CallId send(Rank target, const wire::Tag& tag, Payload message) {
    return add(next(last_), Send{target, tag, std::move(message)});
  }
  // `source`: kNoRank for any rank.
  CallId receive(Rank source, const wire::Tag& tag, std::uint64_t most_bytes = kMaxMessageBytes) {
    return add(next(last_), Receive{source, tag, most_bytes});
  }
  void ask(Rank peer, const wire::Lane& lane) { list_.push_back({{}, Ask{peer, lane}}); }
  void foresee(Rank peer, std::uint64_t bytes) { list_.push_back({{}, Foresee{peer, bytes}}); }
  void cancel(CallId id) { list_.push_back({id, Cancel{}}); }
  void discard(const wire::Tag& tag, bool and_later) { list_.push_back({{}, Discard{tag, and_later}}); }
  void forget(CommunicatorId communicator) { list_.push_back({{}, Forget{communicator}}); }

  std::vector<MessageRequest> take() { return std::exchange(list_, {}); }
  bool empty() const { return list_.empty(); }

 private:
  template <typename What>
  CallId add(CallId id, What what) {
    list_.push_back({id, std::move(what)});
    return last_ = id;
  }

  CallId last_;
  std::vector<MessageRequest> list_;
};

}  // namespace banyan::node
