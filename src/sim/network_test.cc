// How long bytes are under way.
#include "sim/network.hh"

#include <gtest/gtest.h>

namespace banyan::sim {
namespace {

using std::chrono::microseconds;

constexpr std::uint64_t kGigabytePerSecond = 1'000'000'000;

TEST(Network, bytes_take_the_distance_and_their_length_once) {
  Random random(1);
  Network network({.latency = microseconds(25), .bytes_per_second = kGigabytePerSecond}, random);
  EXPECT_EQ(network.arrival(Time{}, 0, 1, 0), Time{} + microseconds(25));
  EXPECT_EQ(network.arrival(Time{}, 0, 1, 10'000), Time{} + microseconds(35));
}

TEST(Network, what_leaves_or_enters_a_host_queues_at_its_link) {
  Random random(1);
  Network network({.latency = microseconds(25), .bytes_per_second = kGigabytePerSecond}, random);
  // Out of one host to two others, then out of two hosts into one.
  EXPECT_EQ(network.arrival(Time{}, 0, 1, 10'000), Time{} + microseconds(35));
  EXPECT_EQ(network.arrival(Time{}, 0, 2, 10'000), Time{} + microseconds(45));
  EXPECT_EQ(network.arrival(Time{}, 3, 4, 10'000), Time{} + microseconds(35));
  EXPECT_EQ(network.arrival(Time{}, 5, 4, 10'000), Time{} + microseconds(45));
}

TEST(Network, within_a_host_only_the_local_latency_counts) {
  Random random(1);
  Network network({.latency = microseconds(25), .local_latency = microseconds(2), .bytes_per_second = 1000}, random);
  EXPECT_EQ(network.arrival(Time{}, 7, 7, 1'000'000), Time{} + microseconds(2));
}

TEST(Network, racks_are_farther_apart_and_share_a_narrower_link) {
  Random random(1);
  Network network({.latency = microseconds(10),
                   .spine_latency = microseconds(5),
                   .hosts_per_rack = 2,
                   .bytes_per_second = kGigabytePerSecond,
                   .rack_bytes_per_second = kGigabytePerSecond / 10},
                  random);
  EXPECT_EQ(network.arrival(Time{}, 0, 1, 10'000), Time{} + microseconds(20));
  EXPECT_EQ(network.arrival(Time{}, 2, 5, 10'000), Time{} + microseconds(115));
  // Another host of the same rack waits for the same link to the spine.
  EXPECT_EQ(network.arrival(Time{}, 3, 6, 10'000), Time{} + microseconds(215));
}

TEST(Network, jitter_stays_within_its_bounds_and_comes_from_the_seed) {
  const NetworkOptions options{.latency = microseconds(10), .jitter = microseconds(5)};
  Random random(3);
  Random again(3);
  Network network(options, random);
  Network twin(options, again);
  Time least = kNever;
  Time greatest{};
  for (int i = 0; i < 1000; ++i) {
    const Time arrival = network.trip(Time{}, 0, 1);
    ASSERT_EQ(arrival, twin.trip(Time{}, 0, 1));
    least = std::min(least, arrival);
    greatest = std::max(greatest, arrival);
  }
  EXPECT_GE(least, Time{} + microseconds(10));
  EXPECT_LT(greatest, Time{} + microseconds(15));
  EXPECT_GT(greatest - least, microseconds(4));
}

}  // namespace
}  // namespace banyan::sim
