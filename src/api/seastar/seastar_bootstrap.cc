// The public class: a thin shell around SeastarJob.
#include <algorithm>
#include <map>
#include <seastar/core/shared_future.hh>
#include <seastar/core/when_all.hh>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include <banyan/seastar_bootstrap.hpp>

#include "api/calls.hh"
#include "api/seastar/seastar_job.hh"

namespace banyan {
namespace {

Buffer buffer_of(const Payload& payload) {
  if (payload.empty()) return {};
  Slice slice = payload.flatten();
  auto* const data = const_cast<char*>(reinterpret_cast<const char*>(slice.data()));
  const std::size_t size = slice.size();
  return {data, size, seastar::make_object_deleter(std::move(slice))};
}

std::vector<Buffer> buffers_of(const driver::Outcome& outcome) {
  std::vector<Buffer> buffers;
  if (const auto* one = std::get_if<Payload>(&outcome)) {
    buffers.push_back(buffer_of(*one));
  } else if (const auto* many = std::get_if<std::vector<Payload>>(&outcome)) {
    buffers.reserve(many->size());
    for (const Payload& payload : *many) buffers.push_back(buffer_of(payload));
  }
  return buffers;
}

}  // namespace

// The whole job, or a group of its ranks: then it ends with that group.
class SeastarBootstrap::Implementation {
 public:
  Implementation() : job(std::make_shared<api::SeastarJob>()) {}
  Implementation(std::shared_ptr<api::SeastarJob> its_job, std::shared_ptr<api::Group> its_group)
      : job(std::move(its_job)), group(std::move(its_group)) {}
  ~Implementation() {
    if (group) {
      job->leave(*group);
    } else {
      job->end();
    }
  }
  Implementation(const Implementation&) = delete;
  Implementation& operator=(const Implementation&) = delete;

  seastar::future<Result> call(const detail::Call& call, seastar::abort_source* source) {
    try {
      const bool makes = api::makes_communicator(call.kind);
      return job->submit(call, group, source).then([job = job, group = group, makes](driver::Completed done) {
        Result result;
        if (makes) {
          if (auto made = api::Group::of_result(std::get<Payload>(done.outcome), *job->member().speaker_of(nullptr)))
            result.communicator = std::make_shared<Implementation>(job, std::move(made));
          return result;
        }
        result.messages = buffers_of(done.outcome);
        if (done.source != kNoRank) {
          const int sender = static_cast<int>(raw(done.source));
          result.source = group ? group->rank_of(sender) : sender;
        }
        return result;
      });
    } catch (...) {
      return seastar::current_exception_as_future<Result>();
    }
  }

  // What has been made for barriers of these ranks, or is being made. That takes no time: nobody is asked.
  seastar::future<std::shared_ptr<Implementation>> group_for_barrier(std::vector<int> ranks, Timeout timeout) {
    std::sort(ranks.begin(), ranks.end());
    const auto at = groups.find(ranks);
    if (at != groups.end() && !at->second.failed()) return at->second.get_future();
    detail::Call make{.kind = Kind::barrier_group, .timeout = timeout, .ranks = &ranks};
    auto made = call(make, nullptr).then([](Result result) { return std::move(result.communicator); });
    return groups.insert_or_assign(ranks, std::move(made)).first->second.get_future();
  }

