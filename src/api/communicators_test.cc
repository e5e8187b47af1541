// Communicators of some of the ranks, over real sockets.
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <banyan/hierarchical_bootstrap.hpp>

#include "api/job_of_threads.hh"
#include "base/limits.hh"

namespace banyan::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

void begin(HierarchicalBootstrap& job, const Options& options) {
  job.init(options);
  job.start();
}

std::string text_of(int rank) { return "rank " + std::to_string(rank); }

TEST(Communicators, a_split_has_ranks_of_its_own_for_every_operation) {
  run_ranks(job_options(7), [](HierarchicalBootstrap& job, const Options& options) {
    begin(job, options);
    // The odd and the even ones, each in the opposite order.
    HierarchicalBootstrap half = job.split(job.rank() % 2, -job.rank());
    const int size = job.rank() % 2 == 0 ? 4 : 3;
    ASSERT_EQ(half.world_size(), size);
    const int top = job.rank() % 2 == 0 ? 6 : 5;
    EXPECT_EQ(half.rank(), (top - job.rank()) / 2);
    EXPECT_EQ(half.job_rank(half.rank()), job.rank());
    EXPECT_EQ(half.job_rank(0), top);
    EXPECT_EQ(half.peer_blob(0), job.peer_blob(top));
    const auto everyone = half.allgather(text_of(job.rank()));
    for (int i = 0; i < size; ++i) EXPECT_EQ(everyone[static_cast<std::size_t>(i)], text_of(half.job_rank(i)));
    std::string word = half.rank() == 1 ? "of the second" : "";
    half.broadcast(1, word);
    EXPECT_EQ(word, "of the second");
    EXPECT_EQ(half.allreduce(1, Reduction::sum), size);
    std::vector<std::string> parts;
    if (half.rank() == 2) parts.assign(static_cast<std::size_t>(size), "part");
    EXPECT_EQ(half.scatter(2, parts), "part");
    EXPECT_EQ(half.gather(0, text_of(half.rank())).size(), half.rank() == 0 ? static_cast<std::size_t>(size) : 0);
    // Messages with the same tag in both, from the same rank.
    const int next = (half.rank() + 1) % size;
    const int last = (half.rank() + size - 1) % size;
    job.send(half.job_rank(next), "of the job");
    half.send(next, "of the half");
    EXPECT_EQ(half.recv_any(), (std::pair<int, std::string>(last, "of the half")));
    EXPECT_EQ(job.recv(half.job_rank(last)), "of the job");
    EXPECT_EQ(half.sendrecv(next, text_of(half.rank()), last), text_of(last));
    half.connect(next);
    half.barrier();
    half.close();
    job.barrier();
    job.close();
  });
}

TEST(Communicators, operations_of_a_duplicate_and_of_the_job_go_on_side_by_side) {
  run_ranks(job_options(5), [](HierarchicalBootstrap& job, const Options& options) {
    begin(job, options);
    HierarchicalBootstrap twin = job.duplicate();
    EXPECT_EQ(twin.rank(), job.rank());
    EXPECT_EQ(twin.world_size(), job.world_size());
    // Begun here in one order, there in the other: each has an order of its own.
    std::vector<Handle> begun;
    for (int i = 0; i < 10; ++i) {
      const bool twin_first = (job.rank() + i) % 2 == 0;
      HierarchicalBootstrap& first = twin_first ? twin : job;
      HierarchicalBootstrap& second = twin_first ? job : twin;
      begun.push_back(first.begin_allgather(twin_first ? "twin" : "job"));
      begun.push_back(second.begin_allgather(twin_first ? "job" : "twin"));
      if (!twin_first) std::swap(begun[begun.size() - 1], begun[begun.size() - 2]);
    }
    for (std::size_t i = 0; i < begun.size(); ++i)
      EXPECT_EQ(begun[i].messages(), std::vector<std::string>(5, i % 2 == 0 ? "twin" : "job"));
    HierarchicalBootstrap again = twin.duplicate_async().get();
    const Handle splitting = again.begin_split(job.rank() == 0 ? kNoColor : 3);
    const HierarchicalBootstrap rest = again.made_by(splitting);
    EXPECT_EQ(rest.valid(), job.rank() != 0);
    if (rest.valid()) {
      EXPECT_EQ(rest.world_size(), 4);
    }
    job.close();
  });
}

TEST(Communicators, some_ranks_meet_without_the_others) {
  run_ranks(job_options(6), [](HierarchicalBootstrap& job, const Options& options) {
    begin(job, options);
    if (job.rank() % 2 == 0) {
      // Each names them in an order of its own.
      job.barrier({job.rank(), (job.rank() + 2) % 6, (job.rank() + 4) % 6});
      job.barrier_async({4, 0, 2}).get();
      HierarchicalBootstrap three = job.group({4, 0, 2});
      EXPECT_EQ(three.allgather(text_of(job.rank())), (std::vector<std::string>{text_of(4), text_of(0), text_of(2)}));
      HierarchicalBootstrap again = job.group({4, 0, 2});
      EXPECT_EQ(again.allreduce(1, Reduction::sum), 3);
    }
    if (job.rank() == 1) {
      expect_error(ErrorCode::timed_out, "1 of 2: 3", [&] { job.barrier({1, 3}, milliseconds(600)); });
    }
    job.barrier();
    job.close();
  });
}

