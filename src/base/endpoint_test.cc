#include "base/endpoint.hh"

#include <arpa/inet.h>

#include <gtest/gtest.h>

#include "base/random.hh"

namespace banyan {
namespace {

Endpoint endpoint(const char* address, std::uint16_t port = 4242) {
  Endpoint result;
  result.port = port;
  const bool v6 = std::string_view(address).find(':') != std::string_view::npos;
  result.family = v6 ? Endpoint::Family::tcp6 : Endpoint::Family::tcp4;
  EXPECT_EQ(inet_pton(v6 ? AF_INET6 : AF_INET, address, result.address.data()), 1) << address;
  return result;
}

TEST(Endpoint, it_prints_as_one_would_type_it) {
  EXPECT_EQ(endpoint("10.0.0.1").to_string(), "10.0.0.1:4242");
  EXPECT_EQ(endpoint("255.255.255.255", 0).to_string(), "255.255.255.255:0");
  EXPECT_EQ(endpoint("fe80::1").to_string(), "[fe80::1]:4242");
  EXPECT_EQ(endpoint("::").to_string(), "[::]:4242");
  EXPECT_EQ(endpoint("::1").to_string(), "[::1]:4242");
  EXPECT_EQ(endpoint("1::", 65535).to_string(), "[1::]:65535");
  EXPECT_EQ(endpoint("2001:db8:0:1:0:0:0:a").to_string(), "[2001:db8:0:1::a]:4242");
  EXPECT_EQ(endpoint("1:0:3:4:5:6:7:8").to_string(), "[1:0:3:4:5:6:7:8]:4242") << "one zero group is not shortened";
  EXPECT_EQ(Endpoint{}.to_string(), "(no address)");
}

TEST(Endpoint, any_ipv6_address_prints_as_the_system_prints_it) {
  Random random(5);
  for (int i = 0; i < 20'000; ++i) {
    Endpoint some;
    some.family = Endpoint::Family::tcp6;
    for (std::size_t group = 0; group < 16; group += 2) {
      if (random.below(2) == 0) continue;
      some.address[group] = std::byte(random.below(4) == 0 ? random.below(256) : 0);
      some.address[group + 1] = std::byte(random.below(256));
    }
    char text[INET6_ADDRSTRLEN];
    ASSERT_NE(inet_ntop(AF_INET6, some.address.data(), text, sizeof(text)), nullptr);
    if (std::string_view(text).find('.') != std::string_view::npos) continue;  // an IPv4 address in disguise
    EXPECT_EQ(some.to_string(), "[" + std::string(text) + "]:0");
  }
}

TEST(Endpoint, loopback_is_what_never_leaves_the_host) {
  for (const char* address : {"127.0.0.1", "127.255.1.2", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_TRUE(endpoint(address).loopback()) << address;
  }
  for (const char* address : {"128.0.0.1", "10.127.0.1", "::", "::2", "1::1", "::ffff:10.0.0.1", "7f00::1"}) {
    EXPECT_FALSE(endpoint(address).loopback()) << address;
  }
  EXPECT_FALSE(Endpoint{}.loopback());
}

TEST(Endpoint, the_wildcard_is_an_address_and_an_unknown_one_is_not) {
  EXPECT_TRUE(endpoint("0.0.0.0").wildcard());
  EXPECT_TRUE(endpoint("::").wildcard());
  EXPECT_FALSE(endpoint("0.0.0.1").wildcard());
  EXPECT_FALSE(endpoint("::1").wildcard());
  EXPECT_FALSE(Endpoint{}.wildcard());
  EXPECT_FALSE(Endpoint{}.known());
  EXPECT_TRUE(endpoint("0.0.0.0").known());
}

}  // namespace
}  // namespace banyan
