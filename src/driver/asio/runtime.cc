#include "driver/asio/runtime.hh"

#include <mutex>

#include "driver/asio/engine_runner.hh"
#include "driver/asio/host_identity.hh"
#include "driver/asio/process.hh"

namespace banyan::driver {
namespace {

Failure bad_address(std::string text) {
  return Failure{FailureCode::bad_address, Phase::setup, {}, {}, std::move(text)};
}

Failure parents_rank() {
  return Failure{FailureCode::misuse,
                 Phase::running,
                 {},
                 {},
                 "this rank belongs to the parent process; a child of fork() can't use it"};
}

std::optional<Failure> check(const RankOptions& options) {
  const node::Config& config = options.config;
  const bool inherits = inherits_rendezvous(options);
  if (config.world_size > 1 && options.rendezvous.empty() && !inherits && config.hosts.empty()) {
    return bad_address("no rendezvous is known: set BANYAN_RENDEZVOUS to rank 0's host:port");
  }
  for (const HostAndPort& target : options.rendezvous) {
    if (target.host.empty()) return bad_address("the rendezvous address has no host");
    if (target.port == 0 && config.world_size > 1 && !inherits) {
      return bad_address(
          "port 0 as the rendezvous only does for a job of one rank: the others could not know the port");
    }
  }
  if (options.ports.low > options.ports.high || (options.ports.low == 0 && !options.ports.any())) {
    return bad_address("the port range " + std::to_string(options.ports.low) + "-" +
                       std::to_string(options.ports.high) + " is empty or begins with 0");
  }
  for (const std::string& host : config.hosts) {
    if (!HostAndPort::parse(host)) return bad_address("\"" + host + "\" in the list of hosts is not host:port");
  }
  return std::nullopt;
}

void complete_config(RankOptions& options) {
  node::Config& config = options.config;
  if (config.host_name.empty()) config.host_name = host_name();
  if (config.host_key.empty()) config.host_key = host_key();
  const RandomNumbers random = random_numbers();
  if (config.incarnation == Incarnation{}) config.incarnation = random.incarnation;
  if (config.seed == 0) config.seed = random.seed;
  if (config.entropy == decltype(config.entropy){}) config.entropy = random.entropy;
  config.uid = user_id();
  if (!config.rendezvous.empty()) return;
  for (const HostAndPort& target : options.rendezvous) {
    config.rendezvous += (config.rendezvous.empty() ? "" : ",") + target.to_string();
  }
}

}  // namespace

Process::Process()
    : loop([this](const std::string& reason) {
        const auto all = runners;  // a callback may close some
        for (const auto& runner : all) runner->fail(Failure{FailureCode::resources, Phase::running, {}, {}, reason});
      }) {}

// --- Runtime ---

Runtime::Runtime() : process_(std::make_shared<Process>()) {}

std::shared_ptr<Runtime> Runtime::make() {
  static std::once_flag once;
  std::call_once(once, raise_descriptor_limit);
  return std::shared_ptr<Runtime>(new Runtime());
}

std::shared_ptr<Runtime> Runtime::instance() {
  static std::mutex mutex;
  static std::weak_ptr<Runtime> current;
  const std::lock_guard lock(mutex);
  std::shared_ptr<Runtime> runtime = current.lock();
  if (runtime == nullptr || runtime->process_->loop.forked()) current = runtime = make();
  return runtime;
}

Runtime::~Runtime() {
  if (process_->loop.forked()) {
    // Closing the parent's epoll entries and joining a thread that is not here would harm both.
    new std::shared_ptr<Process>(process_);
    return;
  }
  Process* process = process_.get();
  process->loop.finish([process] { return process->open_ranks == 0 && process->unwritten_links == 0; }, process_);
}

std::variant<std::unique_ptr<RankHandle>, Failure> Runtime::open(RankOptions options, const MakeMachine& make_machine) {
  if (process_->loop.forked()) return parents_rank();
  if (std::optional<Failure> failure = check(options)) return *std::move(failure);
  InterfaceChoice choice;
  if (!options.interface.empty()) {
    auto chosen = choose_interface(options.interface);
    if (auto* reason = std::get_if<std::string>(&chosen)) return bad_address(std::move(*reason));
    choice = std::move(std::get<InterfaceChoice>(chosen));
  }
  complete_config(options);
  options.config.tables = process_->tables;
  options.config.share_memory = can_share_memory() ? share_memory : nullptr;
  std::unique_ptr<engine::Machine> machine = make_machine(options.config);
  auto runner = std::make_shared<EngineRunner>(*process_, std::move(options), std::move(choice), std::move(machine));
  return std::make_unique<RankHandle>(shared_from_this(), std::move(runner));
}

std::optional<Failure> Runtime::run_in_background() {
  if (process_->loop.forked()) return parents_rank();
  return process_->loop.run_in_background();
}

bool Runtime::in_callback() { return Loop::this_thread_drives(); }

// --- RankHandle ---

RankHandle::RankHandle(std::shared_ptr<Runtime> runtime, std::shared_ptr<EngineRunner> runner)
    : runtime_(std::move(runtime)), runner_(std::move(runner)) {
  Process* process = runtime_->process_.get();
  ++process->open_ranks;
  process->loop.post([process, runner_kept = runner_] {
    process->doorstep.admit_limits(runner_kept->config().limits);
    process->runners.push_back(runner_kept);
  });
}

RankHandle::~RankHandle() {
  if (forked()) {
    new std::shared_ptr<EngineRunner>(runner_);  // for the reason in ~Runtime
    return;
  }
  close();
}

std::shared_ptr<Operation> RankHandle::new_operation() const {
  return std::make_shared<Operation>(std::shared_ptr<Loop>(runtime_->process_, &runtime_->process_->loop));
}

std::shared_ptr<Operation> RankHandle::start() {
  std::shared_ptr<Operation> operation = new_operation();
  if (forked()) {
    operation->complete(parents_rank());
  } else {
    runtime_->process_->loop.post([runner = runner_, operation] { runner->start(operation); });
  }
  return operation;
}

std::shared_ptr<Operation> RankHandle::submit(node::Call call) {
  std::shared_ptr<Operation> operation = new_operation();
  if (forked()) {
    operation->complete(parents_rank());
    return operation;
  }
  call.id = runner_->next_call_id();
  runtime_->process_->loop.post([runner = runner_, operation, call = std::move(call)]() mutable {
    runner->call(std::move(call), std::move(operation));
  });
  return operation;
}

std::shared_ptr<Operation> RankHandle::completed(Outcome outcome) const {
  std::shared_ptr<Operation> operation = new_operation();
  operation->complete(std::move(outcome));
  return operation;
}

void RankHandle::close() {
  if (forked()) return;
  runtime_->process_->loop.post_or_run([runner = runner_] { runner->close(); });
}

std::optional<Failure> RankHandle::failure() const { return runner_->failure(); }

node::Statistics RankHandle::statistics() const {
  node::Statistics result;
  if (forked()) return result;
  runtime_->process_->loop.run([this, &result] { result = runner_->statistics(); });
  return result;
}

bool RankHandle::forked() const { return runtime_->process_->loop.forked(); }

const node::Config& RankHandle::config() const { return runner_->config(); }

}  // namespace banyan::driver
