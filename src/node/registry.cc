#include "node/registry.hh"

#include <utility>

#include "base/assert.hh"

namespace banyan::node {

void Registry::add(wire::Record record) {
  const std::size_t index = raw(record.rank);
  if (!present_[index]) {
    records_[index] = std::move(record);
    present_[index] = true;
    ++count_;
    return;
  }
  wire::Record& known = records_[index];
  BANYAN_ASSERT(known.incarnation == record.incarnation);
  if (record.attachment > known.attachment) known = std::move(record);
}

RankSet Registry::missing() const {
  RankSet missing;
  const auto size = static_cast<std::uint32_t>(present_.size());
  for (std::uint32_t first = 0; first < size; ++first) {
    if (present_[first]) continue;
    std::uint32_t last = first;
    while (last + 1 < size && !present_[last + 1]) ++last;
    missing.insert(RankSet::Range{first, last});
    first = last;
  }
  return missing;
}

}  // namespace banyan::node
