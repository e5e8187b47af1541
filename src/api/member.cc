#include "api/member.hh"

#include <chrono>
#include <cstdint>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "api/calls.hh"
#include "api/configure.hh"
#include "base/limits.hh"
#include "driver/sockets/host_identity.hh"
#include "node/collective_blocks.hh"
#include "wire/table.hh"

namespace banyan::api {

void Member::refuse(const std::string& text, const Group* group) const {
  const ErrorPhase phase = state_ == State::closed    ? ErrorPhase::closing
                           : state_ == State::started ? ErrorPhase::running
                                                      : ErrorPhase::setup;
  throw_misuse(*speaker_of(group), phase, text);
}

// ---- Beginning and end

void Member::init(Options options) {
  if (state_ != State::fresh)
    refuse("init() was called a second time: a bootstrap serves one job, make another for the next");
  options.validate();
  if (options.host_name.empty()) options.host_name = driver::host_name();
  options_ = std::move(options);
  speaker_ = std::make_shared<const Speaker>(Speaker{options_.rank, options_.host_name});
  state_ = State::ready;
}

void Member::set_blob(MessageView blob) {
  if (state_ != State::ready) refuse("set_blob() belongs between init() and start()");
  if (blob.size() > kMaxBlobBytes) {
    refuse(fmt::format("the blob has {} bytes and may have {}: exchange the rest by allgather", blob.size(),
                       kMaxBlobBytes));
  }
  options_.blob.assign(reinterpret_cast<const char*>(blob.data()), blob.size());
}

void Member::expect_startable() const {
  if (state_ == State::fresh) refuse("start() was called before init(): say first who this rank is and where to meet");
  if (state_ == State::started)
    refuse("start() was called a second time: a bootstrap serves one job, make another for the next");
  if (state_ == State::closed) refuse(fmt::format("start() was called after {}(): make another bootstrap", end_));
}

bool Member::close() {
  if (state_ == State::fresh) refuse("close() was called before init()");
  if (state_ == State::closed) refuse("close() was called a second time");
  return std::exchange(state_, State::closed) == State::started;
}

// ---- Operations

void Member::expect_initialised(const char* caller) const {
  if (state_ == State::fresh) refuse(fmt::format("{}() was called before init()", caller));
}

void Member::expect_started(const char* caller, const Group* group) const {
  if (state_ == State::closed) {
    const char* const whose = group == nullptr ? "" : " of the communicator's job";
    refuse(fmt::format("{}() was called after {}(){}", caller, end_, whose), group);
  }
  if (state_ != State::started)
    refuse(fmt::format("{}() was called before start(): the order is init(), start(), operations", caller));
}

void Member::expect_rank(const char* caller, const char* role, int rank, const Group* group) const {
  if (rank >= 0 && rank < size_of(group)) return;
  refuse(fmt::format("{}(): {} is {}, and the ranks are 0 .. {}", caller, role, rank, size_of(group) - 1), group);
}

const wire::Table& Member::table(const char* caller, Start start) const {
  if (start == nullptr && state_ != State::started) expect_started(caller, nullptr);
  if (start == nullptr) refuse(fmt::format("{}() was called before start() was done", caller));
  if (const auto* failure = std::get_if<Failure>(start)) throw to_error(*failure, *speaker_);
  return *std::get<std::shared_ptr<const wire::Table>>(*start);
}

void Member::expect_callable(const detail::Call& call, const Group* group, Start start) const {
  const char* const name = name_of(call.kind);
  expect_started(name, group);
  table(name, start);
  if (group != nullptr && group->closed)
    refuse(fmt::format("{}() was called after {}() of this communicator", name, end_), group);
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

void Member::expect_timeout(const detail::Call& call, const Group* group) const {
  if (call.timeout.duration() >= Duration::zero()) return;
  refuse(fmt::format("{}(): the timeout is negative", name_of(call.kind)), group);
}

void Member::expect_sensible(const node::Collective& collective, const Group* group) const {
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

node::Call Member::prepare(const detail::Call& call, const Group* group, Time now) const {
  node::Call made = node_call(call, options_.rank, group);
  if (const auto* collective = std::get_if<node::Collective>(&made.operation)) expect_sensible(*collective, group);
  if (const auto* stored = std::get_if<node::StoreCall>(&made.operation)) {
    const auto failure = stored->misuse();
    if (failure && failure->code == FailureCode::misuse)
      throw_misuse(*speaker_of(group), ErrorPhase::running, failure->text);
    if (failure) throw to_error(*failure, *speaker_of(group));
  }
  const Timeout standard = options_.call_timeout.is_default() ? Options().call_timeout : options_.call_timeout;
  made.deadline = after(now, duration_of(call.timeout, standard));
  return made;
}

// ---- The job

std::optional<Payload> Member::own_blob(const detail::Call& call, const Group* group, Start start) const {
  const wire::Table& formed = table("peer_blob", start);
  expect_rank("peer_blob", "rank", call.rank, group);
  expect_timeout(call, group);
  const Rank owner = job_rank(call.rank, group);
  if (!formed.lazy()) return formed.blob(owner);
  if (static_cast<int>(raw(owner)) == options_.rank) return Payload::copy(options_.blob);
  return std::nullopt;
}

void Member::expect_owner_in_reach(const detail::Call& call, const Group* group, Start start) const {
  if (state_ != State::closed) return;
  const Rank owner = job_rank(call.rank, group);
  refuse(fmt::format("peer_blob() was called after {}(), and the blob of rank {} on {} is not here: ask for it "
                     "before, or set BANYAN_TABLE=eager at rank 0",
                     end_, raw(owner), table("peer_blob", start).host(owner)),
         group);
}

Statistics Member::statistics(const node::Statistics& now) const {
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
