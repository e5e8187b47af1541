// The small parts that need no reactor.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <gtest/gtest.h>

#include "driver/sockets/host_identity.hh"
#include "driver/sockets/interface_choice.hh"
#include "driver/sockets/rank_options.hh"
#include "driver/sockets/receive_buffer.hh"
#include "driver/sockets/resolver.hh"

namespace banyan::driver {
namespace {

TEST(HostAndPort, reads_what_it_writes) {
  for (const char* text : {"node1:4242", "127.0.0.1:1", "[::1]:65535", "[fe80::1%eth0]:4242"}) {
    const auto parsed = HostAndPort::parse(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(parsed->to_string(), text);
  }
}

TEST(HostAndPort, refuses_what_could_mean_two_things_or_nothing) {
  for (const char* text :
       {"", "node1", "node1:", ":4242", "node1:65536", "node1:-1", "node1:4x", "fe80::1:4242", "[]:1", "::1"}) {
    EXPECT_FALSE(HostAndPort::parse(text)) << text;
  }
}

TEST(HostAndPort, an_ipv6_address_gets_the_brackets_that_it_lacks) {
  EXPECT_EQ(join_host_and_port("node1", 42), "node1:42");
  EXPECT_EQ(join_host_and_port("::1", 42), "[::1]:42");
  EXPECT_EQ(join_host_and_port("[::1]", 42), "[::1]:42");
}

TEST(Resolver, answers_numbers_and_localhost_at_once) {
  EXPECT_EQ(Resolver::at_once({"10.1.2.3", 99})->addresses.front().endpoint().to_string(), "10.1.2.3:99");
  EXPECT_EQ(Resolver::at_once({"fe80::2", 99})->addresses.front().endpoint().to_string(), "[fe80::2]:99");
  EXPECT_EQ(Resolver::at_once({"localhost", 99})->addresses.size(), 2u);
  EXPECT_FALSE(Resolver::at_once({"node1", 99}));
  EXPECT_FALSE(Resolver::at_once({"10.1.2", 99}));
}

TEST(Socket, a_peer_that_answers_nothing_is_gone_while_a_slow_one_is_not) {
  const Socket socket = stream_socket(AF_INET).socket;
  keep_alive_and_no_delay(socket.get(), false);
  const auto option = [&](int level, int name) {
    int value = -1;
    socklen_t length = sizeof(value);
    EXPECT_EQ(::getsockopt(socket.get(), level, name, &value, &length), 0);
    return value;
  };
  EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPIDLE) + option(IPPROTO_TCP, TCP_KEEPINTVL) * option(IPPROTO_TCP, TCP_KEEPCNT),
            20);
  // It would count the time in which a peer takes nothing, too.
  EXPECT_EQ(option(IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
}

// A launcher's socket listens before rank 0 has it, and ranks may be quicker. Their connections had small frames held
// back until the last one was acknowledged, which takes 40 ms.
TEST(Socket, who_came_before_the_listener_was_ours_has_small_frames_leave_at_once_too) {
  const Socket listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Address any_port = *numeric_address("127.0.0.1", 0);
  ASSERT_EQ(::bind(listener.get(), any_port.data(), any_port.length), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  const Address address = Address::of(local_endpoint(listener.get()));
  const Socket caller(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::connect(caller.get(), address.data(), address.length), 0);

  const AcceptedSocket accepted = accept_one(listener.get());
  ASSERT_TRUE(accepted.socket);
  int no_delay = 0;
  socklen_t length = sizeof(no_delay);
  ASSERT_EQ(::getsockopt(accepted.socket.get(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &length), 0);
  EXPECT_NE(no_delay, 0);
}

TEST(InterfaceChoice, finds_loopback_by_name_address_and_network) {
  for (const char* text : {"lo", "127.0.0.1", "127.0.0.0/8"}) {
    const auto choice = choose_interface(text);
    const auto* found = std::get_if<InterfaceChoice>(&choice);
    ASSERT_NE(found, nullptr) << text;
    ASSERT_TRUE(found->four) << text;
    EXPECT_TRUE(found->four->endpoint().loopback());
    // No use towards loopback, where the system's choice is always right.
    EXPECT_EQ(found->towards(*numeric_address("127.0.0.1", 1)), nullptr);
    EXPECT_EQ(found->towards(*numeric_address("10.0.0.1", 1)), &*found->four);
  }
}

TEST(InterfaceChoice, says_what_there_is_when_nothing_fits) {
  for (const char* text : {"nosuch0", "198.51.100.0/24", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8x"}) {
    const auto choice = choose_interface(text);
    const auto* reason = std::get_if<std::string>(&choice);
    ASSERT_NE(reason, nullptr) << text;
    EXPECT_NE(reason->find("lo 127.0.0.1"), std::string::npos) << *reason;
  }
}

TEST(ReceiveBlock, successive_reads_lie_in_one_piece_until_it_is_full) {
  ReceiveBlock block;
  ASSERT_GE(block.room(100, 1000).size(), 100u);
  Slice first = block.take(60);
  block.room(100, 1000);
  const Slice second = block.take(40);
  EXPECT_TRUE(first.continued_by(second));
  EXPECT_EQ(block.room(900, 1000).size(), 900u);
  EXPECT_EQ(block.room(901, 1000).size(), 1000u);  // a new block; the slices keep the old one
  EXPECT_FALSE(second.continued_by(block.take(1)));
}

TEST(ReadSize, grows_with_traffic_and_shrinks_without) {
  ReadSize size;
  EXPECT_FALSE(size.own_block());
  for (int i = 0; i < 20; ++i) size.adapt(size.bytes());
  EXPECT_EQ(size.bytes(), ReadSize::kGreatest);
  EXPECT_TRUE(size.own_block());
  for (int i = 0; i < 20; ++i) size.adapt(100);
  EXPECT_EQ(size.bytes(), ReadSize::kLeast);
}

TEST(HostIdentity, is_the_same_twice_and_lives_differ) {
  EXPECT_EQ(host_key(), host_key());
  EXPECT_GT(host_key().size(), 36u);
  EXPECT_FALSE(host_name().empty());
  EXPECT_NE(random_numbers().incarnation, random_numbers().incarnation);
  EXPECT_NE(random_numbers().entropy, random_numbers().entropy);
}

}  // namespace
}  // namespace banyan::driver
