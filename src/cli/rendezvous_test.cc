// Which addresses are understood.
#include "cli/rendezvous.hh"

#include <gtest/gtest.h>

#include "cli/error.hh"

namespace banyan::cli {
namespace {

TEST(ParseHostPort, names_ipv4_and_bracketed_ipv6_are_understood) {
  EXPECT_EQ(parse_host_port("node7:4242").host, "node7");
  EXPECT_EQ(parse_host_port("node7:4242").port, 4242);
  EXPECT_EQ(parse_host_port("10.0.0.1:0").host, "10.0.0.1");
  EXPECT_EQ(parse_host_port("[::1]:65535").host, "::1");
  EXPECT_EQ(parse_host_port("[::1]:65535").port, 65535);
}

TEST(ParseHostPort, anything_else_is_bad_input) {
  for (const char* text :
       {"", ":", "node7", "node7:", ":80", "node7:x", "node7:65536", "node7:-1", "::1:80", "[]:80", "a:123456"}) {
    try {
      parse_host_port(text);
      ADD_FAILURE() << "'" << text << "' was understood";
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), kExitBadInput) << text;
    }
  }
}

TEST(HoldPort, a_held_port_can_be_listened_on_by_address_and_is_not_given_twice) {
  const TakenPort first = hold_port("127.0.0.1");
  const TakenPort second = hold_port("127.0.0.1");
  EXPECT_NE(first.address, second.address);
  EXPECT_NO_THROW(listen_on(parse_host_port(first.address)));
}

}  // namespace
}  // namespace banyan::cli
