// What a peer that knows the secret may not do with one frame: whatever it claims, the link ends and nothing else does.
#include <gtest/gtest.h>

#include "node/node.hh"
#include "wire/control.hh"
#include "wire/join.hh"
#include "wire/record.hh"
#include "wire/table.hh"

namespace banyan::node {
namespace {

Config config_of(std::uint32_t rank, std::uint32_t world_size) {
  Config config;
  config.rank = Rank{rank};
  config.world_size = world_size;
  config.incarnation = Incarnation{100 + rank};
  config.rendezvous = "10.0.0.1:1";
  config.host_name = config.host_key = "host-" + std::to_string(rank);
  config.use_local_links = false;
  return config;
}

Endpoint somewhere() {
  Endpoint endpoint{Endpoint::Family::tcp4, 9, {}};
  endpoint.address[0] = std::byte{10};
  return endpoint;
}

template <typename Message>
wire::Frame frame_of(const Message& message) {
  Writer writer;
  message.write(writer);
  return wire::Frame{Message::kKind, {}, Payload(std::move(writer).finish())};
}

// A node and what it is told.
struct Stage {
  Stage(std::uint32_t rank, std::uint32_t world_size)
      : config(config_of(rank, world_size)), node(config, job, link_ids) {
    node.start(Time{});
  }
  template <typename Message>
  bool hears(LinkId link, const Message& message) {
    return node.on_frame(Time{}, link, frame_of(message));
  }
  bool has_failed() {
    bool failed = false;
    for (const Effect& effect : node.effects().take())
      failed = failed || std::holds_alternative<effect::Failed>(effect);
    return failed;
  }

