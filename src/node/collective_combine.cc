#include "node/collective_combine.hh"

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "base/assert.hh"

namespace banyan::node {
namespace {

// Integers are combined as unsigned numbers of at least 32 bits, so that nothing overflows.
template <typename T>
using Wide = std::conditional_t<(sizeof(T) < 4), std::uint32_t, std::make_unsigned_t<T>>;

template <wire::Reduction kReduction, typename T>
T combined(T a, T b) {
  using enum wire::Reduction;
  if constexpr (std::is_floating_point_v<T>) {
    if constexpr (kReduction == sum) return a + b;
    if constexpr (kReduction == product) return a * b;
    if constexpr (kReduction == min) return b < a || std::isnan(b) ? b : a;
    if constexpr (kReduction == max) return b > a || std::isnan(b) ? b : a;
  } else {
    const auto x = static_cast<Wide<T>>(a);
    const auto y = static_cast<Wide<T>>(b);
    if constexpr (kReduction == sum) return static_cast<T>(x + y);
    if constexpr (kReduction == product) return static_cast<T>(x * y);
    if constexpr (kReduction == min) return b < a ? b : a;
    if constexpr (kReduction == max) return b > a ? b : a;
    if constexpr (kReduction == bit_and) return static_cast<T>(x & y);
    if constexpr (kReduction == bit_or) return static_cast<T>(x | y);
    if constexpr (kReduction == bit_xor) return static_cast<T>(x ^ y);
  }
}

template <wire::Reduction kReduction, typename T>
void combine_all(std::span<std::byte> into, Bytes from) {
  for (std::size_t offset = 0; offset + sizeof(T) <= into.size(); offset += sizeof(T)) {
    T a;
    T b;
    std::memcpy(&a, into.data() + offset, sizeof(T));
    std::memcpy(&b, from.data() + offset, sizeof(T));
    a = combined<kReduction>(a, b);
    std::memcpy(into.data() + offset, &a, sizeof(T));
  }
}

template <typename T>
void combine_as(wire::Reduction reduction, std::span<std::byte> into, Bytes from) {
  using enum wire::Reduction;
  switch (reduction) {
    case sum: return combine_all<sum, T>(into, from);
    case min: return combine_all<min, T>(into, from);
    case max: return combine_all<max, T>(into, from);
    case product: return combine_all<product, T>(into, from);
    default: break;
  }
  // CallSignature::valid() admits bitwise reductions of integers only.
  if constexpr (std::is_integral_v<T>) {
    switch (reduction) {
      case bit_and: return combine_all<bit_and, T>(into, from);
      case bit_or: return combine_all<bit_or, T>(into, from);
      case bit_xor: return combine_all<bit_xor, T>(into, from);
      default: break;
    }
  }
  BANYAN_ASSERT(!"a reduction that CallSignature::valid() does not admit");
}

}  // namespace

void combine(wire::Reduction reduction, wire::ElementType element, std::span<std::byte> into, Bytes from) {
  BANYAN_ASSERT(into.size() == from.size());
  switch (element) {
    case wire::ElementType::int8: return combine_as<std::int8_t>(reduction, into, from);
    case wire::ElementType::uint8: return combine_as<std::uint8_t>(reduction, into, from);
    case wire::ElementType::int16: return combine_as<std::int16_t>(reduction, into, from);
    case wire::ElementType::uint16: return combine_as<std::uint16_t>(reduction, into, from);
    case wire::ElementType::int32: return combine_as<std::int32_t>(reduction, into, from);
    case wire::ElementType::uint32: return combine_as<std::uint32_t>(reduction, into, from);
    case wire::ElementType::int64: return combine_as<std::int64_t>(reduction, into, from);
    case wire::ElementType::uint64: return combine_as<std::uint64_t>(reduction, into, from);
    case wire::ElementType::float32: return combine_as<float>(reduction, into, from);
    case wire::ElementType::float64: return combine_as<double>(reduction, into, from);
    case wire::ElementType::none: break;
  }
  BANYAN_ASSERT(!"a reduction without elements");
}

}  // namespace banyan::node
