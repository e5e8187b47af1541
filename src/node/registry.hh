// The root's knowledge of who has come: one record for each rank, and the set of those still missing.
#pragma once

#include <cstdint>
#include <vector>

#include "base/rank_set.hh"
#include "wire/record.hh"

namespace banyan::node {

class Registry {
 public:
  explicit Registry(std::uint32_t world_size) : records_(world_size), present_(world_size) {}

  // record.rank < world size, and the rank is not registered in another life. A record replaces one of a lower
  // attachment.
  void add(wire::Record record);
  bool complete() const { return count_ == records_.size(); }
  std::uint32_t count() const { return count_; }
  // Null: not registered.
  const wire::Record* find(Rank rank) const {
    return raw(rank) < present_.size() && present_[raw(rank)] ? &records_[raw(rank)] : nullptr;
  }
  // Walks all ranks: for the status that goes out once a second, not for every event.
  RankSet missing() const;
  const std::vector<wire::Record>& records() const { return records_; }

 private:
  std::vector<wire::Record> records_;
  std::vector<bool> present_;
  std::uint32_t count_ = 0;
};

}  // namespace banyan::node
