// A measured job: the same seed gives the same run, and the figures follow from the network and the costs.
#include "sim/measurement.hh"

#include <gtest/gtest.h>

#include "sim/star_ring.hh"

namespace banyan::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

Measurement run(const JobOptions& job, const ClusterOptions& cluster, std::uint64_t seed = 1) {
  return measure(job, cluster, seed, [](const char*) {});
}

ClusterOptions far_apart() {
  ClusterOptions options;
  options.network.latency = microseconds(25);
  options.socket_buffer = std::size_t{4} << 20;
  return options;
}

TEST(Measurement, one_seed_is_one_run_and_another_is_another) {
  const JobOptions job{.ranks = 100, .ranks_per_host = 4, .fan_out = 4};
  ClusterOptions cluster = far_apart();
  cluster.network.jitter = microseconds(10);
  const Measurement first = run(job, cluster, 5);
  EXPECT_EQ(run(job, cluster, 5).digest, first.digest);
  EXPECT_EQ(run(job, cluster, 5).formed_ms, first.formed_ms);
  EXPECT_NE(run(job, cluster, 6).digest, first.digest);
}

// Known once and for all, for any compiler and optimisation: a change of the protocol changes it, and nothing else may.
TEST(Measurement, the_digest_is_the_same_on_every_machine_and_compiler) {
  ClusterOptions cluster = far_apart();
  cluster.network.jitter = microseconds(10);
  EXPECT_EQ(run({.ranks = 64, .ranks_per_host = 8, .fan_out = 4}, cluster).digest, 0x88ca'0a52'2c01'140cu);
}

TEST(Measurement, without_costs_a_phase_takes_its_trips) {
  // One host for each rank, all children of the root.
  const JobOptions job{.ranks = 5, .ranks_per_host = 1, .fan_out = 4, .listed_hosts = UINT32_MAX};
  const Measurement found = run(job, far_apart());
  EXPECT_EQ(found.depth, 1u);
  EXPECT_EQ(found.root_links, 4u);
  EXPECT_EQ(found.links_total, 4u);
  // Up and down once.
  EXPECT_DOUBLE_EQ(found.barrier_ms, 0.050);
  EXPECT_DOUBLE_EQ(found.broadcast_ms, 0.025);
  // TCP's handshake, hello and challenge, proof and record, table: four round trips but for the last way up.
  EXPECT_DOUBLE_EQ(found.registered_ms, 0.125);
  EXPECT_DOUBLE_EQ(found.formed_ms, 0.150);
}

TEST(Measurement, the_links_of_a_long_stream_open_side_by_side) {
  const auto broadcast_ms = [](std::uint32_t hosts) {
    return run({.ranks = hosts,
                .ranks_per_host = 1,
                .fan_out = 16,
                .listed_hosts = UINT32_MAX,
                .payload_bytes = 1024 * 1024},
               far_apart())
        .broadcast_ms;
  };
  // Two levels more, each of which takes a segment's trips and not a connection's.
  EXPECT_LT(broadcast_ms(32) - broadcast_ms(8), 2 * 0.2);
}

TEST(Measurement, processes_share_the_cores_of_their_host) {
  const JobOptions job{.ranks = 32, .ranks_per_host = 32};
  ClusterOptions cluster;
  cluster.socket_buffer = std::size_t{4} << 20;
  cluster.costs.start = 1'000'000;
  cluster.cores_per_host = 1;
  EXPECT_GE(run(job, cluster).formed_ms, 32.0);
  cluster.cores_per_host = 4;
  const double with_four = run(job, cluster).formed_ms;
  EXPECT_GE(with_four, 8.0);
  EXPECT_LT(with_four, 10.0);
  cluster.cores_per_host = 0;
  EXPECT_LT(run(job, cluster).formed_ms, 3.0);
}

TEST(Measurement, a_table_takes_the_time_that_its_bytes_need_on_the_link) {
  JobOptions job{.ranks = 2, .ranks_per_host = 1, .fan_out = 2, .listed_hosts = UINT32_MAX, .blob_bytes = 30'000};
  ClusterOptions cluster = far_apart();
  const double wide = run(job, cluster).formed_ms;
  cluster.network.bytes_per_second = 100'000'000;
  // 30 kB up and 60 kB down at 10 ns each.
  const double narrow = run(job, cluster).formed_ms;
  EXPECT_NEAR(narrow - wide, 0.9, 0.02);
}

TEST(Measurement, a_full_accept_queue_costs_what_linux_charges) {
  JobOptions job{.ranks = 65, .ranks_per_host = 1, .fan_out = 64};
  ClusterOptions cluster = far_apart();
  cluster.costs.accept_tcp = 100'000;
  const double deep = run(job, cluster).formed_ms;
  cluster.accept_queue = 4;
  const double shallow = run(job, cluster).formed_ms;
  EXPECT_LT(deep, 50.0);
  // Nobody waits for the kernel's second: the engine tries again before that.
  EXPECT_GT(shallow, 400.0);
}

TEST(StarRing, the_ring_takes_its_steps_and_the_sleeps_their_time) {
  ClusterOptions cluster;
  cluster.network.latency = microseconds(25);
  const JobOptions job{.ranks = 1000, .ranks_per_host = 1};
  const auto awake = measure(StarRing{.sleeps = false, .bidirectional = false}, job, cluster, 1);
  EXPECT_NEAR(awake.ring_ms, 999 * 0.025, 1e-6);
  EXPECT_NEAR(measure(StarRing{.sleeps = false, .bidirectional = true}, job, cluster, 1).ring_ms, 500 * 0.025, 1e-6);
  const auto asleep = measure(StarRing{.sleeps = true, .bidirectional = false}, job, cluster, 1);
  EXPECT_NEAR(asleep.star_ms - awake.star_ms, 999.0, 0.1);
  EXPECT_EQ(awake.connections_total, 3000u);
}

TEST(StarRing, a_root_whose_accept_queue_stays_full_keeps_ranks_out) {
  ClusterOptions cluster;
  cluster.accept_queue = 8;
  cluster.costs.accept_tcp = 2'000'000;
  const auto found =
      measure(StarRing{.sleeps = false, .bidirectional = false}, {.ranks = 1000, .ranks_per_host = 1}, cluster, 1);
  EXPECT_GT(found.kept_out, 0u);
  EXPECT_GT(found.repeated_syns, found.kept_out);
}

}  // namespace
}  // namespace banyan::sim
