#include <chrono>
#include <functional>
#include <memory>
#include <seastar/core/coroutine.hh>
#include <seastar/core/loop.hh>
#include <seastar/core/sharded.hh>
#include <seastar/core/when_all.hh>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <banyan/seastar_bootstrap.hpp>

#include "api/job_of_threads.hh"
#include "driver/seastar/seastar_thread.hh"

namespace banyan::api {
namespace {

using driver::SeastarThread;
using namespace std::chrono_literals;

Buffer buffer(std::string_view text) { return Buffer::copy_of(text); }
std::string text(const Buffer& buffer) { return {buffer.get(), buffer.size()}; }

// GCC 12 destroys twice what a ?: yields within a co_await.
Buffer large_at(const SeastarBootstrap& job, int root, const std::string& large) {
  return job.rank() == root ? buffer(large) : Buffer();
}

// What a rank of a job does once it has started.
using Body = std::function<seastar::future<>(SeastarBootstrap&)>;

seastar::future<> be_rank(Options options, const Body& body) {
  SeastarBootstrap rank;
  rank.init(std::move(options));
  std::exception_ptr thrown;
  try {
    co_await rank.start();
    co_await body(rank);
  } catch (...) {
    thrown = std::current_exception();
  }
  co_await rank.stop();
  if (thrown) std::rethrow_exception(thrown);
}

seastar::future<> be_ranks(std::vector<Options> all, Body body) {
  co_await seastar::parallel_for_each(all, [&body](Options& options) { return be_rank(options, body); });
}

// All ranks of a job on one shard.
void run_on_seastar(int world_size, Body body) {
  SeastarThread::instance().run([&] { return be_ranks(job_options(world_size), body); });
}

// Even ranks are Asio's, in threads, odd ones Seastar's; or the other way round.
void run_mixed(int world_size, bool root_on_seastar, const std::function<void(HierarchicalBootstrap&)>& with_asio,
               const Body& with_seastar) {
  const std::vector<Options> all = job_options(world_size);
  std::vector<Options> of_asio;
  std::vector<Options> of_seastar;
  for (const Options& options : all)
    ((options.rank % 2 == 0) == root_on_seastar ? of_seastar : of_asio).push_back(options);
  std::exception_ptr thrown;
  std::thread seastar([&] {
    try {
      SeastarThread::instance().run([&] { return be_ranks(of_seastar, with_seastar); });
    } catch (...) {
      thrown = std::current_exception();
    }
  });
  std::exception_ptr thrown_by_asio;
  try {
    run_ranks(of_asio, [&](HierarchicalBootstrap& job, const Options& options) {
      job.init(options);
      job.start();
      with_asio(job);
      job.close();
    });
  } catch (...) {
    thrown_by_asio = std::current_exception();
  }
  seastar.join();
  if (thrown_by_asio) std::rethrow_exception(thrown_by_asio);
  if (thrown) std::rethrow_exception(thrown);
}

template <typename Exception>
seastar::future<std::string> error_of(seastar::future<> call) {
  try {
    co_await std::move(call);
  } catch (const Exception& error) {
    co_return error.what();
  }
  ADD_FAILURE() << "no such error";
  co_return "";
}

// GCC 12 takes no list of elements in a coroutine.
const std::vector<int> kFirstThree{0, 1, 2};
const std::vector<int> kFive{0, 1, 2, 3, 4};

TEST(SeastarBootstrap, does_what_the_other_does) {
  run_on_seastar(5, [](SeastarBootstrap& job) -> seastar::future<> {
    const int rank = job.rank();
    EXPECT_EQ(text(co_await job.broadcast(2, buffer("from " + std::to_string(rank)))), "from 2");
    const std::vector<Buffer> all = co_await job.allgather(buffer(std::to_string(rank)));
    EXPECT_EQ(all.size(), 5u);
    for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(text(all[i]), std::to_string(i));
    EXPECT_EQ((co_await job.gather(1, buffer("x"))).size(), rank == 1 ? 5u : 0u);
    std::vector<Buffer> parts;
    for (int i = 0; rank == 3 && i < 5; ++i) parts.push_back(buffer("part " + std::to_string(i)));
    EXPECT_EQ(text(co_await job.scatter(3, std::move(parts))), "part " + std::to_string(rank));
    std::vector<Buffer> for_all;
    for (int i = 0; i < 5; ++i) for_all.push_back(buffer(std::to_string(rank * 10 + i)));
    const std::vector<Buffer> from_all = co_await job.alltoall(std::move(for_all));
    for (int i = 0; i < 5; ++i) EXPECT_EQ(text(from_all[static_cast<std::size_t>(i)]), std::to_string(i * 10 + rank));
    EXPECT_EQ(co_await job.allreduce(rank, Reduction::sum), 10);
    EXPECT_EQ((co_await job.reduce(0, std::vector<long>(1, rank), Reduction::max)).size(), rank == 0 ? 1u : 0u);
    EXPECT_EQ(co_await job.reduce_scatter(std::vector<int>(5, rank), Reduction::sum), std::vector<int>(1, 10));
    EXPECT_EQ((co_await job.scan(std::vector<int>(1, 1), Reduction::sum)).front(), rank + 1);
    EXPECT_EQ((co_await job.exclusive_scan(std::vector<int>(1, 1), Reduction::sum)).empty(), rank == 0);
    co_await job.barrier();
    EXPECT_EQ(text(co_await job.sendrecv((rank + 1) % 5, buffer(std::to_string(rank)), (rank + 4) % 5)),
              std::to_string((rank + 4) % 5));
    EXPECT_EQ(co_await job.broadcast_value(1, rank), 1);
    EXPECT_EQ(co_await job.allgather_value(rank), kFive);
    SeastarBootstrap half = co_await job.split(rank % 2, -rank);
    EXPECT_EQ(half.world_size(), rank % 2 == 0 ? 3 : 2);
    EXPECT_EQ(half.job_rank(half.rank()), rank);
    EXPECT_EQ(co_await half.allreduce(1, Reduction::sum), half.world_size());
    co_await half.stop();
    EXPECT_FALSE((co_await job.split(kNoColor)).valid());
    if (rank < 3) co_await job.barrier(kFirstThree);
    co_await job.put("key " + std::to_string(rank), MessageView("value"));
    EXPECT_EQ(text(co_await job.get("key " + std::to_string((rank + 1) % 5))), "value");
    EXPECT_FALSE(co_await job.find("nothing"));
    EXPECT_GE(co_await job.add("tickets", 1), 1);
    const auto exchanged = co_await job.compare_set("first", std::nullopt, MessageView(std::to_string(rank)));
    EXPECT_EQ(exchanged.set, text(*exchanged.value) == std::to_string(rank));
    co_await job.connect((rank + 1) % 5);
    co_await job.barrier();
    EXPECT_TRUE(co_await job.remove("key " + std::to_string(rank)));
    co_await job.barrier();
  });
}

TEST(SeastarBootstrap, passes_large_messages_on) {
  const std::string large(3 * 1024 * 1024, 'l');
  run_on_seastar(6, [&](SeastarBootstrap& job) -> seastar::future<> {
    for (int root = 0; root < 2; ++root) {
      Buffer mine = large_at(job, root, large);
      const Buffer message = co_await job.broadcast(root, std::move(mine));
      EXPECT_TRUE(text(message) == large);
    }
    EXPECT_TRUE(text(co_await job.sendrecv((job.rank() + 1) % 6, buffer(large), (job.rank() + 5) % 6)) == large);
    EXPECT_EQ(co_await job.allreduce(job.rank(), Reduction::sum), 15);
  });
}

TEST(SeastarBootstrap, ranks_of_both_kinds_are_one_job_whoever_is_root) {
  for (const bool root_on_seastar : {false, true}) {
    const std::string large(3 * 1024 * 1024, 'l');
    run_mixed(
        6, root_on_seastar,
        [&](HierarchicalBootstrap& job) {
          for (int root = 0; root < 2; ++root) {
            std::string message = job.rank() == root ? large : "";
            job.broadcast(root, message);
            EXPECT_EQ(message, large);
          }
          EXPECT_EQ(job.allgather(std::to_string(job.rank()))[5], "5");
          EXPECT_EQ(job.sendrecv((job.rank() + 1) % 6, large, (job.rank() + 5) % 6), large);
          EXPECT_EQ(job.allreduce(job.rank(), Reduction::sum), 15);
        },
        [&](SeastarBootstrap& job) -> seastar::future<> {
          for (int root = 0; root < 2; ++root) {
            Buffer mine = large_at(job, root, large);
            const Buffer message = co_await job.broadcast(root, std::move(mine));
            EXPECT_TRUE(text(message) == large);
          }
          EXPECT_EQ(text((co_await job.allgather(buffer(std::to_string(job.rank()))))[4]), "4");
          EXPECT_TRUE(text(co_await job.sendrecv((job.rank() + 1) % 6, buffer(large), (job.rank() + 5) % 6)) == large);
          EXPECT_EQ(co_await job.allreduce(job.rank(), Reduction::sum), 15);
        });
  }
}

TEST(SeastarBootstrap, is_a_service_with_a_rank_on_each_shard) {
  SeastarThread::instance().run([]() -> seastar::future<> {
    const std::vector<Options> all = job_options(static_cast<int>(seastar::smp::count));
    seastar::sharded<SeastarBootstrap> ranks;
    co_await ranks.start();
    co_await ranks.invoke_on_all([&all](SeastarBootstrap& rank) -> seastar::future<> {
      rank.init(all[seastar::this_shard_id()]);
      co_await rank.start();
      EXPECT_EQ(co_await rank.allreduce(1, Reduction::sum), static_cast<int>(seastar::smp::count));
    });
    co_await ranks.stop();
  });
}

TEST(SeastarBootstrap, an_abort_ends_a_call_and_loses_no_message) {
  run_on_seastar(2, [](SeastarBootstrap& job) -> seastar::future<> {
    const int other = 1 - job.rank();
    seastar::abort_source abort;
    auto never = job.recv(other, 7, abort);
    auto missed = job.get("never put", Until(Timeout::none(), abort));
    EXPECT_FALSE(never.available());
    abort.request_abort();
    co_await error_of<seastar::abort_requested_exception>(std::move(never).discard_result());
    co_await error_of<seastar::abort_requested_exception>(std::move(missed).discard_result());
    co_await job.barrier();
    // What comes now is for the next receive, not for the one that was given up.
    co_await job.send(other, buffer("late"), 7);
    EXPECT_EQ(text(co_await job.recv(other, 7)), "late");
    // Nothing is begun with one that has been aborted.
    co_await error_of<seastar::abort_requested_exception>(job.send(other, buffer("no"), 7, abort));
    co_await job.barrier();
    EXPECT_FALSE(co_await job.probe(other, 7));
    co_await job.barrier();
  });
}

TEST(SeastarBootstrap, times_out_by_a_duration_and_by_seastars_low_resolution_clock) {
  run_on_seastar(2, [](SeastarBootstrap& job) -> seastar::future<> {
    if (job.rank() == 0) {
      EXPECT_NE((co_await error_of<Error>(job.barrier(20ms))).find("barrier"), std::string::npos);
      co_await error_of<Error>(job.barrier(seastar::lowres_clock::now() + 20ms));
      co_await error_of<Error>(job.recv(1, 0, seastar::lowres_clock::now() - 1s).discard_result());
      co_await job.send(1, buffer("now you"));
    } else {
      // One that has timed out counts as called.
      co_await job.recv(0);
      co_await job.barrier();
      co_await job.barrier();
    }
    co_await job.barrier();
  });
}

TEST(SeastarBootstrap, a_start_that_is_aborted_ends_at_once) {
  SeastarThread::instance().run([]() -> seastar::future<> {
    Options options = job_options(2)[0];
    options.start_timeout = Timeout::none();
    SeastarBootstrap rank;
    rank.init(options);
    seastar::abort_source abort;
    auto started = rank.start(abort);
    EXPECT_FALSE(started.available());
    abort.request_abort();
    co_await error_of<seastar::abort_requested_exception>(std::move(started));
    co_await rank.stop();
  });
}

TEST(SeastarBootstrap, what_can_not_be_started_says_so_and_is_gone) {
  SeastarThread::instance().run([]() -> seastar::future<> {
    Options options = job_options(2)[1];
    options.interface = "nosuch0";
    SeastarBootstrap rank;
    rank.init(options);
    EXPECT_NE((co_await error_of<Error>(rank.start())).find("nosuch0"), std::string::npos);
    co_await rank.stop();
    Options nameless = job_options(2)[1];
    nameless.rendezvous = "no-such-host.invalid:4242";
    nameless.start_timeout = 50ms;
    SeastarBootstrap other;
    other.init(nameless);
    co_await error_of<Error>(other.start());
    co_await seastar::when_all_succeed(other.stop(), other.stop());
  });
}

TEST(SeastarBootstrap, misuse_is_a_failed_future_and_changes_nothing) {
  run_on_seastar(2, [](SeastarBootstrap& job) -> seastar::future<> {
    EXPECT_NE((co_await error_of<Error>(job.send(2, Buffer()))).find("target is 2"), std::string::npos);
    auto refused = job.sendrecv(2, buffer("x"), 1 - job.rank()).discard_result();
    EXPECT_NE((co_await error_of<Error>(std::move(refused))).find("target is 2"), std::string::npos);
    EXPECT_NE((co_await error_of<Error>(job.start())).find("second time"), std::string::npos);
    EXPECT_NE((co_await error_of<Error>(job.barrier(-1s))).find("negative"), std::string::npos);
    co_await job.barrier();
  });
  SeastarThread::instance().run([]() -> seastar::future<> {
    SeastarBootstrap fresh;
    EXPECT_NE((co_await error_of<Error>(fresh.barrier())).find("before start()"), std::string::npos);
    co_await fresh.stop();
  });
}

TEST(SeastarBootstrap, what_is_handed_in_is_not_copied) {
  run_on_seastar(2, [](SeastarBootstrap& job) -> seastar::future<> {
    if (job.rank() == 0) {
      // A broadcast's root gets back what it has given, where it lies.
      Buffer mine = buffer("where it lies");
      const char* const place = mine.get();
      const Buffer back = co_await job.broadcast(0, std::move(mine));
      EXPECT_EQ(back.get(), place);
    } else {
      EXPECT_EQ(text(co_await job.broadcast(0, Buffer())), "where it lies");
    }
  });
}

TEST(SeastarBootstrap, a_rank_that_is_dropped_without_a_word_ends_what_is_pending) {
  SeastarThread::instance().run([]() -> seastar::future<> {
    const std::vector<Options> all = job_options(2);
    auto dropped = std::make_unique<SeastarBootstrap>();
    auto other = std::make_unique<SeastarBootstrap>();
    dropped->init(all[0]);
    other->init(all[1]);
    auto first = dropped->start();
    co_await other->start();
    co_await std::move(first);
    auto pending = dropped->recv(1);
    auto waiting = other->recv(0);
    dropped.reset();
    EXPECT_NE((co_await error_of<Error>(std::move(pending).discard_result())).find("closed"), std::string::npos);
    co_await error_of<Error>(std::move(waiting).discard_result());
    co_await other->stop();
  });
}

}  // namespace
}  // namespace banyan::api