  const std::shared_ptr<api::SeastarJob> job;
  const std::shared_ptr<api::Group> group;  // null: the whole job
  std::map<std::vector<int>, seastar::shared_future<std::shared_ptr<Implementation>>> groups;
};

SeastarBootstrap::SeastarBootstrap() : implementation_(std::make_shared<Implementation>()) {}
SeastarBootstrap::~SeastarBootstrap() = default;
SeastarBootstrap::SeastarBootstrap(SeastarBootstrap&&) noexcept = default;
SeastarBootstrap& SeastarBootstrap::operator=(SeastarBootstrap&&) noexcept = default;
SeastarBootstrap::SeastarBootstrap(std::shared_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}

// ---- Beginning and end

void SeastarBootstrap::init(Options options) { implementation_->job->init(std::move(options)); }
void SeastarBootstrap::set_blob(std::string_view blob) { implementation_->job->member().set_blob(blob); }

seastar::future<> SeastarBootstrap::start() { return implementation_->job->start(nullptr); }
seastar::future<> SeastarBootstrap::start(seastar::abort_source& source) {
  return implementation_->job->start(&source);
}

seastar::future<> SeastarBootstrap::stop() {
  if (!implementation_) return seastar::make_ready_future<>();
  implementation_->groups.clear();
  if (!implementation_->group) return implementation_->job->stop();
  implementation_->job->leave(*implementation_->group);
  return seastar::make_ready_future<>();
}

// ---- The job

int SeastarBootstrap::rank() const {
  if (implementation_->group) return implementation_->group->rank();
  implementation_->job->member().expect_initialised("rank");
  return implementation_->job->member().options().rank;
}

int SeastarBootstrap::world_size() const {
  if (implementation_->group) return implementation_->group->size();
  implementation_->job->member().expect_initialised("world_size");
  return implementation_->job->member().options().world_size;
}

int SeastarBootstrap::job_rank(int rank) const {
  const api::Member& member = implementation_->job->member();
  member.expect_initialised("job_rank");
  member.expect_rank("job_rank", "rank", rank, implementation_->group.get());
  return static_cast<int>(raw(api::job_rank(rank, implementation_->group.get())));
}

std::string SeastarBootstrap::host_of(int rank) const {
  const wire::Table& table = implementation_->job->table("host_of");
  implementation_->job->member().expect_rank("host_of", "rank", rank, implementation_->group.get());
  return table.host(api::job_rank(rank, implementation_->group.get()));
}

Statistics SeastarBootstrap::statistics() const { return implementation_->job->statistics(); }

// ---- Operations

seastar::future<SeastarBootstrap::Result> SeastarBootstrap::call(detail::Call call, Until until) {
  call.timeout = until.timeout();
  return implementation_->call(call, until.source());
}

seastar::future<SeastarBootstrap::Result> SeastarBootstrap::call(detail::Call call, Until until, Buffer message) {
  const auto kept = std::make_shared<Buffer>(std::move(message));
  call.message = MessageView(kept->get(), kept->size());
  call.keeper = kept;
  return this->call(std::move(call), until);
}

seastar::future<SeastarBootstrap::Result> SeastarBootstrap::call(detail::Call call, Until until,
                                                                 std::vector<Buffer> parts) {
  const auto kept = std::make_shared<std::vector<Buffer>>(std::move(parts));
  std::vector<MessageView> views;
  views.reserve(kept->size());
  for (const Buffer& part : *kept) views.emplace_back(part.get(), part.size());
  call.parts = &views;
  call.keeper = kept;
  return this->call(std::move(call), until);
}

seastar::future<> SeastarBootstrap::barrier(std::vector<int> ranks, Until until) {
  return implementation_->group_for_barrier(std::move(ranks), until.timeout()).then([until](const auto& made) {
    detail::Call call{.kind = Kind::barrier, .timeout = until.timeout()};
    return done(made->call(call, until.source())).finally([made] {});
  });
}

seastar::future<Buffer> SeastarBootstrap::sendrecv(int target, Buffer message, int source, std::uint32_t tag,
                                                   Until until) {
  const detail::Call receive{.kind = Kind::recv, .timeout = until.timeout(), .rank = source, .tag = tag};
  try {
    implementation_->job->expect_callable(receive, implementation_->group.get());
  } catch (...) {
    return seastar::current_exception_as_future<Buffer>();
  }
  seastar::future<> sending = send(target, std::move(message), tag, until);
  // Misuse: nothing has begun.
  if (sending.failed()) return seastar::make_exception_future<Buffer>(sending.get_exception());
  return seastar::when_all(std::move(sending), recv(source, tag, until))
      .then([](std::tuple<seastar::future<>, seastar::future<Buffer>> both) {
        auto& [sent, received] = both;
        if (sent.failed()) {
          received.ignore_ready_future();
          return seastar::make_exception_future<Buffer>(sent.get_exception());
        }
        return std::move(received);
      });
}

void SeastarBootstrap::expect_size(std::size_t actual, std::size_t expected) {
  if (actual == expected) return;
  throw Error(
      ErrorCode::mismatch, ErrorPhase::running,
      fmt::format("banyan: a message has {} bytes, and the caller expects a value of {}: all ranks must use the "
                  "same type",
                  actual, expected));
}

}  // namespace banyan
