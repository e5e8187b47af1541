// peer_blob in all forms, with both kinds of table.
#include <functional>
#include <future>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <banyan/hierarchical_bootstrap.hpp>

#include "api/job_of_threads.hh"
#include "driver/asio/runtime.hh"

namespace banyan::api {
namespace {

using namespace std::chrono_literals;
using ByteVector = std::vector<std::byte>;

constexpr int kRanks = 4;

std::string blob_of(int rank) { return "card of " + std::to_string(rank); }

std::vector<Options> options_with(Table table) {
  std::vector<Options> all = job_options(kRanks);
  for (Options& options : all) {
    options.table = table;
    options.blob = blob_of(options.rank);
  }
  return all;
}

// `body` is called between start and close.
void run_with(const std::vector<Options>& all, const std::function<void(HierarchicalBootstrap&)>& body) {
  run_ranks(all, [&](HierarchicalBootstrap& job, const Options& options) {
    job.init(options);
    job.start();
    body(job);
    if (!::testing::Test::HasFatalFailure()) job.barrier();
    job.close();
  });
}

void expect_all_forms(const HierarchicalBootstrap& job) {
  for (int rank = 0; rank < kRanks; ++rank) {
    EXPECT_EQ(job.peer_blob(rank), blob_of(rank));
    EXPECT_EQ(job.peer_blob<ByteVector>(rank).size(), blob_of(rank).size());
    EXPECT_EQ(job.peer_blob(rank, 10s), blob_of(rank));
  }
}

TEST(EagerTable, every_form_is_done_at_once_and_after_close_too) {
  run_ranks(options_with(Table::eager), [](HierarchicalBootstrap& job, const Options& options) {
    job.init(options);
    job.start();
    for (int time = 0; time < 2; ++time) {
      expect_all_forms(job);
      const Handle handle = job.begin_peer_blob(1);
      EXPECT_TRUE(handle.test());
      EXPECT_EQ(handle.message(), blob_of(1));
      EXPECT_EQ(job.peer_blob_async(2).wait_for(0s), std::future_status::ready);
      if (time == 0) job.close();
    }
  });
}

TEST(LazyTable, every_form_brings_the_blob_of_any_rank) {
  run_with(options_with(Table::lazy), [](HierarchicalBootstrap& job) {
    const int next = (job.rank() + 1) % kRanks;
    const Handle handle = job.begin_peer_blob(next);
    EXPECT_EQ(handle.message(), blob_of(next));
    EXPECT_EQ(job.peer_blob_async(next).get(), blob_of(next));
    EXPECT_EQ(job.peer_blob_async<ByteVector>((next + 1) % kRanks).get().size(), blob_of(0).size());
    expect_all_forms(job);
  });
}

TEST(LazyTable, rank_0s_value_counts_for_all) {
  for (const Table table : {Table::eager, Table::lazy}) {
    std::vector<Options> all = options_with(table == Table::eager ? Table::lazy : Table::eager);
    all[0].table = table;
    run_ranks(all, [&](HierarchicalBootstrap& job, const Options& options) {
      job.init(options);
      job.start();
      job.barrier();
      job.close();
      const int next = (job.rank() + 1) % kRanks;
      if (table == Table::eager) {
        EXPECT_EQ(job.peer_blob(next), blob_of(next));
      } else {
        expect_misuse("is not here", [&] { job.peer_blob(next); });
      }
    });
  }
}

TEST(LazyTable, in_a_communicator_ranks_are_its_own) {
  run_with(options_with(Table::lazy), [](HierarchicalBootstrap& job) {
    const HierarchicalBootstrap reversed = job.split(0, -job.rank());
    for (int rank = 0; rank < kRanks; ++rank) {
      EXPECT_EQ(reversed.peer_blob(rank), blob_of(kRanks - 1 - rank));
      EXPECT_EQ(reversed.begin_peer_blob(rank).message(), blob_of(kRanks - 1 - rank));
    }
    expect_misuse("peer_blob(): rank is 4, and the ranks are 0 .. 3", [&] { reversed.peer_blob(kRanks); });
  });
}

TEST(LazyTable, what_has_come_is_here_after_close_and_what_has_not_is_named) {
  run_ranks(options_with(Table::lazy), [](HierarchicalBootstrap& job, const Options& options) {
    job.init(options);
    job.start();
    const int next = (job.rank() + 1) % kRanks;
    const int other = (job.rank() + 2) % kRanks;
    job.peer_blob(next);
    job.barrier();
    job.close();
    EXPECT_EQ(job.peer_blob(next), blob_of(next));
    EXPECT_TRUE(job.begin_peer_blob(next).test());
    EXPECT_EQ(job.peer_blob(job.rank()), blob_of(job.rank()));
    const std::string words = "peer_blob() was called after close(), and the blob of rank " + std::to_string(other);
    expect_misuse(words, [&] { job.peer_blob(other); });
    expect_misuse("BANYAN_TABLE=eager", [&] { job.begin_peer_blob(other); });
  });
}

TEST(LazyTable, the_blob_of_a_rank_that_has_closed_is_gone_unless_it_was_fetched_before) {
  run_ranks(options_with(Table::lazy), [](HierarchicalBootstrap& job, const Options& options) {
    job.init(options);
    job.start();
    if (job.rank() == 1) job.peer_blob(3);
    job.barrier();
    if (job.rank() == 3) return job.close();
    if (job.rank() == 1) {
      EXPECT_EQ(job.peer_blob(3), blob_of(3));
    } else {
      // It may still be there for a moment.
      for (bool here = true; here;) {
        const Handle handle = job.begin_send(3, "are you there?");
        try {
          handle.wait();
        } catch (const Error&) {
          here = false;
        }
      }
      expect_error(ErrorCode::rank_left, "the blob of rank 3 on ", [&] { job.peer_blob(3); });
      expect_error(ErrorCode::rank_left, "with BANYAN_TABLE=eager", [&] { job.peer_blob_async(3).get(); });
    }
    job.close();
  });
}

TEST(LazyTable, in_a_callback_only_what_is_here_can_be_had) {
  run_with(options_with(Table::lazy), [](HierarchicalBootstrap& job) {
    const int next = (job.rank() + 1) % kRanks;
    const int other = (job.rank() + 2) % kRanks;
    std::promise<void> over;
    const Handle handle = job.begin_peer_blob(next);
    handle.on_done([&] {
      EXPECT_EQ(job.peer_blob(next), blob_of(next)) << "it is kept by then";
      if (driver::Runtime::in_callback())
        expect_misuse("peer_blob() was called in a callback of Banyan", [&] { job.peer_blob(other); });
      over.set_value();
    });
    over.get_future().get();
  });
}

TEST(LazyTable, wrong_calls_are_refused_and_change_nothing) {
  HierarchicalBootstrap fresh;
  expect_misuse("peer_blob() was called before start()", [&] { fresh.begin_peer_blob(0); });
  for (const Table table : {Table::eager, Table::lazy}) {
    run_with(options_with(table), [](HierarchicalBootstrap& job) {
      expect_misuse("peer_blob(): rank is -1", [&] { job.peer_blob(-1); });
      expect_misuse("peer_blob(): rank is 4", [&] { job.peer_blob_async(kRanks); });
      expect_misuse("peer_blob(): the timeout is negative", [&] { job.begin_peer_blob(1, -1s); });
      expect_all_forms(job);
    });
  }
}

}  // namespace
}  // namespace banyan::api
