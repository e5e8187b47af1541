// Codes, nonces and names: against another implementation, and that every input counts.
#include "security/mac.hh"

#include <set>

#include <gtest/gtest.h>

namespace banyan::security {
namespace {

std::string hex(Bytes bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    for (const int shift : {4, 0}) text += "0123456789abcdef"[(std::to_integer<unsigned>(byte) >> shift) & 15];
  }
  return text;
}

// The expected value is that of another implementation (Python's hmac).
TEST(Mac, is_hmac_sha_256_of_label_zero_and_parts) {
  const Key code =
      mac(as_byte_span("key"), "The quick brown fox", {as_byte_span("jumps over "), as_byte_span("the lazy dog")});
  EXPECT_EQ(hex(code), "f791f37c705a328a1f9b6c71be658e5b48d5eb90fd336285810b57a5a71f8184");
  EXPECT_EQ(code, mac(as_byte_span("key"), "The quick brown fox", {as_byte_span("jumps over the lazy dog")}));
}

TEST(Mac, secret_label_and_parts_all_count) {
  const Bytes part = as_byte_span("part");
  const std::set<Key> codes{mac(as_byte_span("secret"), "label", {part}),
                            mac(as_byte_span("secreT"), "label", {part}),
                            mac(as_byte_span("secret"), "labe", {part}),
                            mac(as_byte_span("secret"), "label", {}),
                            mac(as_byte_span("secret"), "label", {part, as_byte_span(std::string_view("\0", 1))}),
                            mac({}, "label", {part}),
                            mac(as_byte_span("secret"), "labelpart", {})};
  EXPECT_EQ(codes.size(), 7u);
}

TEST(Mac, equal_tells_any_bit) {
  const Key code = mac(as_byte_span("secret"), "label", {});
  EXPECT_TRUE(equal(code, Key(code)));
  for (std::size_t i = 0; i < code.size() * 8; ++i) {
    Key other = code;
    other[i / 8] ^= static_cast<std::byte>(1u << (i % 8));
    EXPECT_FALSE(equal(code, other)) << "bit " << i;
  }
}

TEST(Nonces, never_repeat_and_depend_on_the_entropy) {
  Key entropy{};
  NonceSource one(entropy);
  entropy[31] = std::byte{1};
  NonceSource other(entropy);
  std::set<Key> seen;
  for (int i = 0; i < 1000; ++i) {
    seen.insert(one.next());
    seen.insert(other.next());
  }
  EXPECT_EQ(seen.size(), 2000u);
  NonceSource again(entropy);
  EXPECT_TRUE(seen.contains(again.next())) << "the same entropy gives the same nonces";
}

TEST(HiddenName, is_fit_for_a_socket_and_differs_by_secret_and_parts) {
  const std::string name = hidden_name(as_byte_span("secret"), "label", {as_byte_span("host")});
  EXPECT_EQ(name.size(), 7u + 32u);
  EXPECT_EQ(name.substr(0, 7), "banyan-");
  EXPECT_EQ(name.find_first_not_of("0123456789abcdef", 7), std::string::npos);
  EXPECT_EQ(name, hidden_name(as_byte_span("secret"), "label", {as_byte_span("host")}));
  EXPECT_NE(name, hidden_name(as_byte_span("secret"), "label", {as_byte_span("hosts")}));
  EXPECT_NE(name, hidden_name(as_byte_span("secrets"), "label", {as_byte_span("host")}));
  EXPECT_NE(hidden_name({}, "label", {as_byte_span("host")}), name) << "also without a secret there is a name";
}

}  // namespace
}  // namespace banyan::security
