#include "tree/shares.hh"

#include <map>
#include <set>

#include <gtest/gtest.h>

namespace banyan::tree {
namespace {

constexpr Position P(std::uint32_t position) { return Position{position}; }

TEST(Shares, without_a_list_the_root_allots_every_place) {
  for (const std::uint32_t listed : {0u, 1u}) {
    const Shares shares(4, listed);
    for (std::uint32_t place = 1; place < 500; ++place) EXPECT_EQ(shares.allotter(P(place)), kRootPosition);
    for (std::uint32_t host = 0; host < 50; ++host) EXPECT_EQ(shares.asks(host), kRootPosition);
  }
}

TEST(Shares, a_listed_host_allots_below_its_children_but_the_last_which_are_the_roots) {
  const Shares shares(3, 2);  // 0 has the children 1, 2, 3, of which 1 is listed; 1 has 4, 5, 6
  EXPECT_EQ(shares.allotter(P(2)), P(0));
  EXPECT_EQ(shares.allotter(P(3)), P(0));
  EXPECT_EQ(shares.allotter(P(4)), P(1));
  EXPECT_EQ(shares.allotter(P(5)), P(1));
  EXPECT_EQ(shares.allotter(P(6)), P(0));
  EXPECT_EQ(shares.allotter(P(13)), P(1));  // child of 4
  EXPECT_EQ(shares.allotter(P(19)), P(0));  // child of 6
}

TEST(Shares, every_host_that_is_asked_has_places_and_all_are_asked_equally_often) {
  for (std::uint32_t fan_out = 2; fan_out <= 9; ++fan_out) {
    for (std::uint32_t listed = 1; listed <= 40; ++listed) {
      const Shares shares(fan_out, listed);
      std::set<Position> allot;
      for (std::uint32_t place = listed; place < listed * fan_out + fan_out + 1; ++place) {
        allot.insert(shares.allotter(P(place)));
      }
      std::map<Position, int> asked;
      for (std::uint32_t host = listed; host < listed + 400; ++host) ++asked[shares.asks(host)];
      for (const auto& [position, times] : asked) {
        EXPECT_TRUE(allot.contains(position)) << fan_out << ' ' << listed << ' ' << raw(position);
        EXPECT_TRUE(shares.allots(position));
        EXPECT_NEAR(times, 400 / static_cast<int>(asked.size()), 1);
      }
      // Whoever has places of its own is asked; the root has those of the last children too.
      for (const Position position : allot) {
        EXPECT_TRUE(asked.contains(position) || position == kRootPosition) << fan_out << ' ' << listed;
      }
      EXPECT_TRUE(allot.contains(kRootPosition));
    }
  }
}

}  // namespace
}  // namespace banyan::tree
