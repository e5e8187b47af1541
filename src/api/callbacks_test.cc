// What a callback of Handle::on_done may do: it runs in whichever thread drives Banyan just then.
#include <functional>
#include <future>
#include <memory>
#include <thread>

#include <gtest/gtest.h>

#include <banyan/hierarchical_bootstrap.hpp>

#include "api/job_of_threads.hh"

namespace banyan::api {
namespace {

using namespace std::chrono_literals;

std::shared_ptr<HierarchicalBootstrap> job_of_one() {
  auto job = std::make_shared<HierarchicalBootstrap>();
  job->init(0, 1, "127.0.0.1", 0);
  job->start();
  return job;
}

// Calls `body` in a callback, in a thread that is not this one.
void call_back(HierarchicalBootstrap& job, std::function<void()> body) {
  job.begin_recv(0).on_done(std::move(body));
  job.begin_send(0, "x");
}

TEST(Callbacks, ask_the_job_while_another_thread_asks_for_its_statistics) {
  const auto job = job_of_one();
  std::promise<void> inside;
  std::promise<int> answer;
  call_back(*job, [&] {
    inside.set_value();
    std::this_thread::sleep_for(50ms);  // so that the other thread waits for this one
    answer.set_value(job->rank() + job->statistics().ranks);
  });
  inside.get_future().wait();
  EXPECT_EQ(job->statistics().ranks, 1);
  EXPECT_EQ(answer.get_future().get(), 1);
}

TEST(Callbacks, may_begin_operations_and_are_told_that_they_cannot_wait) {
  const auto job = job_of_one();
  const Handle never = job->begin_recv(0, 9);
  std::promise<void> done;
  std::promise<Handle> begun;
  call_back(*job, [&] {
    expect_misuse("barrier() was called in a callback", [&] { job->barrier(); });
    expect_misuse("recv() was called in a callback", [&] { job->recv(0); });
    expect_misuse("close() was called in a callback", [&] { job->close(); });
    expect_misuse("waiting in a callback", [&] { never.wait(); });
    expect_misuse("waiting in a callback", [&] { never.wait_for(1s); });
    expect_misuse("waiting in a callback", [&] { never.size(); });
    HierarchicalBootstrap other;
    other.init(0, 1, "127.0.0.1", 0);
    expect_misuse("start() was called in a callback", [&] { other.start(); });
    begun.set_value(job->begin_barrier());
    done.set_value();
  });
  done.get_future().wait();
  begun.get_future().get().wait();
  job->barrier();
  job->close();
}

TEST(Callbacks, may_drop_the_last_reference_to_their_bootstrap) {
  auto job = job_of_one();
  std::promise<void> dropped_here;
  std::promise<void> dropped_there;
  call_back(*job, [kept = job, here = dropped_here.get_future().share(), &dropped_there]() mutable {
    here.wait();
    kept.reset();
    dropped_there.set_value();
  });
  job.reset();
  dropped_here.set_value();
  dropped_there.get_future().wait();
}

}  // namespace
}  // namespace banyan::api
