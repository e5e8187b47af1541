// Places are allotted in the order of arrival, are never held by two, and come back when nobody registers at them.
#include "node/placement.hh"

#include <set>

#include <gtest/gtest.h>

#include "base/random.hh"

namespace banyan::node {
namespace {

using std::chrono::seconds;

constexpr Duration kLease = seconds(20);
constexpr Time kStart{};

Placement::Holder leader(std::uint32_t rank, std::uint64_t incarnation = 1) {
  Placement::Holder leader;
  leader.rank = Rank{rank};
  leader.incarnation = Incarnation{incarnation};
  leader.host = "host-" + std::to_string(rank);
  return leader;
}
constexpr Position P(std::uint32_t position) { return Position{position}; }

Placement at_root(std::uint32_t fan_out, std::uint32_t world_size, std::uint32_t listed) {
  return {tree::Shares(fan_out, listed), tree::kRootPosition, kRootRank, "host-0", world_size, kLease};
}

TEST(Placement, leaders_get_places_breadth_first_in_the_order_of_arrival) {
  Placement placement = at_root(2, 1000, 0);
  for (std::uint32_t i = 1; i <= 6; ++i) {
    const auto place = placement.allot(kStart, leader(10 + i), kNoRank);
    ASSERT_TRUE(place.has_value());
    EXPECT_EQ(place->position, P(i));
    EXPECT_EQ(place->parent, P((i - 1) / 2));
    EXPECT_EQ(placement.holder(P(i))->rank, Rank{10 + i});
  }
  EXPECT_EQ(placement.holder(tree::kRootPosition)->rank, kRootRank);
  EXPECT_EQ(placement.holder(P(7)), nullptr);
}

TEST(Placement, a_leader_that_asks_again_leaves_its_place_to_the_next) {
  Placement placement = at_root(4, 1000, 0);
  EXPECT_EQ(placement.allot(kStart, leader(1), kNoRank)->position, P(1));
  EXPECT_EQ(placement.allot(kStart, leader(2), kNoRank)->position, P(2));
  EXPECT_EQ(placement.allot(kStart, leader(1), kNoRank)->position, P(1));
  EXPECT_EQ(placement.allot(kStart, leader(3), kNoRank)->position, P(3));
}

TEST(Placement, a_lease_ends_unless_the_record_has_come) {
  Placement placement = at_root(4, 1000, 0);
  placement.allot(kStart, leader(1), kNoRank);
  placement.allot(kStart, leader(2), kNoRank);
  ASSERT_TRUE(placement.claim(P(2), leader(2), true));
  EXPECT_EQ(placement.deadline(), kStart + kLease);
  placement.expire(kStart + kLease - Duration{1});
  EXPECT_NE(placement.holder(P(1)), nullptr);
  placement.expire(kStart + kLease);
  EXPECT_EQ(placement.holder(P(1)), nullptr);
  EXPECT_NE(placement.holder(P(2)), nullptr);
  EXPECT_EQ(placement.deadline(), kNever);
  EXPECT_EQ(placement.allot(kStart + kLease, leader(3), kNoRank)->position, P(1));
}

TEST(Placement, a_registered_leader_keeps_its_place_and_a_leased_one_goes_to_whoever_came) {
  Placement placement = at_root(4, 1000, 0);
  placement.allot(kStart, leader(1), kNoRank);
  EXPECT_TRUE(placement.claim(P(1), leader(2), false));
  EXPECT_EQ(placement.holder(P(1))->rank, Rank{2});
  EXPECT_TRUE(placement.claim(P(1), leader(2), true));
  EXPECT_FALSE(placement.claim(P(1), leader(3), true));
  EXPECT_FALSE(placement.claim(P(1), leader(2, 9), true)) << "another life of the same rank";
  EXPECT_TRUE(placement.claim(P(1), leader(2), false)) << "its own again";
  EXPECT_TRUE(placement.holder(P(1))->registered);
}

// Nobody sent it there: what the root has allotted since must not get mixed up with it.
TEST(Placement, who_came_to_a_place_by_itself_and_who_is_sent_there_do_not_get_mixed_up) {
  Placement placement = at_root(2, 8, 0);
  EXPECT_FALSE(placement.may_take(P(3), leader(5, 1)));
  EXPECT_TRUE(placement.claim(P(3), leader(5, 1), false));
  for (std::uint64_t life = 2; life <= 4; ++life) {
    EXPECT_EQ(placement.allot(kStart, leader(5, life), kNoRank)->position, P(static_cast<std::uint32_t>(life - 1)));
  }
  EXPECT_TRUE(placement.may_take(P(3), leader(5, 4)));
  EXPECT_FALSE(placement.stale(Rank{5}, Incarnation{1}, {}));
  EXPECT_TRUE(placement.allot(kStart, leader(5, 4), kRootRank).has_value());
  EXPECT_FALSE(placement.stale(Rank{5}, Incarnation{1}, {}));
  // A place where somebody has registered is given to nobody.
  EXPECT_TRUE(placement.claim(P(3), leader(6), true));
  EXPECT_EQ(placement.allot(kStart, leader(7), kNoRank)->position, P(4));
}

TEST(Placement, who_complains_gets_another_parent_and_at_last_the_reserved_place) {
  Placement placement = at_root(2, 1000, 0);
  for (std::uint32_t i = 1; i <= 6; ++i)
    placement.claim(placement.allot(kStart, leader(i), kNoRank)->position, leader(i), true);
  Rank parent = kNoRank;
  for (int complaint = 0; complaint < 3; ++complaint) {
    const auto place = placement.allot(kStart, leader(9), parent);
    ASSERT_TRUE(place.has_value());
    EXPECT_NE(placement.holder(place->parent)->rank, parent);
    parent = placement.holder(place->parent)->rank;
  }
  const auto last = placement.allot(kStart, leader(9), parent);
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(last->position, tree::kReservedPosition);
  EXPECT_EQ(last->parent, tree::kRootPosition);
}

// Were it sent below another host, that host's loss would take a rank along that stands beside the root.
TEST(Placement, another_leader_of_the_roots_host_gets_the_place_beside_it_and_a_third_an_ordinary_one) {
  Placement placement = at_root(2, 1000, 5);
  EXPECT_EQ(placement.allot(kStart, leader(9), kNoRank)->position, P(6));
  Placement::Holder beside = leader(1);
  beside.host = "host-0";
  const auto place = placement.allot(kStart, beside, kNoRank);
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->position, tree::kBesidePosition);
  EXPECT_EQ(place->parent, tree::kRootPosition);
  EXPECT_EQ(placement.allot(kStart, beside, kNoRank)->position, tree::kBesidePosition) << "it asks again";
  Placement::Holder third = leader(2);
  third.host = "host-0";
  EXPECT_NE(placement.allot(kStart, third, kNoRank)->position, tree::kBesidePosition);
}

TEST(Placement, places_of_listed_hosts_are_theirs) {
  Placement placement = at_root(2, 1000, 5);
  EXPECT_TRUE(placement.claim(P(3), leader(30), false));
  EXPECT_EQ(placement.allot(kStart, leader(9), kNoRank)->position, P(6)) << "the last child of 2; 5 is given by 2";
}

TEST(Placement, no_place_is_ever_held_by_two_and_nobody_is_placed_under_itself) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    Placement placement = at_root(static_cast<std::uint32_t>(random.between(2, 4)), 1000, 0);
    Time now{};
    std::map<std::uint32_t, Position> held;  // by registered leaders
    for (int step = 0; step < 200; ++step) {
      now += seconds(random.below(4));
      placement.expire(now);
      const auto rank = static_cast<std::uint32_t>(random.between(1, 20));
      if (held.contains(rank)) continue;
      const Rank unreachable = random.below(3) == 0 ? Rank{static_cast<std::uint32_t>(random.between(1, 20))} : kNoRank;
      if (unreachable == Rank{rank}) continue;
      const auto place = placement.allot(now, leader(rank), unreachable);
      if (!place) continue;
      for (const auto& [other, position] : held)
        ASSERT_NE(position, place->position) << "seed " << seed << ", held by " << other;
      ASSERT_EQ(placement.holder(place->position)->rank, Rank{rank}) << "seed " << seed;
      ASSERT_TRUE(placement.holder(place->parent) != nullptr && placement.holder(place->parent)->rank != Rank{rank})
          << "seed " << seed;
      ASSERT_NE(placement.holder(place->parent)->rank, unreachable) << "seed " << seed;
      if (random.below(2) == 0 && placement.claim(place->position, leader(rank), true)) held[rank] = place->position;
      for (const auto& [other, position] : held)
        ASSERT_EQ(placement.holder(position)->rank, Rank{other}) << "seed " << seed;
    }
  }
}

