// The public class: a thin shell around Job.
#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <banyan/hierarchical_bootstrap.hpp>

#include "api/calls.hh"
#include "api/environment.hh"
#include "api/handle_implementation.hh"
#include "api/job.hh"
#include "api/unknown_variables.hh"
#include "driver/sockets/rank_options.hh"

namespace banyan {

// The whole job, or a group of its ranks: then it ends with that group.
class HierarchicalBootstrap::Implementation {
 public:
  Implementation() : job(std::make_shared<api::Job>()) {}
  Implementation(std::shared_ptr<api::Job> its_job, std::shared_ptr<api::Group> its_group)
      : job(std::move(its_job)), group(std::move(its_group)) {}
  ~Implementation() {
    if (group) {
      job->leave_quietly(*group);
    } else {
      job->close_quietly();
    }
  }
  Implementation(const Implementation&) = delete;
  Implementation& operator=(const Implementation&) = delete;

  static Handle handle(api::Job::Begun begun) {
    return Handle(std::make_shared<Handle::Implementation>(std::move(begun.operation), std::move(begun.speaker),
                                                           std::move(begun.watch), std::move(begun.group),
                                                           std::move(begun.maker)));
  }
  static HierarchicalBootstrap made_by(const std::shared_ptr<api::Job>& job, const Handle& split) {
    Handle::Implementation& handle = *split.implementation_;
    if (!handle.makes_communicator_of(job)) {
      job->refuse_call("made_by() was called with what is no split of this job: it takes what begin_split() gave",
                       nullptr);
    }
    const Payload& result = handle.message(0);
    if (!handle.take_communicator()) {
      job->refuse_call("made_by() was called a second time with a split, which makes one communicator: keep that",
                       nullptr);
    }
    std::shared_ptr<api::Group> group = job->group_of(result);
    if (!group) return HierarchicalBootstrap(nullptr);
    return HierarchicalBootstrap(std::make_unique<Implementation>(job, std::move(group)));
  }
  // What has been made for barriers of these ranks. Null: nothing yet, and the caller is the one to make it.
  HierarchicalBootstrap* find_or_begin_group(const std::vector<int>& ranks) {
    const std::lock_guard lock(groups_mutex);
    const auto at = groups.find(ranks);
    if (at != groups.end() && at->second.valid()) return &at->second;
    if (driver::Runtime::in_callback()) {
      job->refuse_call(
          "the first barrier() of these ranks was called in a callback of Banyan, where nothing may wait, and it makes "
          "a communicator of them: call one before",
          group.get());
    }
    if (at != groups.end()) {
      job->refuse_call(
          "barrier() was called while another thread is in the first one of these ranks: the ranks could not agree on "
          "the order of the two; let one thread make these calls, or begin them one after the other",
          group.get());
    }
    groups.emplace(ranks, HierarchicalBootstrap(nullptr));
    return nullptr;
  }
  // Before what only the whole job has.
  api::Job& whole_job(const char* caller) const {
    if (group) {
      job->refuse_call(std::string(caller) + "() was called of a communicator, whose job has started long since",
                       group.get());
    }
    return *job;
  }

  const std::shared_ptr<api::Job> job;
  const std::shared_ptr<api::Group> group;

