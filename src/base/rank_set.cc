#include "base/rank_set.hh"

#include <algorithm>

namespace banyan {

RankSet RankSet::range(Rank first, Rank last) {
  RankSet set;
  set.insert(Range{raw(first), raw(last)});
  return set;
}

RankSet RankSet::all(std::uint32_t world_size) {
  return world_size == 0 ? RankSet{} : range(Rank{0}, Rank{world_size - 1});
}

void RankSet::insert(Range range) {
  // The ranges that touch or overlap the new one become one with it.
  auto begin =
      std::ranges::lower_bound(ranges_, range.first, {}, [](const Range& r) { return std::uint64_t{r.last} + 1; });
  auto end = begin;
  for (; end != ranges_.end() && end->first <= std::uint64_t{range.last} + 1; ++end) {
    range.first = std::min(range.first, end->first);
    range.last = std::max(range.last, end->last);
    count_ -= std::uint64_t{end->last} - end->first + 1;
  }
  begin = ranges_.erase(begin, end);
  ranges_.insert(begin, range);
  count_ += std::uint64_t{range.last} - range.first + 1;
}

void RankSet::insert(const RankSet& other) {
  for (const Range range : std::vector<Range>(other.ranges_)) insert(range);
}

void RankSet::erase(Rank rank) {
  const std::uint32_t value = raw(rank);
  auto at = std::ranges::lower_bound(ranges_, value, {}, &Range::last);
  if (at == ranges_.end() || at->first > value) return;
  --count_;
  const Range whole = *at;
  if (whole.first == whole.last) {
    ranges_.erase(at);
  } else if (value == whole.first) {
    ++at->first;
  } else if (value == whole.last) {
    --at->last;
  } else {
    at->last = value - 1;
    ranges_.insert(at + 1, Range{value + 1, whole.last});
  }
}

bool RankSet::contains(Rank rank) const {
  const auto at = std::ranges::lower_bound(ranges_, raw(rank), {}, &Range::last);
  return at != ranges_.end() && at->first <= raw(rank);
}

std::vector<int> RankSet::to_vector(std::size_t limit) const {
  std::vector<int> ranks;
  for (const Range& range : ranges_) {
    for (std::uint64_t rank = range.first; rank <= range.last && ranks.size() < limit; ++rank) {
      ranks.push_back(static_cast<int>(rank));
    }
  }
  return ranks;
}

std::string RankSet::to_string(std::size_t limit) const {
  std::string text;
  std::uint64_t shown = 0;
  for (std::size_t i = 0; i < ranges_.size() && i < limit; ++i) {
    const Range& range = ranges_[i];
    if (i > 0) text += ", ";
    text += std::to_string(range.first);
    if (range.last > range.first) text += "-" + std::to_string(range.last);
    shown += std::uint64_t{range.last} - range.first + 1;
  }
  if (shown < count_) text += " and " + std::to_string(count_ - shown) + " more";
  return text;
}

}  // namespace banyan
