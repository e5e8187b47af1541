// The public class: a thin shell around Job.
#include <string>
#include <utility>

#include <banyan/hierarchical_bootstrap.hpp>

#include "api/calls.hh"
#include "api/environment.hh"
#include "api/handle_implementation.hh"
#include "api/job.hh"
#include "api/unknown_variables.hh"
#include "driver/asio/rank_options.hh"

namespace banyan {

class HierarchicalBootstrap::Implementation : public api::Job {
 public:
  static Handle handle(Begun begun) {
    return Handle(std::make_shared<Handle::Implementation>(std::move(begun.operation), std::move(begun.speaker),
                                                           std::move(begun.watch)));
  }
};

HierarchicalBootstrap::HierarchicalBootstrap() : implementation_(std::make_unique<Implementation>()) {}
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

void HierarchicalBootstrap::init(Options options) { implementation_->init(std::move(options)); }
void HierarchicalBootstrap::set_blob(MessageView blob) { implementation_->set_blob(blob); }

void HierarchicalBootstrap::start() {
  implementation_->expect_no_callback("start");
  Implementation::handle(implementation_->start()).wait();
}
std::future<void> HierarchicalBootstrap::start_async() { return future_done(begin_start()); }
Handle HierarchicalBootstrap::begin_start() {
  Handle handle = Implementation::handle(implementation_->start());
  implementation_->run_in_background();
  return handle;
}
void HierarchicalBootstrap::close() { implementation_->close(); }

int HierarchicalBootstrap::rank() const { return implementation_->rank(); }
int HierarchicalBootstrap::world_size() const { return implementation_->world_size(); }
std::string HierarchicalBootstrap::host_of(int rank) const { return implementation_->host_of(rank); }
Statistics HierarchicalBootstrap::statistics() const { return implementation_->statistics(); }

void HierarchicalBootstrap::copy_blob(int rank, const std::function<void*(std::size_t)>& resize) const {
  const Payload blob = implementation_->blob_of(rank);
  blob.copy_to(static_cast<std::byte*>(resize(blob.size())));
}

Handle HierarchicalBootstrap::run(const detail::Call& call) {
  implementation_->expect_no_callback(api::name_of(call.kind));
  const api::Job::Turn turn = implementation_->take_turn(call);
  Handle handle = Implementation::handle(implementation_->submit(call));
  handle.wait();
  return handle;
}

void HierarchicalBootstrap::expect_may_run(const detail::Call& call) const {
  implementation_->expect_no_callback(api::name_of(call.kind));
  implementation_->expect_callable(call);
}

Handle HierarchicalBootstrap::begin(const detail::Call& call) {
  const api::Job::Turn turn = implementation_->take_turn(call);
  Handle handle = Implementation::handle(implementation_->submit(call));
  implementation_->run_in_background();
  return handle;
}

}  // namespace banyan
