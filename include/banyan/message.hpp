// What operations carry: bytes in one of the usual containers, or elements for reductions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace banyan {

// The containers that a message may stand in.
template <typename Container>
inline constexpr bool is_message =
    std::is_same_v<Container, std::string> || std::is_same_v<Container, std::vector<std::byte>> ||
    std::is_same_v<Container, std::vector<char>> || std::is_same_v<Container, std::vector<unsigned char>>;

// Bytes that someone else owns: made from any message container, a string literal, or a pointer and a size. They are
// read before the function that takes the view returns, so they need not live longer than the call. Where a function
// gives one (Handle::view), it says how long the bytes live.
class MessageView {
 public:
  constexpr MessageView() noexcept = default;
  MessageView(const void* data, std::size_t size) noexcept : data_(static_cast<const std::byte*>(data)), size_(size) {}
  template <typename Container, typename = std::enable_if_t<is_message<Container>>>
  MessageView(const Container& message) noexcept  // NOLINT(google-explicit-constructor)
      : MessageView(message.data(), message.size()) {}
  MessageView(std::string_view text) noexcept  // NOLINT(google-explicit-constructor)
      : MessageView(text.data(), text.size()) {}
  MessageView(const char* text) noexcept
      : MessageView(std::string_view(text)) {}  // NOLINT(google-explicit-constructor)
  // The bytes of a trivially copyable object, padding included.
  template <typename Value>
  static MessageView of(const Value& value) noexcept {
    static_assert(std::is_trivially_copyable_v<Value> && !std::is_pointer_v<Value>,
                  "only values that can be copied byte by byte can be sent; a pointer means nothing elsewhere");
    return MessageView(&value, sizeof(Value));
  }

  const std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// How reduce, allreduce, reduce_scatter and the scans combine elements. The bitwise ones are for integers only.
// Integers wrap around; the order of combination is fixed by the tree or by the ranks, so that all ranks, and all runs,
// get identical bits.
enum class Reduction : std::uint8_t { sum = 1, min, max, product, bit_and, bit_or, bit_xor };

enum class ElementType : std::uint8_t {
  int8 = 1,
  uint8,
  int16,
  uint16,
  int32,
  uint32,
  int64,
  uint64,
  float32,
  float64
};

namespace detail {

template <typename Element>
constexpr ElementType element_type() {
  static_assert((std::is_integral_v<Element> && !std::is_same_v<Element, bool> && sizeof(Element) <= 8) ||
                    std::is_same_v<Element, float> || std::is_same_v<Element, double>,
                "reductions take integers of 1 to 8 bytes, float and double");
  if (std::is_same_v<Element, float>) return ElementType::float32;
  if (std::is_same_v<Element, double>) return ElementType::float64;
  constexpr int kWidth = sizeof(Element) == 1 ? 0 : sizeof(Element) == 2 ? 2 : sizeof(Element) == 4 ? 4 : 6;
  return static_cast<ElementType>(1 + kWidth + (std::is_unsigned_v<Element> ? 1 : 0));
}

}  // namespace detail
}  // namespace banyan
