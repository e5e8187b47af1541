#include "api/job.hh"

#include <chrono>
#include <cstdint>
#include <exception>
#include <system_error>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "api/calls.hh"
#include "api/configure.hh"
#include "api/progress.hh"
#include "base/limits.hh"
#include "driver/asio/clock.hh"
#include "driver/asio/host_identity.hh"
#include "node/collective_blocks.hh"
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

void say_when_formed(const Log& log, const Progress& progress, Time began, const driver::Outcome& outcome) {
  const auto* table = std::get_if<std::shared_ptr<const wire::Table>>(&outcome);
  if (table == nullptr || !(progress.wanted() || log.wants(LogLevel::info))) return;
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(driver::now() - began).count();
  const auto counted = [](std::uint32_t count, const char* what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
  };
  const std::string text = fmt::format("formed {} on {} in {} ms", counted((*table)->world_size(), "rank"),
                                       counted((*table)->hosts(), "host"), milliseconds);
  progress.line(text);
  log.say(LogLevel::info, text);
}

std::shared_ptr<Watch> watch_over(const std::shared_ptr<driver::Operation>& operation, Watch::Before before) {
  auto watch = std::make_shared<Watch>(std::move(before));
  operation->on_done([watch](const driver::Outcome& outcome) { watch->on_done(outcome); });
  return watch;
}

}  // namespace

void Job::close_quietly() {
  if (state_ != State::started || rank_->forked()) return;
  try {
    if (!driver::Runtime::in_callback()) return close();
    // Now, and not with this object: communicators and callbacks may hold it for as long as the others wait for it.
    {
      const std::lock_guard lock(mutex_);
      state_ = State::closed;
    }
    end_rank();
  } catch (const std::exception& error) {
    log_.say(LogLevel::debug, error.what());
  }
}

void Job::refuse(const std::string& text, const Group* group) const {
  const ErrorPhase phase = state_ == State::closed    ? ErrorPhase::closing
                           : state_ == State::started ? ErrorPhase::running
                                                      : ErrorPhase::setup;
  throw_misuse(*speaker_of(group), phase, text);
}

void Job::refuse_call(const std::string& text, const Group* group) const {
  const std::lock_guard lock(mutex_);
  refuse(text, group);
}

void Job::expect_no_callback(const char* caller) const {
  if (!driver::Runtime::in_callback()) return;
  const std::lock_guard lock(mutex_);
  refuse(
      fmt::format("{}() was called in a callback of Banyan, where nothing may wait: leave it to another thread, or "
                  "begin it and go on in its own callback",
                  caller));
}

void Job::expect_own_process(const char* caller) const {
  if (!rank_ || !rank_->forked()) return;
  refuse(fmt::format("{}(): this bootstrap belongs to the parent process; a child of fork() can't use it", caller));
}

// ---- Beginning and end

void Job::init(Options options) {
  const std::lock_guard lock(mutex_);
  if (state_ != State::fresh)
    refuse("init() was called a second time: a bootstrap serves one job, make another for the next");
  options.validate();
  if (options.host_name.empty()) options.host_name = driver::host_name();
  options_ = std::move(options);
  speaker_ = std::make_shared<const Speaker>(Speaker{options_.rank, options_.host_name});
  log_ = Log(options_.log_level, *speaker_);
  state_ = State::ready;
}

void Job::set_blob(MessageView blob) {
  const std::lock_guard lock(mutex_);
  if (state_ != State::ready) refuse("set_blob() belongs between init() and start()");
  if (blob.size() > kMaxBlobBytes) {
    refuse(fmt::format("the blob has {} bytes and may have {}: exchange the rest by allgather", blob.size(),
                       kMaxBlobBytes));
  }
  options_.blob.assign(reinterpret_cast<const char*>(blob.data()), blob.size());
}

Job::Begun Job::start() {
  const std::lock_guard lock(mutex_);
  if (state_ == State::fresh) refuse("start() was called before init(): say first who this rank is and where to meet");
  if (state_ == State::started)
    refuse("start() was called a second time: a bootstrap serves one job, make another for the next");
  if (state_ == State::closed) refuse("start() was called after close(): make another bootstrap");

  driver::RankOptions rank_options = configure(options_);
  if (options_.rank == 0 && options_.world_size > 1 && options_.secret.empty() && !options_.allow_no_secret) {
    warn_of_missing_secret(log_, rank_options.config.rendezvous);
  }
  const Progress progress(options_.rank == 0 ? options_.progress_fd : -1);
  rank_options.on_notice = [log = log_, progress](const node::effect::Notice& notice) {
    if (notice.progress) progress.line(notice.text);
    const bool warning = notice.level == node::effect::Notice::Level::warning;
    log.say(warning ? LogLevel::warning : LogLevel::info, notice.text);
  };
  // Whoever waits for an operation is told by its error; this is for those who only read the log.
  rank_options.on_failed = [log = log_](const Failure& failure) {
    log.say(LogLevel::info, fmt::format("{}: {}", to_string(failure.phase), failure.text));
  };

  runtime_ = make_runtime(*speaker_);
  auto opened = runtime_->open(std::move(rank_options));
  if (const auto* failure = std::get_if<Failure>(&opened)) throw to_error(*failure, *speaker_);
  rank_ = std::move(std::get<std::unique_ptr<driver::RankHandle>>(opened));
  state_ = State::started;

  const Time began = driver::now();
  start_ = rank_->start();
  auto watch = watch_over(start_, [log = log_, progress, began](const driver::Outcome& outcome) {
    say_when_formed(log, progress, began, outcome);
  });
  return {start_, speaker_, watch, nullptr, {}};
}

