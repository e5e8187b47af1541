#include "api/job.hh"

#include <exception>
#include <system_error>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "api/calls.hh"
#include "api/configure.hh"
#include "api/reports.hh"
#include "driver/sockets/clock.hh"
#include "wire/table.hh"

namespace banyan::api {
namespace {

std::shared_ptr<driver::Runtime> make_runtime(const Speaker& speaker) {
  try {
    return driver::Runtime::instance();
  } catch (const std::system_error& error) {
    const std::string text =
        fmt::format("can't make an event loop: {}; raise the limit (ulimit -n)", error.code().message());
    throw to_error({FailureCode::resources, Phase::setup, {}, {}, text}, speaker);
  }
}

std::shared_ptr<Watch> watch_over(const std::shared_ptr<driver::Operation>& operation, Watch::Before before) {
  auto watch = std::make_shared<Watch>(std::move(before));
  operation->on_done([watch](const driver::Outcome& outcome) { watch->on_done(outcome); });
  return watch;
}

}  // namespace

void Job::close_quietly() {
  if (member_.state() != Member::State::started || rank_->forked()) return;
  try {
    if (!driver::Runtime::in_callback()) return close();
    // Now, and not with this object: communicators and callbacks may hold it for as long as the others wait for it.
    {
      const std::lock_guard lock(mutex_);
      member_.close_quietly();
    }
    end_rank();
  } catch (const std::exception& error) {
    log_.say(LogLevel::debug, error.what());
  }
}

void Job::refuse_call(const std::string& text, const Group* group) const {
  const std::lock_guard lock(mutex_);
  member_.refuse(text, group);
}

void Job::expect_no_callback(const char* caller) const {
  if (!driver::Runtime::in_callback()) return;
  const std::lock_guard lock(mutex_);
  member_.refuse(
      fmt::format("{}() was called in a callback of Banyan, where nothing may wait: leave it to another thread, or "
                  "begin it and go on in its own callback",
                  caller));
}

void Job::expect_own_process(const char* caller) const {
  if (!rank_ || !rank_->forked()) return;
  member_.refuse(
      fmt::format("{}(): this bootstrap belongs to the parent process; a child of fork() can't use it", caller));
}

// ---- Beginning and end

void Job::init(Options options) {
  const std::lock_guard lock(mutex_);
  member_.init(std::move(options));
  log_ = Log(member_.options().log_level, *member_.speaker_of(nullptr));
}

void Job::set_blob(MessageView blob) {
  const std::lock_guard lock(mutex_);
  member_.set_blob(blob);
}

Job::Begun Job::start() {
  const std::lock_guard lock(mutex_);
  member_.expect_startable();
  const Options& options = member_.options();
  const std::shared_ptr<const Speaker>& speaker = member_.speaker_of(nullptr);
  driver::RankOptions rank_options = configure(options);
  if (lacks_secret(options)) warn_of_missing_secret(log_, rank_options.config.rendezvous);
  const Reports reports(options, log_);
  reports.follow(rank_options);

  runtime_ = make_runtime(*speaker);
  auto opened = runtime_->open(std::move(rank_options));
  if (const auto* failure = std::get_if<Failure>(&opened)) throw to_error(*failure, *speaker);
  rank_ = std::move(std::get<std::unique_ptr<driver::RankHandle>>(opened));
  member_.started();

  const Time began = driver::now();
  start_ = rank_->start();
  auto watch = watch_over(start_, [reports, began](const driver::Outcome& outcome) { reports.formed(began, outcome); });
  return {start_, speaker, watch, nullptr, {}};
}

void Job::close() {
  expect_no_callback("close");
  {
    const std::lock_guard lock(mutex_);
    expect_own_process("close");
    if (!member_.close()) return;
  }
  take_leave();
}

void Job::take_leave() {
  // Of a failed rank too: it may have a verdict to tell.
  const Duration patience = rank_->config().close_timeout;
  rank_->submit({{}, after(driver::now(), patience), node::Close{}})->wait();
  end_rank();
}

void Job::end_rank() {
  const node::Statistics last = rank_->statistics();
  {
    const std::lock_guard lock(mutex_);
    statistics_ = last;
    ended_ = true;
  }
  rank_->close();
}

// ---- Operations

Job::Turn Job::take_turn(const detail::Call& call, const std::shared_ptr<Group>& group) {
  if (!is_collective(call.kind)) return Turn(nullptr, nullptr);
  std::atomic<bool>& taken = group ? group->in_collective : in_collective_;
  if (taken.exchange(true, std::memory_order_acquire)) {
    refuse_call(
        fmt::format("{}() was called while another thread is in a collective operation of this {}: the ranks could not "
                    "agree on the order of the two; let one thread make these calls, or begin them one after the other",
                    name_of(call.kind), group ? "communicator" : "bootstrap"),
        group.get());
  }
  return Turn(&taken, group);
}

void Job::expect_callable(const detail::Call& call, const Group* group) const {
  const std::lock_guard lock(mutex_);
  member_.expect_callable(call, group, started());
}

Job::Begun Job::submit(const detail::Call& call, const std::shared_ptr<Group>& group) {
  const std::shared_ptr<const Speaker>& speaker = member_.speaker_of(group.get());
  if (call.kind == detail::Call::Kind::peer_blob) {
    if (auto blob = blob_at_hand(call, group.get()))
      return {rank_->completed(*std::move(blob)), speaker, nullptr, group, {}};
  }
  expect_callable(call, group.get());
  const auto operation = rank_->submit(member_.prepare(call, group.get(), driver::now()));
  std::shared_ptr<Watch> watch;
  if (call.kind == detail::Call::Kind::peer_blob) {
    watch = watch_over(
        operation, [blobs = fetched_blobs_, owner = job_rank(call.rank, group.get())](const driver::Outcome& outcome) {
          const auto* blob = std::get_if<Payload>(&outcome);
          if (blob == nullptr) return;
          const std::lock_guard lock(blobs->mutex);
          blobs->cache.keep(owner, *blob);
        });
  }
  const bool makes = makes_communicator(call.kind);
  return {operation, speaker, watch, group, makes ? weak_from_this() : std::weak_ptr<const Job>()};
}

std::shared_ptr<Group> Job::group_of(const Payload& result) const {
  return Group::of_result(result, *member_.speaker_of(nullptr));
}

void Job::leave(Group& group) {
  {
    const std::lock_guard lock(mutex_);
    expect_own_process("close");
    if (group.closed.exchange(true)) member_.refuse("close() of this communicator was called a second time", &group);
    if (member_.state() != Member::State::started) return;
  }
  rank_->submit({{}, kNever, node::LeaveCommunicator{group.id()}});
  run_in_background();
}

void Job::leave_quietly(Group& group) {
  if (group.closed || (rank_ && rank_->forked())) return;
  try {
    leave(group);
  } catch (const std::exception& error) {
    log_.say(LogLevel::debug, error.what());
  }
}

void Job::run_in_background() {
  if (const auto failure = runtime_->run_in_background()) throw to_error(*failure, *member_.speaker_of(nullptr));
}

// ---- The job

int Job::rank() const {
  const std::lock_guard lock(mutex_);
  member_.expect_initialised("rank");
  return member_.options().rank;
}

int Job::world_size() const {
  const std::lock_guard lock(mutex_);
  member_.expect_initialised("world_size");
  return member_.options().world_size;
}

std::string Job::host_of(int rank, const Group* group) const {
  const std::lock_guard lock(mutex_);
  const wire::Table& formed = member_.table("host_of", started());
  member_.expect_rank("host_of", "rank", rank, group);
  return formed.host(job_rank(rank, group));
}

std::optional<Payload> Job::blob_at_hand(const detail::Call& call, const Group* group) const {
  const std::lock_guard lock(mutex_);
  if (auto blob = member_.own_blob(call, group, started())) return blob;
  expect_own_process("peer_blob");
  {
    const std::lock_guard cache_lock(fetched_blobs_->mutex);
    if (auto blob = fetched_blobs_->cache.find(job_rank(call.rank, group))) return blob;
  }
  member_.expect_owner_in_reach(call, group, started());
  return std::nullopt;
}

int Job::job_rank_of(int rank, const Group* group) const {
  const std::lock_guard lock(mutex_);
  member_.expect_initialised("job_rank");
  member_.expect_rank("job_rank", "rank", rank, group);
  return static_cast<int>(raw(job_rank(rank, group)));
}

node::Statistics Job::snapshot() const {
  {
    const std::lock_guard lock(mutex_);
    expect_own_process("statistics");
    member_.table("statistics", started());
  }
  const node::Statistics now = rank_->statistics();
  const std::lock_guard lock(mutex_);
  return ended_ ? statistics_ : now;  // the driver forgets what it has closed
}

Statistics Job::statistics() const { return member_.statistics(snapshot()); }

}  // namespace banyan::api
