// A set of ranks kept as sorted, disjoint ranges, and its one printed form: `17, 904-905`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.hh"

namespace banyan {

class RankSet {
 public:
  struct Range {
    std::uint32_t first;
    std::uint32_t last;  // inclusive
    friend bool operator==(const Range&, const Range&) = default;
  };

  RankSet() = default;
  static RankSet single(Rank rank) { return range(rank, rank); }
  // All of [first, last].
  static RankSet range(Rank first, Rank last);
  static RankSet all(std::uint32_t world_size);

  void insert(Rank rank) { insert(Range{raw(rank), raw(rank)}); }
  void insert(Range range);
  void insert(const RankSet& other);
  void erase(Rank rank);
  bool contains(Rank rank) const;
  bool empty() const { return ranges_.empty(); }
  std::uint64_t count() const { return count_; }
  const std::vector<Range>& ranges() const { return ranges_; }
  std::vector<int> to_vector(std::size_t limit) const;
  // "17, 904-905"; after `limit` ranges "... and 12 more".
  std::string to_string(std::size_t limit = 32) const;

  friend bool operator==(const RankSet&, const RankSet&) = default;

 private:
  std::vector<Range> ranges_;
  std::uint64_t count_ = 0;
};

}  // namespace banyan
