// Who allots which places when more addresses than the root's are known before the job starts: the first hosts stand
// in a list, each at its own position, and every other host asks one of them. Pure arithmetic, as everything here.
//
// A listed host allots the places below its children that are not in the list, all but the last one's; those below the
// last ones are the root's, so that it always has places for hosts that can't use the one they were sent to.
#pragma once

#include <cstdint>

#include "tree/position.hh"

namespace banyan::tree {

class Shares {
 public:
  // `listed`: positions below it belong to listed hosts. 0 and 1 are the same: the root alone.
  Shares(std::uint32_t fan_out, std::uint32_t listed);

  const Shape& shape() const { return shape_; }
  bool listed(Position position) const { return raw(position) < listed_; }
  std::uint32_t listed() const { return listed_; }
  // The listed host that allots this place, which is not listed.
  Position allotter(Position place) const;
  // Whom the host asks that is the `index`-th of the job; those that aren't listed are spread evenly.
  Position asks(std::uint32_t index) const;
  // Whether hosts ask the one at this listed position.
  bool allots(Position position) const { return raw(position) >= first_ || position == kRootPosition; }

 private:
  Shape shape_;
  std::uint32_t listed_;
  std::uint32_t first_;  // position that hosts ask
};

}  // namespace banyan::tree