  // The groups that barriers of some ranks have been called on, by their ranks; not valid() while one is being made.
  // The mutex is never held while the driver may run: a callback may begin a barrier.
  std::mutex groups_mutex;
  std::map<std::vector<int>, HierarchicalBootstrap> groups;
};

HierarchicalBootstrap::HierarchicalBootstrap() : implementation_(std::make_unique<Implementation>()) {}
HierarchicalBootstrap::HierarchicalBootstrap(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
HierarchicalBootstrap::~HierarchicalBootstrap() = default;
HierarchicalBootstrap::HierarchicalBootstrap(HierarchicalBootstrap&&) noexcept = default;
HierarchicalBootstrap& HierarchicalBootstrap::operator=(HierarchicalBootstrap&&) noexcept = default;

void HierarchicalBootstrap::init(int rank, int total_ranks, const std::string& address, int port) {
  Options options = api::process_options_from(api::Environment::of_process());
  api::warn_of_unknown_variables(options.log_level);
  options.rank = rank;
  options.world_size = total_ranks;
  options.rendezvous = driver::join_host_and_port(address, port);
  init(std::move(options));
}

void HierarchicalBootstrap::init(Options options) { implementation_->whole_job("init").init(std::move(options)); }
void HierarchicalBootstrap::set_blob(MessageView blob) { implementation_->whole_job("set_blob").set_blob(blob); }

void HierarchicalBootstrap::start() {
  api::Job& job = implementation_->whole_job("start");
  job.expect_no_callback("start");
  Implementation::handle(job.start()).wait();
}
std::future<void> HierarchicalBootstrap::start_async() { return future_done(begin_start()); }
Handle HierarchicalBootstrap::begin_start() {
  api::Job& job = implementation_->whole_job("start");
  Handle handle = Implementation::handle(job.start());
  job.run_in_background();
  return handle;
}
void HierarchicalBootstrap::close() {
  if (implementation_->group) {
    implementation_->job->leave(*implementation_->group);
  } else {
    implementation_->job->close();
  }
}

int HierarchicalBootstrap::rank() const {
  return implementation_->group ? implementation_->group->rank() : implementation_->job->rank();
}
int HierarchicalBootstrap::world_size() const {
  return implementation_->group ? implementation_->group->size() : implementation_->job->world_size();
}
std::string HierarchicalBootstrap::host_of(int rank) const {
  return implementation_->job->host_of(rank, implementation_->group.get());
}
int HierarchicalBootstrap::job_rank(int rank) const {
  return implementation_->job->job_rank_of(rank, implementation_->group.get());
}
Statistics HierarchicalBootstrap::statistics() const { return implementation_->job->statistics(); }

void HierarchicalBootstrap::copy_blob(const detail::Call& call, const std::function<void*(std::size_t)>& resize) const {
  std::optional<Payload> blob = implementation_->job->blob_at_hand(call, implementation_->group.get());
  if (!blob) blob = run(call).implementation_->message(0);
  blob->copy_to(static_cast<std::byte*>(resize(blob->size())));
}

HierarchicalBootstrap HierarchicalBootstrap::made_by(const Handle& split) const {
  return Implementation::made_by(implementation_->job, split);
}

std::future<HierarchicalBootstrap> HierarchicalBootstrap::split_async(int color, int key, Timeout timeout) {
  return detail::future_of(begin_split(color, key, timeout), [job = implementation_->job](const Handle& done) {
    return Implementation::made_by(job, done);
  });
}

HierarchicalBootstrap& HierarchicalBootstrap::group_for_barrier(std::vector<int> ranks) {
  std::sort(ranks.begin(), ranks.end());
  if (HierarchicalBootstrap* const made = implementation_->find_or_begin_group(ranks)) return *made;
  try {
    detail::Call call{Kind::barrier_group, {}};
    call.ranks = &ranks;
    HierarchicalBootstrap made = made_by(run(call));
    const std::lock_guard lock(implementation_->groups_mutex);
    return implementation_->groups.at(ranks) = std::move(made);
  } catch (...) {
    const std::lock_guard lock(implementation_->groups_mutex);
    implementation_->groups.erase(ranks);
    throw;
  }
}

Handle HierarchicalBootstrap::run(const detail::Call& call) const {
  api::Job& job = *implementation_->job;
  job.expect_no_callback(api::name_of(call.kind));
  const api::Job::Turn turn = job.take_turn(call, implementation_->group);
  Handle handle = Implementation::handle(job.submit(call, implementation_->group));
  handle.wait();
  return handle;
}

void HierarchicalBootstrap::expect_may_run(const detail::Call& call) const {
  implementation_->job->expect_no_callback(api::name_of(call.kind));
  implementation_->job->expect_callable(call, implementation_->group.get());
}

Handle HierarchicalBootstrap::begin(const detail::Call& call) const {
  api::Job& job = *implementation_->job;
  const api::Job::Turn turn = job.take_turn(call, implementation_->group);
  Handle handle = Implementation::handle(job.submit(call, implementation_->group));
  job.run_in_background();
  return handle;
}

}  // namespace banyan
