#include "api/seastar/seastar_job.hh"

#include <seastar/core/coroutine.hh>
#include <seastar/core/metrics.hh>
#include <seastar/util/log.hh>
#include <system_error>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "api/calls.hh"
#include "api/configure.hh"
#include "api/reports.hh"
#include "driver/sockets/clock.hh"

namespace banyan::api {
namespace {

// Known to Seastar before it reads its options (--logger-log-level banyan=debug).
seastar::logger logger("banyan");

void to_seastar(LogLevel level, std::string_view line) {
  const auto seastar_level = level == LogLevel::debug  ? seastar::log_level::debug
                             : level == LogLevel::info ? seastar::log_level::info
                                                       : seastar::log_level::warn;
  logger.log(seastar_level, "{}", line);
}

std::shared_ptr<driver::Shard> shard_here(const Speaker& speaker) {
  try {
    return driver::Shard::here();
  } catch (const std::system_error& error) {
    const std::string text = fmt::format("can't watch sockets: {}; raise the limit (ulimit -n)", error.what());
    throw to_error({FailureCode::resources, Phase::setup, {}, {}, text}, speaker);
  }
}

}  // namespace

void SeastarJob::init(Options options) {
  member_.init(std::move(options));
  log_ = Log(member_.options().log_level, *member_.speaker_of(nullptr), to_seastar);
}

// ---- Beginning and end

seastar::future<> SeastarJob::start(seastar::abort_source* source) {
  const std::shared_ptr<SeastarJob> self = shared_from_this();
  member_.expect_startable();
  const Options& options = member_.options();
  const std::shared_ptr<const Speaker> speaker = member_.speaker_of(nullptr);
  if (source != nullptr) source->check();
  driver::RankOptions rank_options = configure(options);
  if (lacks_secret(options)) warn_of_missing_secret(log_, rank_options.config.rendezvous);
  const Reports reports(options, log_);
  reports.follow(rank_options);

  std::shared_ptr<driver::Shard> shard = shard_here(*speaker);
  auto opened = shard->open(std::move(rank_options));
  if (const auto* failure = std::get_if<Failure>(&opened)) {
    // It may have been made for this rank alone.
    co_await driver::Shard::release(std::move(shard));
    throw to_error(*failure, *speaker);
  }
  shard.reset();
  rank_ = std::move(std::get<std::unique_ptr<driver::ShardRank>>(opened));
  member_.started();

  const Time began = driver::now();
  seastar::future<driver::Completed> pending = rank_->start();
  seastar::optimized_optional<seastar::abort_source::subscription> watch;
  if (source != nullptr) watch = source->subscribe([this]() noexcept { end(); });
  driver::Completed done = co_await std::move(pending);
  started_ = std::move(done.outcome);
  reports.formed(began, *started_);
  // It may have been ended after it had formed, before this went on.
  if (ended_ && source != nullptr) source->check();
  if (const auto* failure = std::get_if<Failure>(&*started_)) throw to_error(*failure, *speaker);
  if (ended_)
    throw to_error({FailureCode::closed, Phase::closing, {}, {}, "this rank was closed while it started"}, *speaker);
  register_metrics();
}

seastar::future<> SeastarJob::stop() {
  if (stopped_) return stopped_->get_future();
  if (member_.state() == Member::State::fresh || !member_.close()) return seastar::make_ready_future<>();
  return stopped_.emplace(take_leave()).get_future();
}

seastar::future<> SeastarJob::take_leave() {
  const std::shared_ptr<SeastarJob> self = shared_from_this();
  if (!ended_) {
    // Of a failed rank too: it may have a verdict to tell.
    node::Call leave{rank_->next_call_id(), after(driver::now(), rank_->config().close_timeout), node::Close{}};
    co_await rank_->submit(std::move(leave)).discard_result();
  }
  end();
  co_await std::exchange(closed_, seastar::make_ready_future<>());
}

void SeastarJob::end() {
  if (rank_ == nullptr || std::exchange(ended_, true)) return;
  statistics_ = rank_->statistics();
  metrics_.clear();
  closed_ = rank_->close();
}

// ---- Operations

std::optional<Payload> SeastarJob::blob_at_hand(const detail::Call& call, const Group* group) {
  if (auto blob = member_.own_blob(call, group, start_outcome())) return blob;
  if (auto blob = fetched_blobs_.find(job_rank(call.rank, group))) return blob;
  member_.expect_owner_in_reach(call, group, start_outcome());
  return std::nullopt;
}

seastar::future<driver::Completed> SeastarJob::submit(const detail::Call& call, const std::shared_ptr<Group>& group,
                                                      seastar::abort_source* source) {
  if (call.kind == detail::Call::Kind::peer_blob) {
    if (auto blob = blob_at_hand(call, group.get()))
      return seastar::make_ready_future<driver::Completed>(driver::Completed{*std::move(blob), kNoRank});
  }
  expect_callable(call, group.get());
  if (source != nullptr) source->check();
  node::Call made = member_.prepare(call, group.get(), driver::now());
  made.id = rank_->next_call_id();
  ++calls_begun_;
  const CallId id = made.id;
  auto pending = finish(id, member_.speaker_of(group.get()), rank_->submit(std::move(made)), source);
  if (call.kind != detail::Call::Kind::peer_blob) return pending;
  return pending.then([self = shared_from_this(), owner = job_rank(call.rank, group.get())](driver::Completed done) {
    self->fetched_blobs_.keep(owner, std::get<Payload>(done.outcome));
    return done;
  });
}

seastar::future<driver::Completed> SeastarJob::finish(CallId id, std::shared_ptr<const Speaker> speaker,
                                                      seastar::future<driver::Completed> pending,
                                                      seastar::abort_source* source) {
  const std::shared_ptr<SeastarJob> self = shared_from_this();
  seastar::optimized_optional<seastar::abort_source::subscription> watch;
  if (source != nullptr) watch = source->subscribe([this, id]() noexcept { expire(id); });
  driver::Completed done = co_await std::move(pending);
  const auto* failure = std::get_if<Failure>(&done.outcome);
  if (failure == nullptr) co_return done;
  ++calls_failed_;
  if (source != nullptr && failure->code == FailureCode::timed_out) source->check();
  throw to_error(*failure, *speaker);
}

void SeastarJob::expire(CallId id) {
  if (!ended_) (void)rank_->submit({rank_->next_call_id(), kNever, node::Expire{id}}).discard_result();
}

void SeastarJob::leave(Group& group) {
  if (group.closed.exchange(true) || ended_ || rank_ == nullptr) return;
  (void)rank_->submit({rank_->next_call_id(), kNever, node::LeaveCommunicator{group.id()}}).discard_result();
}

// ---- The job

Statistics SeastarJob::statistics() const {
  table("statistics");
  return member_.statistics(ended_ ? statistics_ : rank_->statistics());
}

void SeastarJob::register_metrics() {
  namespace sm = seastar::metrics;
  if (ended_) return;
  const std::vector<sm::label_instance> labels = {sm::label("rank")(member_.options().rank)};
  const auto gauge = [&](const char* name, auto value, const char* what) {
    return sm::make_gauge(
        name, [this, value] { return value(rank_->statistics()); }, sm::description(what), labels);
  };
  const auto counter = [&](const char* name, auto value, const char* what) {
    return sm::make_counter(
        name, [this, value] { return value(rank_->statistics()); }, sm::description(what), labels);
  };
  try {
    metrics_.add_group(
        "banyan", {gauge(
                       "tree_links", [](const node::Statistics& now) { return now.tree_links; },
                       "Connections of this rank in the tree"),
                   gauge(
                       "local_links", [](const node::Statistics& now) { return now.local_links; },
                       "Connections of this rank on its host"),
                   gauge(
                       "direct_links", [](const node::Statistics& now) { return now.direct_links; },
                       "Connections of this rank on demand"),
                   gauge(
                       "unexpected_bytes", [](const node::Statistics& now) { return now.unexpected_bytes; },
                       "Bytes of messages that nobody has received yet"),
                   counter(
                       "direct_links_opened", [](const node::Statistics& now) { return now.direct_links_opened; },
                       "Connections on demand that were opened"),
                   counter(
                       "direct_links_lost", [](const node::Statistics& now) { return now.direct_links_lost; },
                       "Connections on demand that broke or that the other side closed"),
                   counter(
                       "turned_away", [](const node::Statistics& now) { return now.turned_away; },
                       "Connections that were refused: strangers, wrong secret, wrong job"),
                   sm::make_counter("calls", calls_begun_, sm::description("Operations that were begun"), labels),
                   sm::make_counter("calls_failed", calls_failed_, sm::description("Operations that failed"), labels)});
  } catch (const sm::double_registration& error) {
    // The same rank of another job on this shard.
    log_.say(LogLevel::debug, error.what());
  }
}

}  // namespace banyan::api