  Config config;
  JobId job;
  LinkIds link_ids;
  Node node;
};

struct Root : Stage {
  explicit Root(std::uint32_t world_size) : Stage(0, world_size) {
    node.on_listening(Time{}, Listener::rendezvous, somewhere());
    node.on_authenticated(Time{}, kChild, {wire::Role::joiner, Rank{1}, Incarnation{101}, {}}, true, somewhere());
    EXPECT_TRUE(hears(kChild, wire::Join{kNoPosition, Attachment{1}, somewhere(), "host-1", kNoRank, {}}));
  }
  static constexpr LinkId kChild{1};
};

// Rank 1 of 2, which has just asked the rendezvous for a place on link().
struct Joining : Stage {
  Joining() : Stage(1, 2) {
    for (const Effect& effect : node.effects().take()) {
      if (const auto* open = std::get_if<effect::OpenLink>(&effect)) link = open->connect.link;
    }
    node.on_connected(link, somewhere());
    node.on_listening(Time{}, Listener::network, somewhere());
    node.on_authenticated(Time{}, link, {wire::Role::joiner, kRootRank, Incarnation{100}, {}}, false, somewhere());
  }
  LinkId link = kNoLink;
};

wire::Record record_of(std::uint32_t rank, Position position, std::uint32_t leader, std::uint64_t incarnation) {
  wire::Record record;
  record.rank = Rank{rank};
  record.incarnation = Incarnation{incarnation};
  record.attachment = Attachment{1u << 16};
  record.position = position;
  record.leader = Rank{leader};
  record.host = rank == leader ? "host" : "";
  return record;
}

wire::Records only(wire::Record record) {
  wire::Records records;
  records.records.push_back(std::move(record));
  return records;
}

TEST(HostilePeer, nobody_but_the_leader_of_this_host_shares_memory_with_it) {
  const auto enclosing = [](auto message) {
    wire::Frame frame = frame_of(message);
    frame.encloses = true;
    return frame;
  };
  Root root(2);
  EXPECT_FALSE(root.node.on_frame(Time{}, Root::kChild, enclosing(only(record_of(1, Position{1}, 1, 101)))));
  Joining joining;
  EXPECT_FALSE(joining.node.on_frame(Time{}, joining.link, enclosing(wire::Status{0, {}, {}})));
  // And the leader only what all ranks are given.
  Config config = config_of(1, 2);
  config.use_local_links = true;
  LinkIds link_ids;
  Node node(config, {}, link_ids);
  node.start(Time{});
  LinkId link = kNoLink;
  for (const Effect& effect : node.effects().take()) {
    if (const auto* open = std::get_if<effect::OpenLink>(&effect)) link = open->connect.link;
  }
  node.on_connected(link, {});
  node.on_authenticated(Time{}, link, {wire::Role::local, kRootRank, Incarnation{100}, {}}, false, {});
  EXPECT_TRUE(node.on_frame(Time{}, link, frame_of(wire::Status{0, {}, {}})));
  EXPECT_FALSE(node.on_frame(Time{}, link, enclosing(wire::Status{0, {}, {}})));
}

TEST(HostilePeer, a_rank_that_comes_over_the_network_is_none_of_this_host) {
  Root root(3);
  root.node.effects().take();
  constexpr LinkId kLink{2};
  root.node.on_authenticated(Time{}, kLink, {wire::Role::local, Rank{2}, Incarnation{102}, {}}, true, somewhere());
  const auto effects = root.node.effects().take();
  ASSERT_EQ(effects.size(), 1u);
  EXPECT_EQ(std::get<effect::Refuse>(effects[0]).link, kLink);
}

TEST(HostilePeer, ranks_beyond_the_world_are_refused_wherever_they_are_named) {
  const Failure boo{FailureCode::rank_lost, Phase::running, RankSet::single(Rank{4'000'000}), {}, "boo"};
  Root forming(8);
  EXPECT_FALSE(forming.hears(Root::kChild, wire::Report{kNoRank, {}, {}, boo}));
  EXPECT_FALSE(forming.hears(Root::kChild, wire::Leave{true, boo.ranks}));
  Root formed(2);
  EXPECT_TRUE(formed.hears(Root::kChild, only(record_of(1, Position{1}, 1, 101))));
  EXPECT_FALSE(formed.hears(Root::kChild, wire::Report{kNoRank, {}, {}, boo}));
  EXPECT_FALSE(formed.has_failed());
  Joining joining;
  EXPECT_FALSE(joining.hears(joining.link, wire::Verdict{boo}));
  EXPECT_FALSE(joining.hears(joining.link, wire::Status{1, boo.ranks, {}}));
  EXPECT_FALSE(joining.has_failed());
}

TEST(HostilePeer, records_at_no_place_or_about_the_root_are_refused) {
  for (const wire::Record& record : {record_of(1, kNoPosition, 1, 101), record_of(1, tree::kRootPosition, 1, 101),
                                     record_of(0, Position{1}, 1, 100), record_of(1, tree::kRootPosition, 0, 101)}) {
    Root root(2);
    EXPECT_FALSE(root.hears(Root::kChild, only(record)));
    EXPECT_FALSE(root.has_failed());
  }
}

TEST(HostilePeer, places_that_no_leader_can_have_are_refused) {
  for (const Position position : {tree::kRootPosition, kNoPosition}) {
    Joining joining;
    EXPECT_FALSE(joining.hears(joining.link, wire::Placement{position, 2, Rank{0}, somewhere(), "host-0"}));
    EXPECT_FALSE(joining.hears(joining.link, wire::Welcome{position, 2, "host-0"}));
  }
  Joining joining;
  EXPECT_FALSE(joining.hears(joining.link, wire::Welcome{Position{5}, 2, "host-0"})) << "not below the root";
}

TEST(HostilePeer, who_was_not_sent_to_the_root_is_refused) {
  Root root(8);
  const LinkId link{7};
  root.node.on_authenticated(Time{}, link, {wire::Role::child, Rank{2}, Incarnation{102}, {}}, true, somewhere());
  root.node.effects().take();
  root.hears(link, wire::Join{Position{2}, Attachment{1}, somewhere(), "host-2", kNoRank, {}});
  bool refused = false;
  for (const Effect& effect : root.node.effects().take())
    refused = refused || std::holds_alternative<effect::Refuse>(effect);
  EXPECT_TRUE(refused);
}

TEST(HostilePeer, of_a_rank_with_many_connections_the_last_is_kept) {
  Root root(8);
  root.node.effects().take();
  for (const std::uint64_t link : {7u, 8u, 9u}) {
    root.node.on_authenticated(Time{}, LinkId{link}, {wire::Role::joiner, Rank{2}, Incarnation{102}, {}}, true,
                               somewhere());
  }
  std::vector<LinkId> closed;
  for (const Effect& effect : root.node.effects().take()) {
    if (const auto* close = std::get_if<effect::CloseLink>(&effect)) closed.push_back(close->link);
  }
  EXPECT_EQ(closed, (std::vector{LinkId{7}, LinkId{8}}));
}

TEST(HostilePeer, a_joiner_asks_for_one_place_and_may_not_hold_its_connection) {
  Root root(8);
  const LinkId joiner{7};
  const wire::Join join{kNoPosition, Attachment{1}, somewhere(), "host-2", kNoRank, {}};
  root.node.on_authenticated(Time{}, joiner, {wire::Role::joiner, Rank{2}, Incarnation{102}, {}}, true, somewhere());
  root.node.on_authenticated(Time{}, LinkId{8}, {wire::Role::child, Rank{3}, Incarnation{103}, {}}, true, somewhere());
  root.node.effects().take();
  root.node.on_time(Time{root.config.limits.handshake_timeout});
  std::vector<LinkId> closed;
  for (const Effect& effect : root.node.effects().take()) {
    if (const auto* close = std::get_if<effect::CloseLink>(&effect)) closed.push_back(close->link);
  }
  EXPECT_EQ(closed, (std::vector{joiner, LinkId{8}}));
  root.node.on_authenticated(Time{}, LinkId{9}, {wire::Role::joiner, Rank{4}, Incarnation{104}, {}}, true, somewhere());
  EXPECT_TRUE(root.hears(LinkId{9}, join));
  EXPECT_FALSE(root.hears(LinkId{9}, join));
}

}  // namespace
}  // namespace banyan::node
