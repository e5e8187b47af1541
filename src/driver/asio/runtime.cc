#include "driver/asio/runtime.hh"

#include <mutex>

#include "driver/asio/process.hh"
#include "driver/sockets/engine_runner.hh"

namespace banyan::driver {
namespace {

Failure parents_rank() {
  return Failure{FailureCode::misuse,
                 Phase::running,
                 {},
                 {},
                 "this rank belongs to the parent process; a child of fork() can't use it"};
}

}  // namespace

AsioProcess::AsioProcess()
    : loop([this] { return ranks.started_ranks > 0; },
           [this](const std::string& reason) {
             const auto all = ranks.runners;  // a callback may close some
             const Failure failure{FailureCode::resources, Phase::running, {}, {}, reason};
             for (const auto& runner : all) runner->fail(failure);
           }) {}

// --- Runtime ---

Runtime::Runtime() : process_(std::make_shared<AsioProcess>()) {}

std::shared_ptr<Runtime> Runtime::make() {
  prepare_process();
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
    new std::shared_ptr<AsioProcess>(process_);
    return;
  }
  const Process& ranks = process_->ranks;
  process_->loop.finish([&ranks] { return ranks.open_ranks == 0 && ranks.unwritten_links == 0; }, process_);
}

std::variant<std::unique_ptr<RankHandle>, Failure> Runtime::open(RankOptions options, const MakeMachine& make_machine) {
  if (process_->loop.forked()) return parents_rank();
  auto made = make_runner(process_->ranks, std::move(options), make_machine);
  if (auto* failure = std::get_if<Failure>(&made)) return std::move(*failure);
  auto& runner = std::get<std::shared_ptr<EngineRunner>>(made);
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
  Process* ranks = &runtime_->process_->ranks;
  ++ranks->open_ranks;
  runtime_->process_->loop.post([ranks, runner = runner_] {
    ranks->doorstep.admit_limits(runner->config().limits);
    ranks->runners.push_back(runner);
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
