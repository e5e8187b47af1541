#include "base/digest.hh"

#include <gtest/gtest.h>

#include "base/random.hh"

namespace banyan {
namespace {

std::string hex(const Digest& digest) {
  std::string text;
  for (const std::byte byte : digest) {
    constexpr const char* kDigits = "0123456789abcdef";
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

TEST(Digest, it_is_xxh3_with_128_bits_in_canonical_order) {
  EXPECT_EQ(hex(digest_of({})), "99aa06d3014798d86001c324468d497f");
}

TEST(Digest, it_does_not_depend_on_how_the_bytes_are_cut_and_changes_with_any_bit) {
  Random random(3);
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{17}, std::size_t{240}, std::size_t{241}, std::size_t{5000}}) {
    std::string text(size, '\0');
    for (char& c : text) c = static_cast<char>(random.next());
    const Digest whole = digest_of(Payload::copy(text));
    for (int i = 0; i < 50; ++i) {
      Payload cut;
      for (std::size_t at = 0; at < size;) {
        const std::size_t count = std::min<std::size_t>(size - at, random.between(1, size));
        cut.append(Slice::copy(std::string_view(text).substr(at, count)));
        at += count;
      }
      EXPECT_EQ(digest_of(cut), whole);
      std::string changed = text;
      changed[random.below(size)] ^= static_cast<char>(1u << random.below(8));
      EXPECT_NE(digest_of(Payload::copy(changed)), whole);
    }
  }
}

}  // namespace
}  // namespace banyan
