// The one pool of bytes for messages that came before this rank asked for them, and the queue of small messages that
// found no room in it: first come, first served, so that no source is passed over.
#pragma once

#include <cstdint>
#include <map>

#include "base/assert.hh"
#include "base/ids.hh"
#include "wire/point_to_point.hh"

namespace banyan::node {

class UnexpectedPool {
 public:
  // What a held message costs beside its bytes (its nodes in containers, its own copy's header), so that empty
  // messages can't fill the memory either.
  static constexpr std::uint64_t kMessageOverheadBytes = 256;
  static constexpr std::uint64_t cost(std::uint64_t bytes) { return bytes + kMessageOverheadBytes; }

  struct Waiter {
    Rank source{};
    wire::Tag tag;
    Sequence sequence{};
    std::uint64_t bytes = 0;
  };
  // A place in the queue; 0: none.
  using Ticket = std::uint64_t;

  explicit UnexpectedPool(std::uint64_t limit) : limit_(limit) {}

  std::uint64_t used() const { return used_; }
  bool take(std::uint64_t cost) {
    if (cost > limit_ - used_) return false;
    used_ += cost;
    return true;
  }
  void give(std::uint64_t cost) {
    BANYAN_ASSERT(cost <= used_);
    used_ -= cost;
  }

  // A message that does not fit even an empty pool gets no place: it waits for its receive.
  Ticket enqueue(const Waiter& waiter) {
    if (cost(waiter.bytes) > limit_) return 0;
    waiters_.emplace(++last_ticket_, waiter);
    return last_ticket_;
  }
  void dequeue(Ticket ticket) { waiters_.erase(ticket); }
  bool has_waiters() const { return !waiters_.empty(); }
  std::size_t waiters() const { return waiters_.size(); }
  // The first of the queue if there is room for it now.
  const Waiter* ready() const {
    if (waiters_.empty()) return nullptr;
    const Waiter& first = waiters_.begin()->second;
    return cost(first.bytes) <= limit_ - used_ ? &first : nullptr;
  }

 private:
  std::uint64_t limit_;
  std::uint64_t used_ = 0;
  Ticket last_ticket_ = 0;
  std::map<Ticket, Waiter> waiters_;
};

}  // namespace banyan::node
