#include "driver/seastar/shard.hh"

#include <chrono>
#include <seastar/core/coroutine.hh>
#include <seastar/core/sleep.hh>

#include "driver/sockets/engine_runner.hh"

namespace banyan::driver {
namespace {

// Between two looks whether everything has left, when a shard's last rank closes.
constexpr std::chrono::milliseconds kLookAgain{1};

thread_local std::weak_ptr<Shard> current;

class FuturePromise final : public Promise {
 public:
  seastar::future<Completed> future() { return promise_.get_future(); }
  void complete(Outcome outcome, Rank source) override {
    if (!std::exchange(done_, true)) promise_.set_value(Completed{std::move(outcome), source});
  }

 private:
  seastar::promise<Completed> promise_;
  bool done_ = false;
};

}  // namespace

std::shared_ptr<Shard> Shard::here() {
  std::shared_ptr<Shard> shard = current.lock();
  if (shard == nullptr) current = shard = make();
  return shard;
}

std::variant<std::unique_ptr<ShardRank>, Failure> Shard::open(RankOptions options, const MakeMachine& make_machine) {
  prepare_process();
  auto made = make_runner(*ranks_, std::move(options), make_machine);
  if (auto* failure = std::get_if<Failure>(&made)) return std::move(*failure);
  return std::make_unique<ShardRank>(shared_from_this(), std::get<std::shared_ptr<EngineRunner>>(std::move(made)));
}

seastar::future<> Shard::release(std::shared_ptr<Shard> shard) {
  if (shard.use_count() > 1) co_return;
  if (current.lock() == shard) current.reset();
  while (shard->ranks_->unwritten_links > 0) co_await seastar::sleep(kLookAgain);
  shard->ranks_.reset();
  co_await shard->reactor_.stop();
}

ShardRank::ShardRank(std::shared_ptr<Shard> shard, std::shared_ptr<EngineRunner> runner)
    : shard_(std::move(shard)), runner_(std::move(runner)) {
  Process& ranks = *shard_->ranks_;
  ++ranks.open_ranks;
  ranks.doorstep.admit_limits(runner_->config().limits);
  ranks.runners.push_back(runner_);
}

ShardRank::~ShardRank() { (void)close(); }

seastar::future<Completed> ShardRank::start() {
  const auto promise = std::make_shared<FuturePromise>();
  runner_->start(promise);
  return promise->future();
}

CallId ShardRank::next_call_id() { return runner_->next_call_id(); }

seastar::future<Completed> ShardRank::submit(node::Call call) {
  const auto promise = std::make_shared<FuturePromise>();
  runner_->call(std::move(call), promise);
  return promise->future();
}

seastar::future<> ShardRank::close() {
  if (shard_ == nullptr) return seastar::make_ready_future<>();
  runner_->close();
  return Shard::release(std::move(shard_));
}

node::Statistics ShardRank::statistics() const {
  return shard_ == nullptr ? node::Statistics{} : runner_->statistics();
}

const node::Config& ShardRank::config() const { return runner_->config(); }

}  // namespace banyan::driver
