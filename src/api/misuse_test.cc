// Calls out of order and calls that fail: what the caller is told, and that nothing else changes.
#include <unistd.h>

#include <future>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <banyan/hierarchical_bootstrap.hpp>

#include "api/job_of_threads.hh"

namespace banyan::api {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

TEST(Misuse, before_init_nothing_works) {
  HierarchicalBootstrap job;
  expect_misuse("start() was called before init()", [&] { job.start(); });
  expect_misuse("set_blob() belongs between", [&] { job.set_blob("x"); });
  expect_misuse("close() was called before init()", [&] { job.close(); });
  expect_misuse("barrier() was called before start()", [&] { job.barrier(); });
  expect_misuse("barrier() was called before start()", [&] { job.barrier({0}); });
  expect_misuse("rank() was called before init()", [&] { job.rank(); });
  expect_misuse("statistics() was called before start()", [&] { job.statistics(); });
}

TEST(Misuse, an_init_that_was_refused_may_be_repeated) {
  HierarchicalBootstrap job;
  expect_misuse("the rank is 1", [&] { job.init(1, 1, "127.0.0.1", 0); });
  expect_misuse("port 0", [&] { job.init(0, 2, "127.0.0.1", 0); });
  job.init(0, 1, "127.0.0.1", 0);
  expect_misuse("init() was called a second time", [&] { job.init(0, 1, "127.0.0.1", 0); });
  job.start();
  job.barrier();
}

TEST(Misuse, everything_has_its_place_in_the_order) {
  HierarchicalBootstrap job;
  job.init(0, 1, "127.0.0.1", 0);
  expect_misuse("send() was called before start()", [&] { job.send(0, "x"); });
  expect_misuse("host_of() was called before start()", [&] { job.host_of(0); });
  job.start();
  expect_misuse("start() was called a second time", [&] { job.start(); });
  expect_misuse("set_blob() belongs between", [&] { job.set_blob("x"); });
  job.close();
  expect_misuse("close() was called a second time", [&] { job.close(); });
  expect_misuse("allgather() was called after close()", [&] { job.allgather(std::string("x")); });
  expect_misuse("start() was called after close()", [&] { job.start(); });
  EXPECT_EQ(job.rank(), 0);
  EXPECT_EQ(job.world_size(), 1);
}

TEST(Misuse, arguments_out_of_range_are_refused_and_the_job_goes_on) {
  run_job(2, [](HierarchicalBootstrap& job) {
    std::string message = "x";
    expect_misuse("broadcast(): root is 2, and the ranks are 0 .. 1", [&] { job.broadcast(2, message); });
    expect_misuse("send(): target is -1", [&] { job.send(-1, "x"); });
    expect_misuse("recv(): source is 2", [&] { job.recv(2); });
    expect_misuse("host_of(): rank is 7", [&] { job.host_of(7); });
    expect_misuse("bitwise", [&] { job.allreduce(1.0, Reduction::bit_and); });
    expect_misuse("timeout is negative", [&] { job.barrier(-1s); });
    if (job.rank() == 0) {
      expect_misuse("3 parts to 2 ranks", [&] { job.scatter(0, std::vector<std::string>(3)); });
    }
    expect_misuse("alltoall(): this rank gives 1 parts to 2 ranks", [&] { job.alltoall(std::vector<std::string>(1)); });
    const std::vector<int> three(3, 1);
    expect_misuse("blocks of one size", [&] { job.reduce_scatter(three, Reduction::sum); });
    expect_misuse("3 counts for 2 ranks", [&] { job.reduce_scatter(three, {1, 1, 1}, Reduction::sum); });
    expect_misuse("don't add up", [&] { job.reduce_scatter(three, {1, 1}, Reduction::sum); });
    EXPECT_EQ(job.allreduce(1, Reduction::sum), 2);
  });
}

TEST(Misuse, counts_that_differ_from_rank_to_rank_are_a_mismatch) {
  run_job(2, [](HierarchicalBootstrap& job) {
    const std::vector<std::size_t> counts =
        job.rank() == 0 ? std::vector<std::size_t>{1, 2} : std::vector<std::size_t>{2, 1};
    expect_error(ErrorCode::mismatch, "reduce_scatter(sum, int32 x 3, blocks by counts",
                 [&] { job.reduce_scatter(std::vector<int>(3), counts, Reduction::sum); });
    EXPECT_EQ(job.allreduce(1, Reduction::sum), 2);
  });
}

TEST(Misuse, two_threads_in_collectives_at_once_are_noticed) {
  run_job(2, [](HierarchicalBootstrap& job) {
    if (job.rank() == 0) {
      // Whichever thread comes second is told so, and lets rank 1 come, for which the first waits.
      const auto meet = [&job] {
        try {
          job.barrier();
          return 0;
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), ErrorCode::misuse);
          EXPECT_THAT(error.what(), HasSubstr("another thread"));
          job.send(1, "come");
          return 1;
        }
      };
      auto other = std::async(std::launch::async, meet);
      const int here = meet();
      EXPECT_EQ(here + other.get(), 1);
    } else {
      job.recv(0);
      job.barrier();
    }
  });
}

