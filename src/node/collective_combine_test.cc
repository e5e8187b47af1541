#include "node/collective_combine.hh"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace banyan::node {
namespace {

using wire::ElementType;
using wire::Reduction;

template <typename T>
std::vector<T> combined(Reduction reduction, ElementType element, std::vector<T> into, const std::vector<T>& from) {
  combine(reduction, element, std::as_writable_bytes(std::span(into)), std::as_bytes(std::span(from)));
  return into;
}

template <typename T>
void expect_integer_rules(ElementType element) {
  const T greatest = std::numeric_limits<T>::max();
  const T least = std::numeric_limits<T>::min();
  const T minus_one = static_cast<T>(-1);
  const T minus_two = static_cast<T>(-2);
  const std::vector<T> a = {greatest, least, 6, 0};
  const std::vector<T> b = {1, minus_one, 3, 5};
  EXPECT_EQ(combined<T>(Reduction::sum, element, a, b), (std::vector<T>{least, greatest, 9, 5}));
  EXPECT_EQ(combined<T>(Reduction::product, element, {greatest, 7}, {2, 6}), (std::vector<T>{minus_two, 42}));
  EXPECT_EQ(combined<T>(Reduction::min, element, a, b), (std::vector<T>{1, least, 3, 0}));
  EXPECT_EQ(combined<T>(Reduction::max, element, a, b), (std::vector<T>{greatest, minus_one, 6, 5}));
  EXPECT_EQ(combined<T>(Reduction::bit_and, element, {6}, {3}), std::vector<T>{2});
  EXPECT_EQ(combined<T>(Reduction::bit_or, element, {6}, {3}), std::vector<T>{7});
  EXPECT_EQ(combined<T>(Reduction::bit_xor, element, {6}, {3}), std::vector<T>{5});
}

TEST(Combine, integers_of_every_type_follow_the_rules_and_wrap_around) {
  expect_integer_rules<std::int8_t>(ElementType::int8);
  expect_integer_rules<std::uint8_t>(ElementType::uint8);
  expect_integer_rules<std::int16_t>(ElementType::int16);
  expect_integer_rules<std::uint16_t>(ElementType::uint16);
  expect_integer_rules<std::int32_t>(ElementType::int32);
  expect_integer_rules<std::uint32_t>(ElementType::uint32);
  expect_integer_rules<std::int64_t>(ElementType::int64);
  expect_integer_rules<std::uint64_t>(ElementType::uint64);
}

TEST(Combine, the_greatest_products_of_short_types_wrap_without_undefined_behaviour) {
  EXPECT_EQ(combined<std::uint16_t>(Reduction::product, ElementType::uint16, {65535}, {65535}),
            std::vector<std::uint16_t>{1});
  EXPECT_EQ(
      combined<std::int64_t>(Reduction::product, ElementType::int64, {std::numeric_limits<std::int64_t>::min()}, {-1}),
      std::vector<std::int64_t>{std::numeric_limits<std::int64_t>::min()});
}

template <typename T>
void expect_float_rules(ElementType element) {
  const T nan = std::numeric_limits<T>::quiet_NaN();
  EXPECT_EQ(combined<T>(Reduction::sum, element, {1.5, -2}, {2.25, 1}), (std::vector<T>{3.75, -1}));
  EXPECT_EQ(combined<T>(Reduction::product, element, {1.5}, {2}), std::vector<T>{3});
  EXPECT_EQ(combined<T>(Reduction::min, element, {1, 4}, {2, -3}), (std::vector<T>{1, -3}));
  EXPECT_EQ(combined<T>(Reduction::max, element, {1, 4}, {2, -3}), (std::vector<T>{2, 4}));
  for (const Reduction reduction : {Reduction::min, Reduction::max, Reduction::sum, Reduction::product}) {
    const auto result = combined<T>(reduction, element, {nan, 1, nan}, {1, nan, nan});
    for (const T value : result) EXPECT_TRUE(std::isnan(value)) << wire::to_string(reduction);
  }
  for (const Reduction reduction : {Reduction::min, Reduction::max}) {
    const auto zeros = combined<T>(reduction, element, {T(0), -T(0)}, {-T(0), T(0)});
    EXPECT_FALSE(std::signbit(zeros[0]));
    EXPECT_TRUE(std::signbit(zeros[1]));
  }
}

TEST(Combine, floats_propagate_nan_and_keep_the_first_of_equals) {
  expect_float_rules<float>(ElementType::float32);
  expect_float_rules<double>(ElementType::float64);
}

TEST(Combine, any_alignment_will_do) {
  std::vector<std::byte> into(1 + 3 * sizeof(double));
  std::vector<std::byte> from(1 + 3 * sizeof(double));
  for (int i = 0; i < 3; ++i) {
    const double a = i;
    const double b = 10 * i;
    std::memcpy(into.data() + 1 + i * static_cast<int>(sizeof(double)), &a, sizeof(a));
    std::memcpy(from.data() + 1 + i * static_cast<int>(sizeof(double)), &b, sizeof(b));
  }
  combine(Reduction::sum, ElementType::float64, std::span(into).subspan(1), std::span(from).subspan(1));
  double last;
  std::memcpy(&last, into.data() + 1 + 2 * sizeof(double), sizeof(last));
  EXPECT_EQ(last, 22);
}

}  // namespace
}  // namespace banyan::node
