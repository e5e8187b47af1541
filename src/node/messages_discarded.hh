// What nobody receives any more though it may still come: messages of operations that have failed, and all of
// communicators that are gone. Of each only the latest are remembered: what comes for others waits, as anything does
// that nobody has asked for.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "base/limits.hh"
#include "wire/point_to_point.hh"

namespace banyan::node {

template <typename Key, std::size_t kMost>
class Latest {
 public:
  void add(Key key) {
    if (!keys_.insert(key).second) return;
    order_.push_back(key);
    if (order_.size() <= kMost) return;
    keys_.erase(order_.front());
    order_.pop_front();
  }
  bool contains(Key key) const { return keys_.contains(key); }

 private:
  std::set<Key> keys_;
  std::deque<Key> order_;
};

class DiscardedMessages {
 public:
  void add(const wire::Tag& tag) { lanes_[tag.lane].numbers.add(tag.number); }
  // The same for all numbers from this one on. They come again after four billion: half of them are later ones.
  void add_from(const wire::Tag& tag) {
    auto& from = lanes_[tag.lane].from;
    if (!from || is_later(*from, tag.number)) from = tag.number;
  }
  void add(CommunicatorId communicator) {
    communicators_.add(communicator);
    std::erase_if(lanes_, [communicator](const auto& lane) { return lane.first.communicator == communicator; });
  }
  bool contains(CommunicatorId communicator) const { return communicators_.contains(communicator); }
  bool contains(const wire::Tag& tag) const {
    const auto at = lanes_.find(tag.lane);
    if (at == lanes_.end()) return false;
    const auto& [numbers, from] = at->second;
    return numbers.contains(tag.number) || (from && !is_later(*from, tag.number));
  }

 private:
  // As many operations as two ranks may be apart, two windows, with up to four numbers each.
  static constexpr std::size_t kMostNumbers = 4 * 2 * kMaxCollectivesInFlight;
  static constexpr std::size_t kMostCommunicators = 4 * kMaxCommunicators;

  struct OfLane {
    Latest<std::uint32_t, kMostNumbers> numbers;
    std::optional<std::uint32_t> from;
  };
  static bool is_later(std::uint32_t number, std::uint32_t than) {
    return number != than && number - than < std::uint32_t{1} << 31;
  }

  std::map<wire::Lane, OfLane> lanes_;
  Latest<CommunicatorId, kMostCommunicators> communicators_;
};

}  // namespace banyan::node
