// Walks over a payload once, from front to back, whatever slices it consists of.
#pragma once

#include <algorithm>
#include <cstring>

#include "base/assert.hh"
#include "base/bytes.hh"

namespace banyan::node {

// The payload outlives the cursor. Every count is at most remaining().
class PayloadCursor {
 public:
  explicit PayloadCursor(const Payload& payload) : payload_(payload), remaining_(payload.size()) {}

  std::size_t remaining() const { return remaining_; }

  // The next `count` bytes, shared.
  Payload take(std::size_t count) {
    Payload taken;
    walk(count,
         [&](const Slice& slice, std::size_t offset, std::size_t size) { taken.append(slice.part(offset, size)); });
    return taken;
  }
  // The next `count` bytes, copied.
  void read(std::byte* out, std::size_t count) {
    walk(count, [&](const Slice& slice, std::size_t offset, std::size_t size) {
      std::memcpy(out, slice.data() + offset, size);
      out += size;
    });
  }
  void skip(std::size_t count) {
    walk(count, [](const Slice&, std::size_t, std::size_t) {});
  }

 private:
  template <typename Visit>
  void walk(std::size_t count, Visit visit) {
    BANYAN_ASSERT(count <= remaining_);
    remaining_ -= count;
    while (count > 0) {
      const Slice& slice = payload_.slice(index_);
      const std::size_t size = std::min(count, slice.size() - within_);
      visit(slice, within_, size);
      count -= size;
      within_ += size;
      if (within_ < slice.size()) continue;
      ++index_;
      within_ = 0;
    }
  }

  const Payload& payload_;
  std::size_t remaining_;
  std::size_t index_ = 0;
  std::size_t within_ = 0;
};

}  // namespace banyan::node