TEST(Deadlines, a_call_ends_by_its_own_timeout_and_the_next_goes_on) {
  run_job(2, [](HierarchicalBootstrap& job) {
    if (job.rank() == 0) {
      expect_error(ErrorCode::timed_out, "rank 0 on ", [&] { job.recv(1, 5, 20ms); });
      expect_error(ErrorCode::timed_out, "1", [&] { job.barrier(20ms); });
      job.send(1, "come");
    } else {
      job.recv(0);
      job.barrier(30s);  // rank 0 has called it, though it stopped waiting
    }
    job.barrier(30s);
  });
}

TEST(Closing, ends_what_is_pending) {
  HierarchicalBootstrap job;
  job.init(0, 1, "127.0.0.1", 0);
  job.start();
  auto pending = job.recv_async(0);
  const Handle handle = job.begin_recv(0, 9);
  job.close();
  expect_error(ErrorCode::closed, "", [&] { pending.get(); });
  expect_error(ErrorCode::closed, "", [&] { handle.wait(); });
}

TEST(Closing, the_destructor_says_nothing) {
  { HierarchicalBootstrap fresh; }
  {
    HierarchicalBootstrap ready;
    ready.init(0, 1, "127.0.0.1", 0);
  }
  {
    HierarchicalBootstrap starting;
    starting.init(job_options(2)[1]);
    auto never = starting.start_async();
  }
}

TEST(Starting, that_fails_says_who_is_missing_and_says_it_again) {
  auto all = job_options(3);
  all[0].start_timeout = all[1].start_timeout = 300ms;
  all.pop_back();
  run_ranks(all, [](HierarchicalBootstrap& job, const Options& options) {
    job.init(options);
    for (int attempt = 0; attempt < 2; ++attempt) {
      try {
        if (attempt == 0) job.start();
        job.barrier();
        FAIL();
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::timed_out);
        EXPECT_EQ(error.ranks(), std::vector<int>{2});
        EXPECT_THAT(error.what(), HasSubstr("missing 1 of 3: 2"));
      }
    }
  });
}

TEST(Starting, tells_the_launcher_how_far_it_is) {
  auto all = job_options(2);
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  all[0].progress_fd = all[1].progress_fd = pipe[1];
  run_ranks(all, [](HierarchicalBootstrap& job, const Options& options) {
    job.init(options);
    job.start();
  });
  ::close(pipe[1]);
  std::string text(4096, '\0');
  text.resize(static_cast<std::size_t>(::read(pipe[0], text.data(), text.size())));
  ::close(pipe[0]);
  EXPECT_THAT(text, ::testing::ContainsRegex("formed 2 ranks on 1 host in [0-9]+ ms\n"));
}

}  // namespace
}  // namespace banyan::api
