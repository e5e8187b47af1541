// Direct links over real sockets: between hosts (TCP), on one host (Unix sockets), and with ranks that have no address
// of their own before they are asked.
#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <banyan/hierarchical_bootstrap.hpp>

#include "api/job_of_threads.hh"

namespace banyan::api {
namespace {

// Two ranks on each of the hosts.
std::vector<Options> options_on_hosts(int ranks) {
  std::vector<Options> all = job_options(ranks);
  for (Options& options : all) options.host_id = "host " + std::to_string(options.rank / 2);
  return all;
}

// Every rank connects to every other, or waits for what the others do.
void connect_all(HierarchicalBootstrap& job, const Options& options, int expected) {
  job.init(options);
  job.start();
  std::vector<Handle> connects;
  for (int peer = 0; peer < job.world_size(); ++peer) connects.push_back(job.begin_connect(peer));
  for (const Handle& connect : connects) connect.wait();
  job.barrier();
  // Tree and local links of this rank lead to its neighbours; the others have one each.
  const Statistics statistics = job.statistics();
  EXPECT_EQ(statistics.direct_links + statistics.tree_links + statistics.local_links, expected);
  for (int peer = 0; peer < job.world_size(); ++peer) job.send(peer, "from " + std::to_string(job.rank()));
  for (int peer = 0; peer < job.world_size(); ++peer) EXPECT_EQ(job.recv(peer), "from " + std::to_string(peer));
  job.barrier();
  job.close();
}

TEST(DirectLinks, every_rank_may_have_one_to_every_other_on_one_host_and_on_several) {
  constexpr int kRanks = 6;
  const auto all_pairs = [](HierarchicalBootstrap& job, const Options& options) {
    connect_all(job, options, kRanks - 1);
  };
  run_ranks(job_options(kRanks), all_pairs);
  run_ranks(options_on_hosts(kRanks), all_pairs);
}

TEST(DirectLinks, without_unix_sockets_they_are_tcp) {
  std::vector<Options> all = job_options(5);
  for (Options& options : all) options.transport = Transport::tcp;
  run_ranks(all, [](HierarchicalBootstrap& job, const Options& options) { connect_all(job, options, 4); });
}

TEST(DirectLinks, a_large_message_makes_one_by_itself_and_arrives_whole) {
  run_ranks(options_on_hosts(6), [](HierarchicalBootstrap& job, const Options& options) {
    job.init(options);
    job.start();
    // Ranks 3 and 5 are on two hosts.
    const std::string text(std::size_t{20} << 20, 'x');
    if (job.rank() == 3) job.send(5, text);
    if (job.rank() == 5) {
      EXPECT_EQ(job.recv(3), text);
    }
    job.barrier();
    const bool neighbours = job.statistics().direct_links_opened == 0;
    if (job.rank() == 3 || job.rank() == 5) {
      EXPECT_TRUE(job.statistics().direct_links == 1 || neighbours);
    } else {
      EXPECT_TRUE(neighbours);
    }
    job.barrier();
    job.close();
  });
}

TEST(DirectLinks, where_they_are_switched_off_connect_says_so_and_messages_arrive) {
  std::vector<Options> all = job_options(4);
  for (Options& options : all) options.direct_links = 0;
  run_ranks(all, [](HierarchicalBootstrap& job, const Options& options) {
    job.init(options);
    job.start();
    std::size_t refused = 0;
    for (int peer = 0; peer < 4; ++peer) {
      try {
        job.connect(peer);
      } catch (const Error& error) {
        ++refused;
        EXPECT_EQ(error.code(), ErrorCode::unreachable);
        EXPECT_THAT(error.what(), ::testing::HasSubstr("BANYAN_DIRECT_LINKS is 0"));
      }
    }
    EXPECT_EQ(refused, 3u - static_cast<std::size_t>(job.statistics().local_links + job.statistics().tree_links));
    const int other = 3 - job.rank();
    const Handle sent = job.begin_send(other, std::string(1 << 20, 'x'));
    EXPECT_EQ(job.recv(other).size(), 1u << 20);
    sent.wait();
    job.close();
  });
}

TEST(DirectLinks, a_rank_that_closes_does_not_disturb_those_that_go_on) {
  run_ranks(job_options(5), [](HierarchicalBootstrap& job, const Options& options) {
    job.init(options);
    job.start();
    const int last = job.world_size() - 1;
    for (int peer = 0; peer < job.world_size(); ++peer) job.connect(peer);
    job.barrier();
    // Rank 0 closes last: without it there is no tree.
    for (int leaving = last; leaving > 1; --leaving) {
      if (job.rank() == leaving) return job.close();
      if (job.rank() > 1) continue;
      const int other = 1 - job.rank();
      const Handle sent = job.begin_send(other, std::string(200'000, 'x'));
      EXPECT_EQ(job.recv(other).size(), 200'000u);
      sent.wait();
    }
    job.close();
  });
}

}  // namespace
}  // namespace banyan::api
