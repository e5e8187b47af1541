#include "driver/sockets/task.hh"

#include <coroutine>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace banyan::driver {
namespace {

// What a task of these tests waits at.
struct Gate {
  std::coroutine_handle<> waiting;
  auto pass() {
    struct Wait {
      Gate& gate;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> waiting) noexcept { gate.waiting = waiting; }
      void await_resume() const noexcept {}
    };
    return Wait{*this};
  }
  void open() { std::exchange(waiting, nullptr).resume(); }
};

struct Fixture {
  Gate gate;
  std::vector<std::string> said;
  Tasks tasks;

  TaskOf<int> twice(int number) {
    co_await gate.pass();
    co_return 2 * number;
  }
  Task work(std::shared_ptr<int> owned) {
    said.emplace_back("begun");
    const int result = co_await twice(*owned);
    said.push_back(std::to_string(result));
  }
};

TEST(Task, runs_to_its_first_wait_at_once_and_frees_what_it_owns_at_its_end) {
  Fixture fixture;
  const auto owned = std::make_shared<int>(21);
  spawn(fixture.tasks, fixture.work(owned));
  EXPECT_EQ(fixture.said, std::vector<std::string>{"begun"});
  EXPECT_EQ(owned.use_count(), 2);
  fixture.gate.open();
  EXPECT_EQ(fixture.said, (std::vector<std::string>{"begun", "42"}));
  EXPECT_EQ(owned.use_count(), 1);
}

TEST(Task, that_is_neither_spawned_nor_awaited_does_nothing) {
  Fixture fixture;
  const auto owned = std::make_shared<int>(21);
  { const Task never = fixture.work(owned); }
  EXPECT_TRUE(fixture.said.empty());
  EXPECT_EQ(owned.use_count(), 1);
}

TEST(Tasks, those_that_still_wait_are_destroyed_with_all_that_they_await) {
  Fixture fixture;
  const auto first = std::make_shared<int>(1);
  const auto second = std::make_shared<int>(2);
  spawn(fixture.tasks, fixture.work(first));
  fixture.gate.open();
  spawn(fixture.tasks, fixture.work(second));
  fixture.tasks.destroy_all();
  EXPECT_EQ(first.use_count(), 1);
  EXPECT_EQ(second.use_count(), 1);
  EXPECT_EQ(fixture.said, (std::vector<std::string>{"begun", "2", "begun"}));
}

}  // namespace
}  // namespace banyan::driver
