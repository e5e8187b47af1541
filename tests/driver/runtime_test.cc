// The Asio runtime towards the API: who drives, how operations end, and what close, failure and fork() do. Not part of
// the contract: another driver has its own way to run.
#include "driver/asio/runtime.hh"

#include <poll.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <future>
#include <thread>

#include <gtest/gtest.h>

#include "driver/sockets/child_of_fork.hh"
#include "raw_peer.hh"
#include "scripted_machine.hh"

namespace banyan::driver_test {
namespace {

using driver::Operation;
using driver::Outcome;
using driver::RankHandle;
using driver::Runtime;
namespace input = engine::input;

std::size_t threads() {
  const auto list = std::filesystem::directory_iterator("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(list), end(list)));
}

// Forms after two ticks, so that the driver has something to do; answers calls with their target's number.
class QuickMachine final : public engine::Machine {
 public:
  void handle(Time now, engine::Input input) override {
    if (std::holds_alternative<input::Start>(input)) deadline_ = now + std::chrono::milliseconds(1);
    if (std::holds_alternative<input::Tick>(input)) {
      deadline_ = ++ticks_ < 2 ? Time{} : kNever;
      if (ticks_ == 2) output_ = node::effect::Formed{};
    }
    if (const auto* call = std::get_if<node::Call>(&input)) {
      if (std::holds_alternative<node::Receive>(call->operation)) return;  // never comes
      const auto& send = std::get<node::Send>(call->operation);
      output_ = node::Completion{call->id, Payload::copy(std::to_string(raw(send.target)))};
    }
  }
  engine::Output poll() override {
    if (output_) return *std::exchange(output_, std::nullopt);
    return engine::output::Wait{deadline_};
  }
  node::Statistics statistics() const override {
    node::Statistics result;
    result.hosts = ticks_;
    return result;
  }
  JobId job() const override { return {}; }

 private:
  std::uint32_t ticks_ = 0;
  Time deadline_ = kNever;
  std::optional<engine::Output> output_;
};

std::unique_ptr<RankHandle> open(Runtime& runtime, driver::RankOptions options = Rig::default_options()) {
  auto opened = runtime.open(std::move(options), [](const node::Config&) { return std::make_unique<QuickMachine>(); });
  return std::get<std::unique_ptr<RankHandle>>(std::move(opened));
}

std::string bytes_of(const Operation& operation) { return std::get<Payload>(operation.outcome()).to_string(); }

node::Call send_to(std::uint32_t target) {
  node::Call call;
  call.operation = node::Send{Rank{target}, 0, {}};
  return call;
}
node::Call receive() {
  node::Call call;
  call.operation = node::Receive{};
  return call;
}

bool formed(const Operation& operation) {
  return std::holds_alternative<std::shared_ptr<const wire::Table>>(operation.outcome());
}

TEST(AsioRuntime, a_start_that_is_waited_for_needs_no_thread_and_then_there_is_one_however_many_ranks) {
  std::thread([] {}).join();  // TSan makes a thread of its own with the first
  const std::size_t before = threads();
  const auto runtime = Runtime::make();
  const auto first = open(*runtime);
  const auto start = first->start();
  EXPECT_EQ(threads(), before);
  EXPECT_FALSE(start->done());
  start->wait();
  EXPECT_TRUE(formed(*start));
  EXPECT_EQ(threads(), before + 1);
  const auto second = open(*runtime);
  const auto start_second = second->start();
  start_second->wait();
  EXPECT_TRUE(formed(*start_second));
  EXPECT_EQ(threads(), before + 1);
}

TEST(AsioRuntime, calls_are_answered) {
  const auto runtime = Runtime::make();
  const auto rank = open(*runtime);
  rank->start()->wait();
  for (std::uint32_t i = 0; i < 100; ++i) {
    const auto operation = rank->submit(send_to(i));
    operation->wait();
    EXPECT_EQ(bytes_of(*operation), std::to_string(i));
  }
  EXPECT_EQ(rank->statistics().hosts, 2u);
}

TEST(AsioRuntime, many_threads_start_their_ranks_at_once) {
  const auto runtime = Runtime::make();
  std::vector<std::thread> callers;
  std::atomic<int> done{0};
  for (int i = 0; i < 32; ++i) {
    callers.emplace_back([&, i] {
      const auto rank = open(*runtime);
      const auto start = rank->start();
      start->wait();
      const auto call = rank->submit(send_to(static_cast<std::uint32_t>(i)));
      call->wait();
      if (formed(*start) && bytes_of(*call) == std::to_string(i)) ++done;
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(done, 32);
}

TEST(AsioRuntime, one_thread_starts_thousands_of_ranks_in_the_background) {
  std::thread([] {}).join();
  const std::size_t before = threads();
  const auto runtime = Runtime::make();
  ASSERT_EQ(runtime->run_in_background(), std::nullopt);
  std::vector<std::unique_ptr<RankHandle>> ranks;
  std::vector<std::shared_ptr<Operation>> starts;
  for (int i = 0; i < 4096; ++i) {
    ranks.push_back(open(*runtime));
    starts.push_back(ranks.back()->start());
  }
  EXPECT_EQ(threads(), before + 1);
  for (const auto& start : starts) {
    start->wait();
    EXPECT_TRUE(formed(*start));
  }
}

TEST(AsioRuntime, an_operation_can_be_polled_and_called_back) {
  const auto runtime = Runtime::make();
  ASSERT_EQ(runtime->run_in_background(), std::nullopt);
  const auto rank = open(*runtime);
  const auto start = rank->start();
  pollfd entry{start->descriptor(), POLLIN, 0};
  ASSERT_GE(entry.fd, 0);
  EXPECT_EQ(::poll(&entry, 1, 20'000), 1);
  EXPECT_TRUE(start->done());
  std::promise<std::string> answer;
  rank->submit(send_to(5))->on_done([&](const Outcome& outcome) {
    answer.set_value(std::get<Payload>(outcome).to_string());
  });
  EXPECT_EQ(answer.get_future().get(), "5");
  // Asked for afterwards, both know already.
  pollfd late{start->descriptor(), POLLIN, 0};
  EXPECT_EQ(::poll(&late, 1, 0), 1);
  bool called = false;
  start->on_done([&](const Outcome&) { called = true; });
  EXPECT_TRUE(called);
}

TEST(AsioRuntime, waiting_can_be_limited_and_goes_on_later) {
  const auto runtime = Runtime::make();
  const auto rank = open(*runtime);
  const auto start = rank->start();
  while (!start->wait_until(driver::now() + std::chrono::microseconds(100))) {
  }
  EXPECT_TRUE(formed(*start));
  const auto never = rank->submit(receive());
  EXPECT_FALSE(never->wait_until(driver::now() + std::chrono::milliseconds(20)));
}

TEST(AsioRuntime, closing_ends_what_is_pending_wherever_it_is_waited_for) {
  const auto runtime = Runtime::make();
  const auto rank = open(*runtime);
  rank->start()->wait();
  const auto pending = rank->submit(receive());
  std::thread closer([&] { rank->close(); });
  pending->wait();
  closer.join();
  EXPECT_EQ(std::get<Failure>(pending->outcome()).code, FailureCode::closed);
  const auto late = rank->submit(send_to(1));
  late->wait();
  EXPECT_EQ(std::get<Failure>(late->outcome()).code, FailureCode::closed);
}

TEST(AsioRuntime, a_handle_can_be_dropped_in_a_callback) {
  auto runtime = Runtime::make();
  auto rank = open(*runtime);
  rank->start()->wait();
  RankHandle& handle = *rank;
  std::promise<void> dropped;
  handle.submit(send_to(1))
      ->on_done(
          [rank = std::make_shared<std::unique_ptr<RankHandle>>(std::move(rank)), &runtime, &dropped](const Outcome&) {
            rank->reset();
            runtime.reset();
            dropped.set_value();
          });
  dropped.get_future().wait();
}

TEST(AsioRuntime, the_process_shares_one_runtime_as_long_as_a_rank_is_open) {
  std::weak_ptr<Runtime> first;
  {
    const auto rank = open(*Runtime::instance());
    first = Runtime::instance();
    EXPECT_FALSE(first.expired());
    EXPECT_EQ(first.lock(), Runtime::instance());
  }
  EXPECT_TRUE(first.expired());
}

TEST(AsioRuntime, starting_twice_or_calling_before_is_misuse) {
  const auto runtime = Runtime::make();
  const auto rank = open(*runtime);
  const auto early = rank->submit(send_to(1));
  early->wait();
  EXPECT_EQ(std::get<Failure>(early->outcome()).code, FailureCode::misuse);
  rank->start()->wait();
  const auto again = rank->start();
  again->wait();
  EXPECT_EQ(std::get<Failure>(again->outcome()).code, FailureCode::misuse);
}

TEST(AsioRuntime, options_that_cannot_work_are_refused) {
  const auto refused = [](driver::RankOptions options) {
    options.config.world_size = 2;
    auto opened =
        Runtime::make()->open(std::move(options), [](const node::Config&) { return std::make_unique<QuickMachine>(); });
    const auto* failure = std::get_if<Failure>(&opened);
    return failure != nullptr && failure->code == FailureCode::bad_address ? failure->text : "";
  };
  driver::RankOptions options = Rig::default_options();
  EXPECT_NE(refused(options).find("BANYAN_RENDEZVOUS"), std::string::npos);
  options.rendezvous = {{"127.0.0.1", 0}};
  EXPECT_NE(refused(options).find("port 0"), std::string::npos);
  options.rendezvous = {{"127.0.0.1", 4242}};
  options.ports = {5000, 4000};
  EXPECT_NE(refused(options).find("5000-4000"), std::string::npos);
  options.ports = {};
  options.config.hosts = {"node1"};
  EXPECT_NE(refused(options).find("node1"), std::string::npos);
}

TEST(AsioRuntime, the_end_waits_for_a_rank_that_the_driving_thread_has_not_heard_of) {
  auto runtime = Runtime::make();
  ASSERT_EQ(runtime->run_in_background(), std::nullopt);
  auto first = open(*runtime);
  first->start()->wait();
  std::promise<void> go_on;
  const auto held = std::make_shared<std::shared_future<void>>(go_on.get_future().share());
  std::promise<void> stands_still;
  first->submit(send_to(1))->on_done([held, &stands_still](const Outcome&) {
    stands_still.set_value();
    held->wait();
  });
  stands_still.get_future().wait();
  first->close();
  std::shared_ptr<Operation> start;
  {
    const auto second = open(*runtime);
    start = second->start();
  }
  first.reset();
  std::thread ending([&] { runtime.reset(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // so that the end is asked for first
  go_on.set_value();
  ending.join();
  ASSERT_TRUE(start->done());
  EXPECT_EQ(std::get<Failure>(start->outcome()).code, FailureCode::closed);
}

TEST(AsioRuntime, threads_that_ask_for_a_snapshot_go_on_as_soon_as_it_is_there) {
  const auto runtime = Runtime::make();
  ASSERT_EQ(runtime->run_in_background(), std::nullopt);
  const auto rank = open(*runtime);
  rank->start()->wait();
  std::vector<std::thread> askers;
  for (int i = 0; i < 4; ++i) {
    askers.emplace_back([&rank] {
      for (int round = 0; round < 500; ++round) EXPECT_EQ(rank->statistics().hosts, 2u);
    });
  }
  for (std::thread& asker : askers) asker.join();
}

TEST(AsioRuntime, a_child_of_fork_is_told_that_it_cannot_use_its_parents_rank) {
  const auto runtime = Runtime::instance();
  auto rank = open(*runtime);
  rank->start()->wait();
  const int result = driver::child_of_fork([&] {
    const auto call = rank->submit(send_to(1));
    const bool refused = call->done() && std::get<Failure>(call->outcome()).code == FailureCode::misuse;
    rank.reset();
    const bool fresh = Runtime::instance() != runtime;
// Sanitizers allow no threads in such a child: one dies, the other may wait for its own lock.
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
    const auto own = open(*Runtime::instance());
    own->start()->wait();
#endif
    return refused && fresh ? 0 : 1;
  });
  EXPECT_EQ(result, 0);
  const auto call = rank->submit(send_to(3));
  call->wait();
  EXPECT_EQ(bytes_of(*call), "3");
}

TEST(AsioRuntime, a_child_of_fork_waits_for_nothing_that_its_parent_began) {
  const auto runtime = Runtime::make();
  const auto rank = open(*runtime);
  rank->start()->wait();
  const auto pending = rank->submit(receive());
  EXPECT_EQ(driver::child_of_fork([&] { return pending->wait_until(kNever) || pending->descriptor() >= 0 ? 1 : 0; }),
            0);
  const auto call = rank->submit(send_to(3));
  call->wait();
  EXPECT_EQ(bytes_of(*call), "3");
}

}  // namespace
}  // namespace banyan::driver_test
