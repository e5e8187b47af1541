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
  job.begin_recv(job.rank()).on_done(std::move(body));
  job.begin_send(job.rank(), "x");
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

TEST(Callbacks, may_begin_a_barrier_of_ranks_while_other_threads_wait_for_the_group_of_another) {
  run_job(2, [](HierarchicalBootstrap& job) {
    if (job.rank() == 1) return job.barrier({0, 1});
    job.barrier({0});
    // While the callback lasts no group can be made: of two threads one waits in its first barrier, the other is sent
    // away, and says so.
    std::promise<void> inside;
    std::promise<void> refused;
    std::promise<Handle> begun;
    call_back(job, [&, sent_away = refused.get_future().share()] {
      inside.set_value();
      EXPECT_EQ(sent_away.wait_for(10s), std::future_status::ready);
      begun.set_value(job.begin_barrier({0}));
    });
    const auto meet = [&] {
      try {
        job.barrier({0, 1});
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::misuse);
        EXPECT_THAT(error.what(), ::testing::HasSubstr("misuse: barrier() was called while another thread"));
        refused.set_value();
      }
    };
    inside.get_future().wait();
    auto other = std::async(std::launch::async, meet);
    meet();
    other.get();
    begun.get_future().get().wait();
  });
}

TEST(Callbacks, cannot_begin_the_first_barrier_of_some_ranks) {
  const auto job = job_of_one();
  std::promise<void> told;
  call_back(*job, [&] {
    expect_misuse("the first barrier() of these ranks was called in a callback", [&] { job->begin_barrier({0}); });
    told.set_value();
  });
  told.get_future().wait();
  job->barrier({0});
}

TEST(Callbacks, that_drop_their_job_end_it_though_communicators_and_splits_of_it_live_on) {
  std::promise<void> noticed;
  run_ranks(job_options(2), [&](HierarchicalBootstrap& job, const Options& options) {
    job.init(options);
    job.start();
    HierarchicalBootstrap twin = job.duplicate();
    if (job.rank() == 0) {
      expect_error(ErrorCode::rank_lost, "rank 1", [&] { job.recv(1, 0, 10s); });
      noticed.set_value();
      return;
    }
    auto split = job.split_async(0);
    auto dropped = std::make_unique<HierarchicalBootstrap>(std::move(job));
    std::promise<void> called;
    call_back(*dropped, [&, done = called.get_future().share()] {
      done.wait();
      dropped.reset();
    });
    called.set_value();
    noticed.get_future().wait();
    expect_error(ErrorCode::closed, "", [&] { split.get(); });
    EXPECT_EQ(twin.statistics().hosts, 1);
  });
}

}  // namespace
}  // namespace banyan::api
