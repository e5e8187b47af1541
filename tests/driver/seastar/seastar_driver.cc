// The Seastar driver in the contract suite.
#include <memory>
#include <seastar/core/coroutine.hh>
#include <seastar/core/future.hh>
#include <stdexcept>
#include <utility>
#include <variant>

#include "../driver_under_test.hh"
#include "driver/seastar/seastar_thread.hh"
#include "driver/seastar/shard.hh"

namespace banyan::driver_test {
namespace {

using driver::SeastarThread;

class SeastarRank final : public RankUnderTest {
 public:
  explicit SeastarRank(std::unique_ptr<driver::ShardRank> rank) : rank_(std::move(rank)) {}
  ~SeastarRank() override {
    SeastarThread::instance().run([this]() -> seastar::future<> {
      // Others may begin something meanwhile; the rank itself goes on this shard.
      const std::unique_ptr<driver::ShardRank> rank = std::move(rank_);
      co_await rank->close();
    });
  }
  void poke() override {
    SeastarThread::instance().run([this] {
      node::Call call;
      call.id = rank_->next_call_id();
      (void)rank_->submit(std::move(call)).discard_result();
      return seastar::make_ready_future<>();
    });
  }
  node::Statistics statistics() override {
    return SeastarThread::instance().run(
        [this] { return seastar::make_ready_future<node::Statistics>(rank_->statistics()); });
  }

 private:
  std::unique_ptr<driver::ShardRank> rank_;
};

class SeastarDriver final : public DriverUnderTest {
 public:
  SeastarDriver() {
    SeastarThread::instance().run([this] {
      shard_ = driver::Shard::make();
      return seastar::make_ready_future<>();
    });
  }
  ~SeastarDriver() override {
    SeastarThread::instance().run([this] { return driver::Shard::release(std::move(shard_)); });
  }
  std::unique_ptr<RankUnderTest> open(driver::RankOptions options, std::unique_ptr<engine::Machine> machine) override {
    using Opened = std::variant<std::unique_ptr<driver::ShardRank>, Failure>;
    Opened opened = SeastarThread::instance().run([this, &options, &machine] {
      auto result = shard_->open(std::move(options), [&machine](const node::Config&) { return std::move(machine); });
      if (const auto* rank = std::get_if<std::unique_ptr<driver::ShardRank>>(&result))
        (void)(*rank)->start().discard_result();
      return seastar::make_ready_future<Opened>(std::move(result));
    });
    if (const auto* failure = std::get_if<Failure>(&opened)) throw std::runtime_error(failure->text);
    return std::make_unique<SeastarRank>(std::get<std::unique_ptr<driver::ShardRank>>(std::move(opened)));
  }

 private:
  std::shared_ptr<driver::Shard> shard_;
};

const bool registered = register_driver(
    {"seastar", []() -> std::unique_ptr<DriverUnderTest> { return std::make_unique<SeastarDriver>(); }});

}  // namespace
}  // namespace banyan::driver_test
