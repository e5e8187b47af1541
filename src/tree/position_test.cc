#include "tree/position.hh"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.hh"

namespace banyan::tree {
namespace {

// The same tree, grown breadth first from its definition; the two extra positions are the last nodes.
struct Grown {
  Grown(std::uint32_t fan_out, std::uint32_t count) : parent(count), extra(count - kExtraChildren) {
    std::uint32_t next = 1;
    for (std::uint32_t p = 0; next < extra; ++p) {
      for (std::uint32_t child = 0; child < fan_out && next < extra; ++child) parent[next++] = p;
    }
    for (; next < count; ++next) parent[next] = 0;
  }
  Position position(std::uint32_t node) const {
    return node < extra ? Position{node} : Position{raw(kBesidePosition) + (node - extra)};
  }
  // The node itself and all above it.
  std::vector<std::uint32_t> chain(std::uint32_t node) const {
    std::vector<std::uint32_t> nodes{node};
    while (node != 0) nodes.push_back(node = parent[node]);
    return nodes;
  }

  std::vector<std::uint32_t> parent;
  std::uint32_t extra;
};

TEST(Shape, every_question_has_the_answer_of_a_tree_grown_by_hand) {
  for (const std::uint32_t fan_out : {2u, 3u, 5u, 32u}) {
    const std::uint32_t count = fan_out == 32 ? 200 : 90;
    const Grown tree(fan_out, count);
    const Shape shape(fan_out);
    for (std::uint32_t a = 0; a < count; ++a) {
      const auto above_a = tree.chain(a);
      EXPECT_EQ(shape.depth(tree.position(a)), above_a.size() - 1);
      if (a != 0) {
        EXPECT_EQ(shape.parent(tree.position(a)), tree.position(tree.parent[a]));
      }
      for (std::uint32_t b = 0; b < count; ++b) {
        const auto above_b = tree.chain(b);
        const bool below = std::ranges::count(above_b, a) > 0;
        ASSERT_EQ(shape.is_ancestor_or_self(tree.position(a), tree.position(b)), below) << a << " " << b;
        if (below && a != b) {
          const std::uint32_t step = *std::prev(std::ranges::find(above_b, a));
          ASSERT_EQ(shape.next_hop_down(tree.position(a), tree.position(b)), tree.position(step)) << a << " " << b;
        }
        const std::uint32_t common = *std::ranges::find_first_of(above_a, above_b);
        ASSERT_EQ(shape.common_ancestor(tree.position(a), tree.position(b)), tree.position(common)) << a << " " << b;
        const auto up = std::ranges::find(above_a, common) - above_a.begin();
        const auto down = std::ranges::find(above_b, common) - above_b.begin();
        ASSERT_EQ(shape.distance(tree.position(a), tree.position(b)), up + down) << a << " " << b;
      }
    }
  }
}

TEST(Shape, children_follow_each_other_and_lead_back_to_their_parent) {
  for (const std::uint32_t fan_out : {2u, 7u, 1024u}) {
    const Shape shape(fan_out);
    EXPECT_EQ(shape.first_child(kRootPosition), 1u);
    Random random(fan_out);
    for (int i = 0; i < 1000; ++i) {
      const Position parent{static_cast<std::uint32_t>(random.below(raw(kBesidePosition) / fan_out - 1))};
      const std::uint64_t first = shape.first_child(parent);
      for (const std::uint64_t child : {first, first + fan_out - 1}) {
        EXPECT_EQ(shape.parent(Position{static_cast<std::uint32_t>(child)}), parent);
      }
      EXPECT_EQ(shape.first_child(next(parent)), first + fan_out);
    }
  }
}

TEST(Shape, the_greatest_positions_do_not_overflow) {
  for (const std::uint32_t fan_out : {2u, 32u, 1024u}) {
    const Shape shape(fan_out);
    const Position last{raw(kBesidePosition) - 1};
    EXPECT_LE(shape.depth(last), 32u);
    for (const Position extra : {kReservedPosition, kBesidePosition}) {
      EXPECT_EQ(shape.common_ancestor(last, extra), kRootPosition);
      EXPECT_EQ(shape.depth(extra), 1u);
      EXPECT_FALSE(shape.is_ancestor_or_self(last, extra));
      EXPECT_FALSE(shape.is_ancestor_or_self(extra, last));
      EXPECT_TRUE(shape.is_ancestor_or_self(kRootPosition, extra));
      EXPECT_EQ(shape.next_hop_down(kRootPosition, extra), extra);
    }
    EXPECT_GT(shape.first_child(last), 0xffff'ffffu);
  }
}

}  // namespace
}  // namespace banyan::tree
