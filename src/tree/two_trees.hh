// Two binary trees over the same nodes 0 .. n-1, in each of which every other node is a leaf: no node has children in
// both. A stream whose halves go over one tree each therefore costs every node no more than the stream's own size in
// each direction, where one binary tree costs inner nodes twice that and leaves nothing. After Sanders, Speck and
// Träff, "Two-tree algorithms for full bandwidth broadcast, reduction and scan" (Parallel Computing 35, 2009).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace banyan::tree {

class TwoTrees {
 public:
  static constexpr unsigned kTrees = 2;

  // At least one node.
  explicit TwoTrees(std::uint32_t nodes) : nodes_(nodes) {}

  // `tree`: 0 or 1.
  std::uint32_t root(unsigned tree) const;
  // None: it is the root.
  std::optional<std::uint32_t> parent(unsigned tree, std::uint32_t node) const;
  // At most two, in the order of the first tree's numbers.
  std::vector<std::uint32_t> children(unsigned tree, std::uint32_t node) const;

 private:
  // The first tree is in order: a number 1 .. n with z zero bits at its end has the height z. The second is the first
  // with other numbers: mirrored, or for odd n shifted by one, so that odd numbers, the leaves, become even ones.
  std::uint32_t number(unsigned tree, std::uint32_t node) const;
  std::uint32_t node(unsigned tree, std::uint32_t number) const;

  std::uint32_t nodes_;
};

}  // namespace banyan::tree
