#include "node/collective_blocks.hh"

#include <algorithm>
#include <numeric>

namespace banyan::node {

std::optional<std::string> obstacle_to_blocks(const wire::CallSignature& call, const std::vector<std::uint64_t>& counts,
                                              std::uint32_t world_size) {
  const std::string ranks = std::to_string(world_size) + " ranks";
  if (counts.empty()) {
    if (call.count % world_size == 0) return std::nullopt;
    return "can't give " + ranks + " blocks of one size: say how many elements each gets";
  }
  if (counts.size() != world_size) return "was given " + std::to_string(counts.size()) + " counts for " + ranks;
  // Each by itself first, so that their sum can't overflow.
  const bool fit = *std::ranges::max_element(counts) <= call.count;
  if (fit && std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}) == call.count) return std::nullopt;
  return "was given counts that don't add up to its elements";
}

Blocks::Blocks(const wire::CallSignature& call, const std::vector<std::uint64_t>& counts, std::uint32_t world_size) {
  const std::uint64_t element = wire::element_bytes(call.element);
  if (counts.empty()) {
    equal_bytes_ = call.count / world_size * element;
    return;
  }
  std::uint64_t end = 0;
  for (const std::uint64_t count : counts) ends_.push_back(end += count * element);
}

}  // namespace banyan::node