TEST(Communicators, what_makes_no_sense_is_refused) {
  run_ranks(job_options(2), [](HierarchicalBootstrap& job, const Options& options) {
    begin(job, options);
    HierarchicalBootstrap twin = job.duplicate();
    expect_misuse("start() was called of a communicator", [&] { twin.start(); });
    expect_misuse("init() was called of a communicator", [&] { twin.init(options); });
    expect_misuse("color is -2", [&] { job.split(-2); });
    expect_misuse("different ranks of 0 .. 1", [&] { job.group({0, 1, 1}); });
    expect_misuse("this one among them", [&] { job.group({1 - job.rank()}); });
    expect_misuse("different ranks of 0 .. 1", [&] { job.group({0, 1, 7}); });
    expect_misuse("target is 2, and the ranks are 0 .. 1", [&] { twin.send(2, "too far"); });
    twin.close();
    expect_misuse("after close() of this communicator", [&] { twin.barrier(); });
    expect_misuse("a second time", [&] { twin.close(); });
    job.barrier();
    HierarchicalBootstrap late = job.duplicate();
    job.close();
    expect_misuse("after close()", [&] { late.barrier(); });
  });
}

TEST(Communicators, one_that_outlives_its_job_may_be_dropped_later) {
  run_ranks(job_options(2), [](HierarchicalBootstrap& job, const Options& options) {
    std::optional<HierarchicalBootstrap> twin;
    {
      HierarchicalBootstrap mine = std::move(job);
      job = HierarchicalBootstrap();
      begin(mine, options);
      twin = mine.duplicate();
      twin->barrier();
    }
    EXPECT_THROW(twin->barrier(), Error);
  });
}

TEST(Communicators, a_rank_that_leaves_is_named_as_the_job_knows_it) {
  run_ranks(job_options(4), [](HierarchicalBootstrap& job, const Options& options) {
    begin(job, options);
    HierarchicalBootstrap pair = job.split(job.rank() / 2);
    if (job.rank() == 3) {
      pair.close();
    } else if (job.rank() == 2) {
      expect_error(ErrorCode::rank_left, "rank 3 left before it called barrier()", [&] { pair.barrier(); });
    } else {
      pair.barrier();
    }
    job.barrier();
    job.close();
  });
}

TEST(Communicators, a_barrier_of_some_ranks_and_a_group_of_the_same_are_not_taken_for_each_other) {
  run_ranks(job_options(2), [](HierarchicalBootstrap& job, const Options& options) {
    begin(job, options);
    // One makes the group first, the other meets first.
    std::optional<HierarchicalBootstrap> both;
    if (job.rank() == 1) both = job.group({0, 1});
    job.barrier({0, 1}, seconds(10));
    if (job.rank() == 0) both = job.group({0, 1});
    EXPECT_EQ(both->allreduce(1, Reduction::sum, seconds(10)), 2);
    job.barrier();
    job.close();
  });
}

TEST(Communicators, one_too_many_is_refused_and_not_counted_among_those_of_its_ranks) {
  run_ranks(job_options(2), [](HierarchicalBootstrap& job, const Options& options) {
    begin(job, options);
    if (job.rank() == 0) {
      std::vector<HierarchicalBootstrap> full;
      for (std::size_t i = 0; i < kMaxCommunicators; ++i) full.push_back(job.group({0}));
      expect_error(ErrorCode::too_large, "the most it may be", [&] { job.group({0, 1}); });
    }
    HierarchicalBootstrap both = job.group({0, 1});
    EXPECT_EQ(both.allreduce(1, Reduction::sum, seconds(10)), 2);
    job.barrier();
    job.close();
  });
}

TEST(Communicators, only_a_split_of_the_job_has_made_one_and_only_once) {
  run_ranks(job_options(2), [](HierarchicalBootstrap& job, const Options& options) {
    begin(job, options);
    const Handle split = job.begin_split(0);
    const Handle none = job.begin_split(kNoColor);
    const Handle received = job.begin_recv(job.rank());
    job.send(job.rank(), split.message());  // as long as a communicator, and yet none
    expect_misuse("is no split of this job", [&] { job.made_by(received); });
    expect_misuse("is no split of this job", [&] { job.made_by(job.begin_barrier()); });
    HierarchicalBootstrap other;
    other.init(0, 1, "127.0.0.1", 0);
    other.start();
    expect_misuse("is no split of this job", [&] { other.made_by(split); });
    EXPECT_EQ(job.made_by(split).world_size(), 2);
    expect_misuse("a second time", [&] { job.made_by(split); });
    EXPECT_FALSE(job.made_by(none).valid());
    job.barrier();
    job.close();
  });
}

TEST(Communicators, errors_say_which_rank_of_how_many_speaks) {
  run_ranks(job_options(3), [](HierarchicalBootstrap& job, const Options& options) {
    begin(job, options);
    HierarchicalBootstrap pair = job.split(job.rank() == 0 ? 0 : 1);
    if (job.rank() == 2) {
      expect_misuse("(rank 1 of 2 in a communicator): misuse: send(): target is 2, and the ranks are 0 .. 1",
                    [&] { pair.send(2, "too far"); });
      expect_error(ErrorCode::timed_out,
                   "(rank 1 of 2 in a communicator): running: ", [&] { pair.recv(0, 0, milliseconds(20)); });
      expect_error(ErrorCode::mismatch, "(rank 1 of 2 in a communicator): running: ", [&] {
        pair.send(1, "x");
        pair.recv_value<int>(1);
      });
    }
    job.barrier();
    job.close();
    expect_misuse("barrier() was called after close() of the communicator's job", [&] { pair.barrier(); });
  });
}

}  // namespace
}  // namespace banyan::api
