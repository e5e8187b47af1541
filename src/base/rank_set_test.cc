#include "base/rank_set.hh"

#include <set>

#include <gtest/gtest.h>

#include "base/random.hh"

namespace banyan {
namespace {

std::string text_of(const std::set<std::uint32_t>& ranks) {
  std::string text;
  for (auto at = ranks.begin(); at != ranks.end();) {
    std::uint32_t last = *at;
    auto end = std::next(at);
    while (end != ranks.end() && *end == last + 1) last = *end++;
    text += (text.empty() ? "" : ", ") + std::to_string(*at);
    if (last != *at) text += "-" + std::to_string(last);
    at = end;
  }
  return text;
}

TEST(RankSet, it_holds_what_was_inserted_and_not_erased_in_as_few_ranges_as_possible) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    Random random(seed);
    const std::uint32_t base = random.below(2) == 0 ? 0 : 0xffff'ffff - 63;
    RankSet set;
    std::set<std::uint32_t> model;
    for (int i = 0; i < 60; ++i) {
      const auto first = base + static_cast<std::uint32_t>(random.below(64));
      const auto last =
          first + static_cast<std::uint32_t>(random.below(std::min<std::uint64_t>(8, base + 63u - first + 1u)));
      switch (random.below(4)) {
        case 0: set.insert(Rank{first}), model.insert(first); break;
        case 1: {
          RankSet other = RankSet::range(Rank{first}, Rank{last});
          other.insert(Rank{base});
          set.insert(other);
          model.insert(base);
          for (std::uint64_t r = first; r <= last; ++r) model.insert(static_cast<std::uint32_t>(r));
          break;
        }
        default: set.erase(Rank{first}), model.erase(first); break;
      }
      ASSERT_EQ(set.count(), model.size()) << "seed " << seed;
      ASSERT_EQ(set.empty(), model.empty());
      ASSERT_EQ(set.to_string(100), text_of(model)) << "seed " << seed;
      for (std::uint32_t r = 0; r < 64; ++r) ASSERT_EQ(set.contains(Rank{base + r}), model.contains(base + r));
    }
    RankSet again;
    for (auto at = model.rbegin(); at != model.rend(); ++at) again.insert(Rank{*at});
    EXPECT_EQ(again, set) << "one set has one form, whatever the order";
  }
}

TEST(RankSet, it_prints_ranges_and_counts_what_it_leaves_out) {
  RankSet set = RankSet::single(Rank{17});
  set.insert(RankSet::range(Rank{904}, Rank{905}));
  EXPECT_EQ(set.to_string(), "17, 904-905");
  EXPECT_EQ(set.to_string(1), "17 and 2 more");
  EXPECT_EQ(RankSet{}.to_string(), "");
  EXPECT_EQ(RankSet::all(8).to_string(), "0-7");
}

TEST(RankSet, all_of_a_job_is_one_range_and_none_of_it_is_empty) {
  EXPECT_EQ(RankSet::all(1024).count(), 1024u);
  EXPECT_EQ(RankSet::all(1024).ranges().size(), 1u);
  EXPECT_TRUE(RankSet::all(0).empty());
  const RankSet everything = RankSet::range(Rank{0}, Rank{0xffff'ffff});
  EXPECT_EQ(everything.count(), std::uint64_t{1} << 32);
}

TEST(RankSet, a_set_can_be_inserted_into_itself) {
  RankSet set = RankSet::single(Rank{1});
  set.insert(Rank{5});
  const RankSet before = set;
  set.insert(set);
  EXPECT_EQ(set, before);
}

TEST(RankSet, a_list_of_ranks_ends_at_the_limit) {
  RankSet set = RankSet::range(Rank{3}, Rank{5});
  set.insert(RankSet::range(Rank{8}, Rank{1'000'000}));
  EXPECT_EQ(set.to_vector(5), (std::vector<int>{3, 4, 5, 8, 9}));
  EXPECT_EQ(RankSet::single(Rank{2}).to_vector(5), std::vector<int>{2});
  EXPECT_TRUE(set.to_vector(0).empty());
}

}  // namespace
}  // namespace banyan
