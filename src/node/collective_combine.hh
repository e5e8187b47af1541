// Elementwise reduction of bytes. Integers wrap around; min and max of floats yield NaN where either is NaN, and keep
// the first of two that compare equal (-0 and 0).
#pragma once

#include <cstddef>

#include "base/bytes.hh"
#include "wire/collective.hh"

namespace banyan::node {

// into[i] = into[i] (reduction) from[i]. Both hold the same whole number of elements, at any alignment.
void combine(wire::Reduction reduction, wire::ElementType element, std::span<std::byte> into, Bytes from);

}  // namespace banyan::node
