// The asking side of the store. Requests to one keeper go out in the order of the calls, at most kMaxStoreRequests of
// them unanswered. A get asks first whether the key is there, so that it has its place among the others; if not, it
// waits at the keeper, which counts apart: a rank whose gets wait can still put what they wait for.
//
// Each request has exactly one answer, in a channel of its own. So whoever gives up keeps the request's place in its
// window until that has come, and the keeper never owes this rank more than the windows hold.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/limits.hh"
#include "node/effects.hh"
#include "node/message_requests.hh"
#include "node/topology.hh"
#include "wire/store.hh"

namespace banyan::node {

class StoreAsker {
 public:
  // All outlive this object.
  StoreAsker(const Topology& topology, MessageRequests& messages, Effects& effects)
      : topology_(topology), messages_(messages), effects_(effects) {}

  void call(Time now, CallId id, StoreCall call, Time deadline);
  void on_message(MessageDone done);
  void end_calls(const Failure& failure);
  bool set_deadline(CallId id, Time deadline);
  void on_time(Time now);
  Time deadline() const { return deadlines_.empty() ? kNever : deadlines_.begin()->first; }

  // Requests that have not come to their end, those that nobody waits for any more included.
  std::size_t requests() const { return requests_.size(); }

 private:
  // Of a request, which is its answer's tag.
  using Number = std::uint32_t;
  struct Request {
    std::optional<CallId> call;  // none: it was given up
    StoreCall what;
    Rank keeper{};
    Time started{};
    Time deadline = kNever;
    bool waits = false;  // a get whose key was not there
    bool asked = false;  // else it stands in a queue
    CallId answer{};     // the receive of it

    // Whether it does more than look.
    bool changes() const { return what.what != StoreCall::What::get && what.what != StoreCall::What::find; }
  };
  struct Window {
    std::deque<Number> queue;
    std::uint32_t under_way = 0;
  };
  struct Keeper {
    Window asking;
    Window waiting;
    Window& window_of(const Request& request) { return request.waits ? waiting : asking; }
  };

  Number next_number();
  void enqueue(Number number, const Request& request);
  void advance(Rank keeper);
  void ask(Number number, Request& request);
  void receive_answer(Number number, Request& request);
  void on_answer(Number number, const Payload& message);
  void conclude(const Request& request, wire::StoreAnswer::Status status, Payload value);
  // Takes it out of its window, and lets the next ones go.
  Request end(Number number);
  void time_out(Number number, Time now);
  void fail(const Request& request, FailureCode code, const std::string& what_happened);

  const Topology& topology_;
  MessageRequests& messages_;
  Effects& effects_;
  std::map<Number, Request> requests_;
  std::map<Rank, Keeper> keepers_;
  std::map<CallId, Number> exchanges_;  // messages under way
  std::set<std::pair<Time, Number>> deadlines_;
  Number last_number_ = wire::kRequests;
  std::optional<Failure> over_;
};

}  // namespace banyan::node
