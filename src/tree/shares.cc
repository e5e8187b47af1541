#include "tree/shares.hh"

#include <algorithm>

namespace banyan::tree {

// The first host that has places: the smallest p whose last child but one, p*K + K-1, is not listed.
Shares::Shares(std::uint32_t fan_out, std::uint32_t listed)
    : shape_(fan_out), listed_(std::max(listed, 1u)), first_(listed_ / fan_out) {}

Position Shares::allotter(Position place) const {
  Position parent = shape_.parent(place);
  while (!listed(parent)) {
    place = parent;
    parent = shape_.parent(place);
  }
  const bool last = raw(place) == shape_.first_child(parent) + shape_.fan_out() - 1;
  return last ? kRootPosition : parent;
}

Position Shares::asks(std::uint32_t index) const {
  return index < listed_ ? kRootPosition : Position{first_ + (index - listed_) % (listed_ - first_)};
}

}  // namespace banyan::tree
