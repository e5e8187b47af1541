#include "tree/two_trees.hh"

#include <bit>

namespace banyan::tree {

std::uint32_t TwoTrees::number(unsigned tree, std::uint32_t node) const {
  if (tree == 0) return node + 1;
  return nodes_ % 2 == 0 ? nodes_ - node : (node + 1) % nodes_ + 1;
}

std::uint32_t TwoTrees::node(unsigned tree, std::uint32_t number) const {
  if (tree == 0) return number - 1;
  return nodes_ % 2 == 0 ? nodes_ - number : (number + nodes_ - 2) % nodes_;
}

std::uint32_t TwoTrees::root(unsigned tree) const { return node(tree, std::bit_floor(nodes_)); }

std::optional<std::uint32_t> TwoTrees::parent(unsigned tree, std::uint32_t node) const {
  std::uint64_t number = this->number(tree, node);
  if (number == std::bit_floor(nodes_)) return std::nullopt;
  // Parents in the whole tree of which this is the left end; those that are not there are passed over.
  do {
    const std::uint64_t lowest = number & ~(number - 1);
    number = (number & (2 * lowest)) != 0 ? number - lowest : number + lowest;
  } while (number > nodes_);
  return this->node(tree, static_cast<std::uint32_t>(number));
}

std::vector<std::uint32_t> TwoTrees::children(unsigned tree, std::uint32_t node) const {
  const std::uint32_t number = this->number(tree, node);
  std::uint32_t step = (number & ~(number - 1)) / 2;
  if (step == 0) return {};
  std::vector<std::uint32_t> children{this->node(tree, number - step)};
  // What is left of a subtree that is cut off at the right end has a lower node as its root.
  while (step > nodes_ - number) step /= 2;
  if (step > 0) children.push_back(this->node(tree, number + step));
  return children;
}

}  // namespace banyan::tree
