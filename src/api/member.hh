// One rank of a job as its caller sees it: what may be called when and with what, and in whose words that is refused.
// Knows no driver and no lock: whoever has it guards it. Where a `group` may be given, null is the whole job.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <banyan/hierarchical_bootstrap.hpp>

#include "api/failures.hh"
#include "api/group.hh"
#include "base/bytes.hh"
#include "base/time.hh"
#include "driver/sockets/outcome.hh"
#include "node/calls.hh"

namespace banyan::api {

class Member {
 public:
  enum class State { fresh, ready, started, closed };

  // `end`: what its caller's function for that is called.
  explicit Member(const char* end = "close") : end_(end) {}

  // What came of start(), as far as it is known: null while nothing has.
  using Start = const driver::Outcome*;

  // These three throw Error (misuse) and change nothing when it is not their turn.
  void init(Options options);
  void set_blob(MessageView blob);
  // Before the rank is opened; started() after it.
  void expect_startable() const;
  void started() { state_ = State::started; }
  // False: it has not been started, so there is nothing to end.
  bool close();
  // Without a word; the rank has been started.
  void close_quietly() { state_ = State::closed; }

  State state() const { return state_; }
  const Options& options() const { return options_; }
  const std::shared_ptr<const Speaker>& speaker_of(const Group* group) const {
    return group == nullptr ? speaker_ : group->speaker();
  }

  // Throws Error (misuse) in this rank's name.
  [[noreturn]] void refuse(const std::string& text, const Group* group = nullptr) const;
  void expect_initialised(const char* caller) const;
  void expect_rank(const char* caller, const char* role, int rank, const Group* group) const;
  void expect_callable(const detail::Call& call, const Group* group, Start start) const;
  const wire::Table& table(const char* caller, Start start) const;
  // The blob that a peer_blob asks for, if it is in the table or this rank's own; none: it was fetched before, or its
  // owner has to be asked, which a closed rank can't.
  std::optional<Payload> own_blob(const detail::Call& call, const Group* group, Start start) const;
  void expect_owner_in_reach(const detail::Call& call, const Group* group, Start start) const;

  // What goes to the driver, with its deadline. Of a call that expect_callable() has passed; throws Error (misuse) for
  // what still can't be.
  node::Call prepare(const detail::Call& call, const Group* group, Time now) const;

  Statistics statistics(const node::Statistics& now) const;

 private:
  void expect_started(const char* caller, const Group* group) const;
  void expect_timeout(const detail::Call& call, const Group* group) const;
  void expect_sensible(const node::Collective& collective, const Group* group) const;
  int rank_in(const Group* group) const { return group == nullptr ? options_.rank : group->rank(); }
  int size_of(const Group* group) const { return group == nullptr ? options_.world_size : group->size(); }

  const char* end_;
  State state_ = State::fresh;
  Options options_;
  std::shared_ptr<const Speaker> speaker_ = std::make_shared<const Speaker>();
};

}  // namespace banyan::api
