// The Seastar driver, as the API layer sees it: each shard that has ranks has a Shard, which owns their sockets and
// runs their engines in that shard's reactor. No threads, no locks: everything here belongs to the shard that made it.
#pragma once

#include <memory>
#include <optional>
#include <seastar/core/future.hh>
#include <utility>
#include <variant>

#include "base/failure.hh"
#include "driver/seastar/shard_reactor.hh"
#include "driver/sockets/make_runner.hh"
#include "driver/sockets/outcome.hh"
#include "driver/sockets/process.hh"
#include "node/calls.hh"

namespace banyan::driver {

class ShardRank;

class Shard : public std::enable_shared_from_this<Shard> {
 public:
  // This shard's, made anew when no rank is left. Throws std::system_error when the system has no descriptors for it.
  static std::shared_ptr<Shard> here();
  // One apart from that, for tests.
  static std::shared_ptr<Shard> make() { return std::make_shared<Shard>(); }
  Shard() = default;  // by these
  // What ShardRank::close does when it was the last that held the shard.
  static seastar::future<> release(std::shared_ptr<Shard> shard);

  // Makes a rank; nothing is sent before start(). A Failure (bad_address) when the options can't be used.
  std::variant<std::unique_ptr<ShardRank>, Failure> open(RankOptions options);
  std::variant<std::unique_ptr<ShardRank>, Failure> open(RankOptions options, const MakeMachine& make_machine);

 private:
  friend class ShardRank;

  ShardReactor reactor_;
  std::optional<Process> ranks_{std::in_place, reactor_};
};

// What came of a call.
struct Completed {
  Outcome outcome;
  Rank source = kNoRank;  // whose message it brought, or found; kNoRank: nobody's
};

class ShardRank {
 public:
  ShardRank(std::shared_ptr<Shard> shard, std::shared_ptr<EngineRunner> runner);  // by Shard::open
  ~ShardRank();                                                                   // as close(), left to itself
  ShardRank(const ShardRank&) = delete;
  ShardRank& operator=(const ShardRank&) = delete;

  // Begins to join; once. The outcome is the table, or why there is none.
  seastar::future<Completed> start();
  // For a call that may have to be ended before its time.
  CallId next_call_id();
  // Makes a call, after the rank has formed, with an id from next_call_id(). The outcome is a payload or payloads
  // (node::Completion). Calls reach the engine in order.
  seastar::future<Completed> submit(node::Call call);

  // Ends the rank here and now: what was handed to its links still leaves, pending calls end with FailureCode::closed.
  // The future of a shard's last rank is done when that has left, or after kCloseLinger; others' at once. To take leave
  // of the others first, submit node::Close.
  seastar::future<> close();

  node::Statistics statistics() const;
  // The configuration as completed by Shard::open.
  const node::Config& config() const;

 private:
  std::shared_ptr<Shard> shard_;  // none once closed
  const std::shared_ptr<EngineRunner> runner_;
};

}  // namespace banyan::driver
