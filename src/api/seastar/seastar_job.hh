// One rank of one job, behind SeastarBootstrap and the communicators that were made of it. Belongs to the shard that
// made it. Where a `group` may be given, null is the whole job.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <seastar/core/abort_source.hh>
#include <seastar/core/future.hh>
#include <seastar/core/metrics_registration.hh>
#include <seastar/core/shared_future.hh>
#include <string>
#include <vector>

#include <banyan/seastar_bootstrap.hpp>

#include "api/blob_cache.hh"
#include "api/group.hh"
#include "api/log.hh"
#include "api/member.hh"
#include "driver/seastar/shard.hh"

namespace banyan::api {

class SeastarJob : public std::enable_shared_from_this<SeastarJob> {
 public:
  SeastarJob() = default;
  SeastarJob(const SeastarJob&) = delete;
  SeastarJob& operator=(const SeastarJob&) = delete;

  void init(Options options);
  Member& member() { return member_; }

  // `source`: null, or what may end it before its time.
  seastar::future<> start(seastar::abort_source* source);
  // Takes leave of the others, then ends; at once if it has not been started.
  seastar::future<> stop();
  // At once.
  void end();

  // Throws what is wrong with the call by itself, before anything has begun.
  void expect_callable(const detail::Call& call, const Group* group) const {
    member_.expect_callable(call, group, start_outcome());
  }
  // Begins it before it returns; the future has the outcome, or fails with Error or what `source` says.
  seastar::future<driver::Completed> submit(const detail::Call& call, const std::shared_ptr<Group>& group,
                                            seastar::abort_source* source);
  void leave(Group& group);

  const wire::Table& table(const char* caller) const { return member_.table(caller, start_outcome()); }
  Statistics statistics() const;

 private:
  Member::Start start_outcome() const { return started_ ? &*started_ : nullptr; }
  std::optional<Payload> blob_at_hand(const detail::Call& call, const Group* group);
  seastar::future<driver::Completed> finish(CallId id, std::shared_ptr<const Speaker> speaker,
                                            seastar::future<driver::Completed> pending, seastar::abort_source* source);
  seastar::future<> take_leave();
  void expire(CallId id);
  void register_metrics();

  Member member_{"stop"};
  Log log_;
  std::unique_ptr<driver::ShardRank> rank_;
  std::optional<driver::Outcome> started_;  // what came of start()
  bool ended_ = false;
  node::Statistics statistics_;  // from then on
  seastar::future<> closed_ = seastar::make_ready_future<>();
  std::optional<seastar::shared_future<>> stopped_;
  BlobCache fetched_blobs_;
  std::uint64_t calls_begun_ = 0;
  std::uint64_t calls_failed_ = 0;
  seastar::metrics::metric_groups metrics_;
};

}  // namespace banyan::api
