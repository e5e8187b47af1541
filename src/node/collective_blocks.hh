// How the elements of a reduce_scatter are divided among the ranks: in blocks of one size, or by counts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hh"
#include "wire/collective.hh"

namespace banyan::node {

// Why vectors of this call can't be divided so, as the end of a sentence that begins with the call; none: they can.
std::optional<std::string> obstacle_to_blocks(const wire::CallSignature& call, const std::vector<std::uint64_t>& counts,
                                              std::uint32_t world_size);

class Blocks {
 public:
  // Of no ranks.
  Blocks() = default;
  // There is no obstacle to them.
  Blocks(const wire::CallSignature& call, const std::vector<std::uint64_t>& counts, std::uint32_t world_size);

  std::uint64_t bytes_of(Rank rank) const { return end_of(rank) - begin_of(rank); }
  // The rank's block of a whole vector; the bytes stay shared.
  Payload of(const Payload& vector, Rank rank) const { return vector.part(begin_of(rank), bytes_of(rank)); }

 private:
  std::uint64_t begin_of(Rank rank) const { return raw(rank) == 0 ? 0 : end_of(Rank{raw(rank) - 1}); }
  std::uint64_t end_of(Rank rank) const { return ends_.empty() ? (raw(rank) + 1) * equal_bytes_ : ends_[raw(rank)]; }

  std::uint64_t equal_bytes_ = 0;
  std::vector<std::uint64_t> ends_;  // in bytes, by rank; none: all blocks have equal_bytes_
};

}  // namespace banyan::node
