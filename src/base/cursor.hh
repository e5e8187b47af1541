// Reading and writing little-endian fields. A reader never runs past its bytes: the first field that
// does not fit makes it fail, and every later read yields zero, so that a decoder checks once, at the end.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <type_traits>

#include "base/bytes.hh"

namespace banyan {

static_assert(std::endian::native == std::endian::little,
              "the wire is little-endian; add byte swapping for this machine");

// What a terminal might obey, in ASCII and in UTF-8 (U+0080 to U+009F, after its first byte).
inline bool is_control(std::byte byte, std::byte before) {
  const bool ascii = byte < std::byte{0x20} || byte == std::byte{0x7f};
  return ascii || (before == std::byte{0xc2} && byte >= std::byte{0x80} && byte < std::byte{0xa0});
}

class Reader {
 public:
  explicit Reader(Bytes bytes) : bytes_(bytes) {}

  template <typename Number>
  Number number() {
    static_assert(std::is_integral_v<Number> || std::is_enum_v<Number>);
    Number value{};
    if (const Bytes from = take(sizeof(Number)); !from.empty()) std::memcpy(&value, from.data(), sizeof(Number));
    return value;
  }
  // The next `count` bytes, or none (and failure) when there are fewer.
  Bytes take(std::size_t count) {
    if (count > bytes_.size()) {
      fail();
      return {};
    }
    const Bytes taken = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return taken;
  }
  template <std::size_t kCount>
  std::array<std::byte, kCount> array() {
    std::array<std::byte, kCount> value{};
    if (const Bytes from = take(kCount); from.size() == kCount) std::memcpy(value.data(), from.data(), kCount);
    return value;
  }
  // A string behind a 16-bit length of at most `limit`, without control characters: people will read it, in a terminal.
  std::string_view text(std::size_t limit) {
    const auto length = number<std::uint16_t>();
    if (length > limit) fail();
    const Bytes from = take(length);
    std::byte before{};
    for (const std::byte byte : from) {
      if (is_control(byte, before)) fail();
      before = byte;
    }
    return {reinterpret_cast<const char*>(from.data()), from.size()};
  }
  std::size_t remaining() const { return bytes_.size(); }
  bool failed() const { return failed_; }
  void fail() {
    failed_ = true;
    bytes_ = {};
  }
  // True when everything was there and nothing is left over.
  bool finished() const { return !failed_ && bytes_.empty(); }

 private:
  Bytes bytes_;
  bool failed_ = false;
};

class Writer {
 public:
  explicit Writer(std::size_t expected = 64) { bytes_.reserve(expected); }

  template <typename Number>
  void number(Number value) {
    static_assert(std::is_integral_v<Number> || std::is_enum_v<Number>);
    raw_bytes(std::as_bytes(std::span(&value, 1)));
  }
  void raw_bytes(Bytes bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  // A string behind its 16-bit length; what passes `limit` is cut off, control characters become spaces.
  void text(std::string_view text, std::size_t limit) {
    text = text.substr(0, limit);
    number(static_cast<std::uint16_t>(text.size()));
    std::byte before{};
    for (const std::byte byte : as_byte_span(text)) {
      // A space for each of its bytes.
      const bool control = is_control(byte, before);
      if (control && byte >= std::byte{0x80}) bytes_.back() = std::byte{' '};
      bytes_.push_back(control ? std::byte{' '} : byte);
      before = byte;
    }
  }
  // Overwrites a number that was written before, at `offset`.
  template <typename Number>
  void patch(std::size_t offset, Number value) {
    std::memcpy(bytes_.data() + offset, &value, sizeof(value));
  }
  std::size_t size() const { return bytes_.size(); }
  Bytes bytes() const { return bytes_; }
  Slice finish() && { return Slice::adopt(std::move(bytes_)); }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace banyan