void Job::close() {
  expect_no_callback("close");
  {
    const std::lock_guard lock(mutex_);
    expect_own_process("close");
    if (state_ == State::fresh) refuse("close() was called before init()");
    if (state_ == State::closed) refuse("close() was called a second time");
    if (std::exchange(state_, State::closed) == State::ready) return;
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

void Job::expect_started(const char* caller, const Group* group) const {
  if (state_ == State::closed) {
    const char* const whose = group == nullptr ? "" : " of the communicator's job";
    refuse(fmt::format("{}() was called after close(){}", caller, whose), group);
  }
  if (state_ != State::started)
    refuse(fmt::format("{}() was called before start(): the order is init(), start(), operations", caller));
}

void Job::expect_rank(const char* caller, const char* role, int rank, const Group* group) const {
  if (rank >= 0 && rank < size_of(group)) return;
  refuse(fmt::format("{}(): {} is {}, and the ranks are 0 .. {}", caller, role, rank, size_of(group) - 1), group);
}

const wire::Table& Job::table(const char* caller) const {
  if (!start_) expect_started(caller);
  if (!start_ || !start_->done()) refuse(fmt::format("{}() was called before start() was done", caller));
  const driver::Outcome& outcome = start_->outcome();
  if (const auto* failure = std::get_if<Failure>(&outcome)) throw to_error(*failure, *speaker_);
  return *std::get<std::shared_ptr<const wire::Table>>(outcome);
}

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
  const char* const name = name_of(call.kind);
  const std::lock_guard lock(mutex_);
  expect_started(name, group);
  table(name);
  if (group != nullptr && group->closed)
    refuse(fmt::format("{}() was called after close() of this communicator", name), group);
  if (const char* const role = role_of(call.kind)) expect_rank(name, role, call.rank, group);
  const bool scatters = call.kind == detail::Call::Kind::scatter && call.rank == rank_in(group);
  if ((scatters || call.kind == detail::Call::Kind::alltoall) &&
      call.parts->size() != static_cast<std::size_t>(size_of(group))) {
    refuse(fmt::format("{}(): {} gives {} parts to {} ranks: it must give one to each", name,
                       scatters ? "the root" : "this rank", call.parts->size(), size_of(group)),
           group);
  }
  if (call.kind == detail::Call::Kind::split && call.color < kNoColor)
    refuse(fmt::format("split(): color is {}, and may be 0 or more, or kNoColor", call.color), group);
  if (call.message.size() > kMaxMessageBytes) {
    throw to_error(
        {FailureCode::too_large,
         Phase::running,
         {},
         {},
         fmt::format("{}(): the message has {} bytes and may have {}", name, call.message.size(), kMaxMessageBytes)},
        *speaker_of(group));
  }
  expect_timeout(call, group);
}

void Job::expect_timeout(const detail::Call& call, const Group* group) const {
  if (call.timeout.duration() >= Duration::zero()) return;
  refuse(fmt::format("{}(): the timeout is negative", name_of(call.kind)), group);
}

void Job::expect_sensible(const node::Collective& collective, const Group* group) const {
  const wire::CallSignature& call = collective.call;
  const auto ranks = static_cast<std::uint32_t>(size_of(group));
  if (!call.valid(ranks)) {
    throw_misuse(*speaker_of(group), ErrorPhase::running,
                 call.to_string() + " does not exist: bitwise reductions are for integers");
  }
  if (call.kind != wire::CollectiveKind::reduce_scatter) return;
  if (const auto obstacle = node::obstacle_to_blocks(call, collective.counts, ranks))
    throw_misuse(*speaker_of(group), ErrorPhase::running, call.to_string() + " " + *obstacle);
}

Job::Begun Job::submit(const detail::Call& call, const std::shared_ptr<Group>& group) {
  if (call.kind == detail::Call::Kind::peer_blob) {
    if (auto blob = blob_at_hand(call, group.get()))
      return {rank_->completed(*std::move(blob)), speaker_of(group.get()), nullptr, group, {}};
  }
  expect_callable(call, group.get());
  node::Call made = node_call(call, options_.rank, group.get());
  if (const auto* collective = std::get_if<node::Collective>(&made.operation))
    expect_sensible(*collective, group.get());
  if (const auto* stored = std::get_if<node::StoreCall>(&made.operation)) {
    const auto failure = stored->misuse();
    if (failure && failure->code == FailureCode::misuse)
      throw_misuse(*speaker_of(group.get()), ErrorPhase::running, failure->text);
    if (failure) throw to_error(*failure, *speaker_of(group.get()));
  }
  const Timeout standard = options_.call_timeout.is_default() ? Options().call_timeout : options_.call_timeout;
  made.deadline = after(driver::now(), duration_of(call.timeout, standard));
  const bool makes = makes_communicator(call.kind);
  const auto operation = rank_->submit(std::move(made));
  std::shared_ptr<Watch> watch;
  if (call.kind == detail::Call::Kind::peer_blob) {
    watch = watch_over(
        operation, [blobs = fetched_blobs_, owner = job_rank(call.rank, group.get())](const driver::Outcome& outcome) {
          if (const auto* blob = std::get_if<Payload>(&outcome)) blobs->keep(owner, *blob);
        });
  }
  return {operation, speaker_of(group.get()), watch, group, makes ? weak_from_this() : std::weak_ptr<const Job>()};
}

std::shared_ptr<Group> Job::group_of(const Payload& result) const { return Group::of_result(result, *speaker_); }

void Job::leave(Group& group) {
  {
    const std::lock_guard lock(mutex_);
    expect_own_process("close");
    if (group.closed.exchange(true)) refuse("close() of this communicator was called a second time", &group);
    if (state_ != State::started) return;
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
  if (const auto failure = runtime_->run_in_background()) throw to_error(*failure, *speaker_);
}

// ---- The job

int Job::rank() const {
  const std::lock_guard lock(mutex_);
  if (state_ == State::fresh) refuse("rank() was called before init()");
  return options_.rank;
}

int Job::world_size() const {
  const std::lock_guard lock(mutex_);
  if (state_ == State::fresh) refuse("world_size() was called before init()");
  return options_.world_size;
}

std::string Job::host_of(int rank, const Group* group) const {
  const std::lock_guard lock(mutex_);
  const wire::Table& formed = table("host_of");
  expect_rank("host_of", "rank", rank, group);
  return formed.host(job_rank(rank, group));
}

std::optional<Payload> Job::blob_at_hand(const detail::Call& call, const Group* group) const {
  const std::lock_guard lock(mutex_);
  const wire::Table& formed = table("peer_blob");
  expect_rank("peer_blob", "rank", call.rank, group);
  expect_timeout(call, group);
  const Rank owner = job_rank(call.rank, group);
  if (!formed.lazy()) return formed.blob(owner);
  if (static_cast<int>(raw(owner)) == options_.rank) return Payload::copy(options_.blob);
  expect_own_process("peer_blob");
  if (auto blob = fetched_blobs_->find(owner)) return blob;
  if (state_ == State::closed) {
    refuse(fmt::format("peer_blob() was called after close(), and the blob of rank {} on {} is not here: ask for it "
                       "before, or set BANYAN_TABLE=eager at rank 0",
                       raw(owner), formed.host(owner)),
           group);
  }
  return std::nullopt;
}

int Job::job_rank_of(int rank, const Group* group) const {
  const std::lock_guard lock(mutex_);
  if (state_ == State::fresh) refuse("job_rank() was called before init()");
  expect_rank("job_rank", "rank", rank, group);
  return static_cast<int>(raw(job_rank(rank, group)));
}

node::Statistics Job::snapshot() const {
  {
    const std::lock_guard lock(mutex_);
    expect_own_process("statistics");
    table("statistics");
  }
  const node::Statistics now = rank_->statistics();
  const std::lock_guard lock(mutex_);
  return ended_ ? statistics_ : now;  // the driver forgets what it has closed
}

Statistics Job::statistics() const {
  const node::Statistics now = snapshot();
  Statistics statistics;
  statistics.ranks = options_.world_size;
  statistics.hosts = static_cast<int>(now.hosts);
  statistics.depth = static_cast<int>(now.depth);
  statistics.tree_links = static_cast<int>(now.tree_links);
  statistics.tree_links_peak = static_cast<int>(now.tree_links_peak);
  statistics.local_links = static_cast<int>(now.local_links);
  statistics.direct_links = static_cast<int>(now.direct_links);
  statistics.direct_links_opened = now.direct_links_opened;
  statistics.direct_links_lost = now.direct_links_lost;
  statistics.turned_away = now.turned_away;
  statistics.unexpected_bytes = now.unexpected_bytes;
  const auto ms = [](Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); };
  statistics.placed_ms = ms(now.placed);
  statistics.table_ms = ms(now.table_begun);
  statistics.formed_ms = ms(now.formed);
  return statistics;
}

}  // namespace banyan::api
