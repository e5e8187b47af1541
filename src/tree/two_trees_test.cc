#include "tree/two_trees.hh"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

namespace banyan::tree {
namespace {

TEST(TwoTrees, each_reaches_every_node_once_by_few_steps_and_parents_and_children_agree) {
  for (std::uint32_t nodes = 1; nodes <= 130; ++nodes) {
    const TwoTrees trees(nodes);
    for (unsigned tree = 0; tree < TwoTrees::kTrees; ++tree) {
      SCOPED_TRACE(std::to_string(nodes) + " nodes, tree " + std::to_string(tree));
      std::set<std::uint32_t> reached;
      std::vector<std::uint32_t> row{trees.root(tree)};
      EXPECT_EQ(trees.parent(tree, row[0]), std::nullopt);
      std::uint32_t rows = 0;
      for (; !row.empty(); ++rows) {
        std::vector<std::uint32_t> below;
        for (const std::uint32_t node : row) {
          ASSERT_TRUE(node < nodes && reached.insert(node).second) << node;
          for (const std::uint32_t child : trees.children(tree, node)) {
            ASSERT_EQ(trees.parent(tree, child), node);
            below.push_back(child);
          }
        }
        row = std::move(below);
      }
      EXPECT_EQ(reached.size(), nodes);
      EXPECT_LE(1u << (rows - 1), nodes) << "no deeper than a full tree of so many nodes";
    }
  }
}

TEST(TwoTrees, no_node_has_children_in_both) {
  for (std::uint32_t nodes = 1; nodes <= 130; ++nodes) {
    const TwoTrees trees(nodes);
    for (std::uint32_t node = 0; node < nodes; ++node)
      EXPECT_TRUE(trees.children(0, node).empty() || trees.children(1, node).empty()) << nodes << ": " << node;
  }
}

}  // namespace
}  // namespace banyan::tree
