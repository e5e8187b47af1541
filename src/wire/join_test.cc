#include "wire/join.hh"

#include <gtest/gtest.h>

#include "wire/codec_checks.hh"

namespace banyan::wire {
namespace {

Endpoint some_endpoint(Endpoint::Family family) {
  Endpoint endpoint;
  endpoint.family = family;
  endpoint.port = 4242;
  const std::size_t used = family == Endpoint::Family::tcp6 ? 16 : family == Endpoint::Family::tcp4 ? 4 : 0;
  for (std::size_t i = 0; i < used; ++i) endpoint.address[i] = std::byte(i + 1);
  return endpoint;
}

Join some_join() {
  Join join;
  join.position = Position{77};
  join.attachment = Attachment{3};
  join.endpoint = some_endpoint(Endpoint::Family::tcp6);
  join.host = "host-7";
  join.unreachable = Rank{9};
  join.reason = FailureCode::unreachable;
  return join;
}

Placement some_placement() {
  Placement placement;
  placement.position = Position{5};
  placement.fan_out = 32;
  placement.parent = Rank{6};
  placement.endpoint = some_endpoint(Endpoint::Family::tcp4);
  placement.host = "host-6";
  return placement;
}

TEST(Join, it_arrives_as_it_was_sent) {
  const Join join = some_join();
  const Join copy = round_trip(join);
  EXPECT_EQ(copy.position, join.position);
  EXPECT_EQ(copy.attachment, join.attachment);
  EXPECT_EQ(copy.endpoint, join.endpoint);
  EXPECT_EQ(copy.host, join.host);
  EXPECT_EQ(copy.unreachable, join.unreachable);
  EXPECT_EQ(copy.reason, join.reason);
  expect_exact_length(join);
  expect_harmless(join, 1);
  EXPECT_TRUE(accepted(Join{}));
}

TEST(Placement, it_arrives_as_it_was_sent) {
  const Placement placement = some_placement();
  const Placement copy = round_trip(placement);
  EXPECT_EQ(copy.position, placement.position);
  EXPECT_EQ(copy.fan_out, placement.fan_out);
  EXPECT_EQ(copy.parent, placement.parent);
  EXPECT_EQ(copy.endpoint, placement.endpoint);
  EXPECT_EQ(copy.host, placement.host);
  expect_exact_length(placement);
  expect_harmless(placement, 2);
}

TEST(Welcome, it_arrives_as_it_was_sent) {
  const Welcome welcome{Position{11}, 16, "node7"};
  const Welcome copy = round_trip(welcome);
  EXPECT_EQ(copy.position, welcome.position);
  EXPECT_EQ(copy.fan_out, welcome.fan_out);
  EXPECT_EQ(copy.host, welcome.host);
  expect_exact_length(welcome);
  expect_harmless(welcome, 3);
}

TEST(Join, a_fan_out_that_no_tree_has_is_refused) {
  for (const std::uint32_t fan_out : {0u, 1u, kMaxFanOut + 1, ~0u}) {
    EXPECT_FALSE(accepted(Welcome{Position{1}, fan_out, {}}));
    Placement placement = some_placement();
    placement.fan_out = fan_out;
    EXPECT_FALSE(accepted(placement));
  }
  for (const std::uint32_t fan_out : {kMinFanOut, kMaxFanOut}) EXPECT_TRUE(accepted(Welcome{Position{1}, fan_out, {}}));
}

TEST(Join, a_complaint_has_a_reason_and_nothing_else_has) {
  Join join = some_join();
  join.reason = FailureCode{};
  EXPECT_FALSE(accepted(join));
  join.reason = static_cast<FailureCode>(200);
  EXPECT_FALSE(accepted(join));
  join = some_join();
  join.unreachable = kNoRank;
  EXPECT_FALSE(accepted(join));
}

TEST(Join, a_host_name_is_cut_by_its_writer_and_refused_by_its_reader_beyond_the_limit) {
  Join join = some_join();
  join.host = std::string(kMaxHostNameBytes + 1, 'h');
  EXPECT_EQ(round_trip(join).host.size(), kMaxHostNameBytes);
}

TEST(Endpoint, each_family_arrives_and_unknown_ones_or_stray_bytes_are_refused) {
  using enum Endpoint::Family;
  Join join;
  for (const auto family : {none, tcp4, tcp6}) {
    join.endpoint = some_endpoint(family);
    EXPECT_EQ(round_trip(join).endpoint, join.endpoint);
  }
  for (const int family : {1, 5, 255}) {
    join.endpoint.family = static_cast<Endpoint::Family>(family);
    EXPECT_FALSE(accepted(join));
  }
  join.endpoint = some_endpoint(tcp4);
  join.endpoint.address[4] = std::byte{1};
  EXPECT_FALSE(accepted(join));
  join.endpoint = some_endpoint(none);
  join.endpoint.address[0] = std::byte{1};
  EXPECT_FALSE(accepted(join));
}

}  // namespace
}  // namespace banyan::wire