TEST(Placement, a_listed_host_allots_its_own_share_alone_and_the_root_another) {
  const tree::Shares shares(3, 4);  // 1, 2 and 3 are listed; below 1 stand 5 (the last but one), 4, and the root's 6
  Placement at_one(shares, P(1), Rank{10}, "host-10", 100, kLease);
  Placement root(shares, tree::kRootPosition, kRootRank, "host-0", 100, kLease);
  std::set<Position> given;
  for (std::uint32_t i = 0; i < 8; ++i) {
    const auto here = at_one.allot(kStart, leader(20 + i), kNoRank);
    const auto there = root.allot(kStart, leader(40 + i), kNoRank);
    ASSERT_TRUE(here && there);
    EXPECT_EQ(shares.allotter(here->position), P(1));
    EXPECT_EQ(shares.allotter(there->position), tree::kRootPosition);
    EXPECT_TRUE(given.insert(here->position).second && given.insert(there->position).second);
    EXPECT_TRUE(here->parent == P(1) || at_one.holder(here->parent) != nullptr);
  }
  EXPECT_TRUE(given.contains(P(4)) && given.contains(P(5)) && given.contains(P(6)));
}

TEST(Placement, a_listed_host_gives_no_more_places_than_there_are_ranks_and_none_back) {
  Placement placement(tree::Shares(2, 2), P(1), Rank{10}, "host-10", 50, kLease);
  for (std::uint32_t i = 0; i < 50; ++i) {
    const auto place = placement.allot(kStart, leader(20 + i), kNoRank);
    ASSERT_TRUE(place.has_value());
    EXPECT_NE(place->position, tree::kReservedPosition);
  }
  EXPECT_FALSE(placement.allot(kStart, leader(9), kNoRank).has_value());
  EXPECT_EQ(placement.deadline(), kNever);
  EXPECT_TRUE(placement.allot(kStart, leader(20), kNoRank).has_value()) << "who asks again leaves a place";
}

TEST(Placement, the_root_sends_those_who_complain_anywhere_when_its_own_share_has_nothing) {
  Placement placement = at_root(2, 100, 4);  // its share: below 2 (listed), 4, 6, 8
  ASSERT_TRUE(placement.claim(P(1), leader(11), true));
  EXPECT_EQ(placement.allot(kStart, leader(20), Rank{13})->position, P(4)) << "the last child of 1";
  const auto second = placement.allot(kStart, leader(21), Rank{13});
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->position, tree::kReservedPosition) << "nobody else has registered";
}

}  // namespace
}  // namespace banyan::node
