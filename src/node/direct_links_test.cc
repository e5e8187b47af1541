// Direct links: when they are made, how many, between whom, and what becomes of messages while they come and go. That
// no message is lost or overtaken then is tried at random in messages_test.cc.
#include "node/direct_links.hh"

#include <gtest/gtest.h>

#include "node/messages_cluster.hh"

namespace banyan::node {
namespace {

using std::chrono::seconds;

constexpr Rank R(std::uint32_t rank) { return Rank{rank}; }
Payload bytes_of(std::size_t size) { return Payload::copy(std::string(size, 'x')); }

Limits limits_with(std::uint32_t links) {
  Limits limits;
  limits.direct_links = links;
  limits.direct_messages = 3;
  limits.direct_bytes = 50'000;
  return limits;
}

// Ranks 1 to n-1 are children of rank 0, each on a host of its own.
class DirectLinksOfAStar : public ::testing::Test {
 protected:
  MessageCluster star(std::uint32_t ranks, std::uint32_t links = 8) {
    return MessageCluster({.world_size = ranks, .fan_out = ranks}, 1, limits_with(links), true);
  }
  static void exchange(MessageCluster& cluster, Rank from, Rank to, std::size_t size) {
    const CallId received = cluster.receive(to, from, 0);
    const CallId sent = cluster.send(from, to, 0, bytes_of(size));
    cluster.run();
    EXPECT_EQ(cluster.bytes(to, received).size(), size);
    EXPECT_TRUE(cluster.done(from, sent));
  }
  static Statistics statistics(MessageCluster& cluster, Rank rank) {
    Statistics statistics;
    cluster.at(rank).fill(statistics);
    return statistics;
  }
};

TEST_F(DirectLinksOfAStar, the_third_small_message_within_a_second_makes_one) {
  MessageCluster cluster = star(4);
  exchange(cluster, R(1), R(2), 10);
  exchange(cluster, R(1), R(2), 10);
  EXPECT_EQ(cluster.direct_links(), 0u);
  exchange(cluster, R(1), R(2), 10);
  EXPECT_EQ(cluster.direct_links(), 1u);
  const std::uint64_t relayed = cluster.tree().frames_sent(R(0));
  exchange(cluster, R(1), R(2), 10);
  exchange(cluster, R(2), R(1), 10);
  EXPECT_EQ(cluster.tree().frames_sent(R(0)), relayed) << "messages of both directions go there from then on";
}

TEST_F(DirectLinksOfAStar, messages_that_are_far_apart_make_none) {
  MessageCluster cluster = star(4);
  for (int i = 0; i < 20; ++i) {
    cluster.set_time(Time{seconds(2 * i)});
    exchange(cluster, R(1), R(2), 10);
  }
  EXPECT_EQ(cluster.direct_links(), 0u);
}

TEST_F(DirectLinksOfAStar, a_large_message_makes_one_and_goes_there_itself) {
  for (const auto& [from, to] : {std::pair(R(1), R(2)), std::pair(R(2), R(1))}) {
    MessageCluster cluster = star(4);
    exchange(cluster, from, to, 4 << 20);
    EXPECT_EQ(cluster.direct_links(), 1u);
    // What was granted while the link was made: a window.
    EXPECT_LT(cluster.tree().bytes_sent(R(0)), 3u << 19);
  }
}

TEST_F(DirectLinksOfAStar, a_grant_that_comes_another_way_than_its_message_goes_is_ignored) {
  MessageCluster cluster = star(4);
  cluster.dial(R(1), R(2));
  cluster.run();
  cluster.send(R(1), R(2), 0, bytes_of(40'000));
  cluster.run();
  const wire::Grant grant{{R(2), R(1), Incarnation{1002}, Incarnation{1001}}, Sequence{0}, 0, 1000};
  const Payload frame = wire::encode(grant, Epoch{1, 1});
  const Payload body = frame.part(wire::kFrameHeaderBytes, frame.size() - wire::kFrameHeaderBytes);
  const std::uint64_t before = cluster.tree().frames_sent(R(1));
  EXPECT_TRUE(cluster.at(R(1)).on_frame(cluster.now(), cluster.tree().link(R(1), R(0)), wire::Kind::grant, body));
  cluster.tree().collect_all();
  EXPECT_EQ(cluster.tree().frames_sent(R(1)), before);
  EXPECT_TRUE(cluster.at(R(1)).on_frame(cluster.now(), cluster.direct_link(R(1), R(2)), wire::Kind::grant, body));
  cluster.tree().collect_all();
  EXPECT_EQ(cluster.tree().frames_sent(R(1)), before + 1);
}

TEST_F(DirectLinksOfAStar, an_acceptance_said_on_a_link_that_the_source_had_lost_already_is_said_again) {
  Limits limits = limits_with(8);
  limits.unexpected_bytes = 0;
  MessageCluster cluster({.world_size = 4, .fan_out = 4}, 1, limits, true);
  cluster.dial(R(1), R(2));
  cluster.run();
  const LinkId at_1 = cluster.direct_link(R(1), R(2));
  const LinkId at_2 = cluster.direct_link(R(2), R(1));
  const CallId sent = cluster.send(R(1), R(2), 0, bytes_of(100));
  cluster.run();
  const CallId received = cluster.receive(R(2), R(1), 0);
  // Its grant is on the link, and lost.
  cluster.at(R(1)).on_link_failed(cluster.now(), at_1, {}, false);
  cluster.run();
  EXPECT_EQ(cluster.bytes(R(2), received).size(), 100u);
  EXPECT_FALSE(cluster.done(R(1), sent));
  cluster.at(R(2)).on_link_failed(cluster.now(), at_2, {}, false);
  cluster.run();
  EXPECT_TRUE(cluster.done(R(1), sent));
}

TEST_F(DirectLinksOfAStar, what_was_accepted_on_a_link_that_breaks_when_its_rank_closes_is_no_loss) {
  MessageCluster cluster = star(4);
  cluster.dial(R(1), R(2));
  cluster.run();
  const LinkId at_1 = cluster.direct_link(R(1), R(2));
  const CallId received = cluster.receive(R(2), R(1), 0);
  const CallId sent = cluster.send(R(1), R(2), 0, bytes_of(100));
  while (cluster.result(R(2), received) == nullptr) cluster.run(1);
  // The acceptance is on the link, and lost. Rank 0 knows that rank 2 has left before it is asked for it again.
  cluster.tree().pause(R(1), R(0));
  cluster.at(R(2)).fail_all(Failure{FailureCode::closed, Phase::closing, RankSet::single(R(2)), {}, "closed"});
  cluster.at(R(1)).on_link_failed(cluster.now(), at_1, {}, false);
  cluster.run();
  EXPECT_TRUE(cluster.done(R(1), sent));
}

TEST_F(DirectLinksOfAStar, what_was_accepted_over_the_tree_is_not_overtaken_by_a_refusal_on_the_link) {
  MessageCluster cluster = star(4);
  cluster.dial(R(1), R(2));
  cluster.run();
  const auto over_the_tree = [&](wire::Kind kind, const Payload& frame) {
    const Payload body = frame.part(wire::kFrameHeaderBytes, frame.size() - wire::kFrameHeaderBytes);
    EXPECT_TRUE(cluster.at(R(2)).on_frame(cluster.now(), cluster.tree().link(R(2), R(0)), kind, body));
  };
  const CallId received = cluster.receive(R(2), R(1), 0);
  const CallId sent = cluster.send(R(1), R(2), 0, bytes_of(100));
  // The message goes over the tree too, as if the link had opened behind it, and its acceptance gets stuck there.
  cluster.tree().pause(R(2), R(0));
  const wire::Ends ends{R(1), R(2), Incarnation{1001}, Incarnation{1002}};
  over_the_tree(wire::Kind::data,
                wire::encode(wire::Data{ends, Sequence{0}, 0, 0, 100, {}}, Epoch{1, 1}, bytes_of(100)));
  EXPECT_NE(cluster.result(R(2), received), nullptr);
  cluster.at(R(2)).end_application_calls(
      Failure{FailureCode::closed, Phase::closing, RankSet::single(R(2)), {}, "closed"});
  over_the_tree(wire::Kind::grant, wire::encode(wire::Grant{ends, Sequence{0}, 0, 0}, Epoch{1, 1}));
  cluster.run();
  EXPECT_TRUE(cluster.done(R(1), sent));
  EXPECT_EQ(cluster.failure(R(1), sent), nullptr);
}

TEST_F(DirectLinksOfAStar, an_offer_of_another_hosts_address_is_not_taken_up) {
  MessageCluster cluster = star(4);
  const CallId dialled = cluster.dial(R(1), R(2));
  const wire::Ends ends{R(2), R(1), Incarnation{1002}, Incarnation{1001}};
  for (const Endpoint& endpoint : {Endpoint{Endpoint::Family::tcp4, 22, {std::byte{127}}}, Endpoint{}}) {
    const Payload offer = wire::encode(wire::Direct{ends, wire::Direct::Word::offer, 0, endpoint, {}}, Epoch{1, 1});
    EXPECT_TRUE(cluster.at(R(1)).on_frame(cluster.now(), cluster.tree().link(R(1), R(0)), wire::Kind::direct,
                                          offer.part(wire::kFrameHeaderBytes, offer.size() - wire::kFrameHeaderBytes)));
    ASSERT_NE(cluster.failure(R(1), dialled), nullptr);
    EXPECT_NE(cluster.failure(R(1), dialled)->text.find("another address than its host's"), std::string::npos);
  }
  EXPECT_TRUE(cluster.tree().other_effects(R(1)).empty());
}

// The other side has closed a link for another one, and says that it wants one again before this side has read the end
// of the first.
TEST_F(DirectLinksOfAStar, a_word_that_overtakes_the_end_of_a_link_waits_for_what_is_on_the_link) {
  MessageCluster cluster = star(8, 1);
  cluster.dial(R(1), R(2));
  cluster.run();
  const LinkId at_2 = cluster.direct_link(R(2), R(1));
  const wire::Ends ends{R(1), R(2), Incarnation{1001}, Incarnation{1002}};
  const Payload ask = wire::encode(wire::Direct{ends, wire::Direct::Word::ask, 1, {}, {}}, Epoch{1, 1});
  EXPECT_TRUE(cluster.at(R(2)).on_frame(cluster.now(), cluster.tree().link(R(2), R(0)), wire::Kind::direct,
                                        ask.part(wire::kFrameHeaderBytes, ask.size() - wire::kFrameHeaderBytes)));
  cluster.run();
  EXPECT_TRUE(cluster.at(R(2)).owns(at_2)) << "it is read to its end";
  Random random(1);
  cluster.break_one(random);
  cluster.run();
  EXPECT_EQ(cluster.ever_opened(), 2u) << "then it counts";
}

TEST_F(DirectLinksOfAStar, neighbours_and_oneself_need_none) {
  MessageCluster cluster = star(4);
  for (const auto& [from, to] : {std::pair(R(0), R(1)), std::pair(R(1), R(0)), std::pair(R(1), R(1))}) {
    exchange(cluster, from, to, 1 << 20);
    const CallId dialled = cluster.dial(from, to);
    EXPECT_TRUE(cluster.done(from, dialled));
  }
  EXPECT_EQ(cluster.direct_links(), 0u);
}

TEST_F(DirectLinksOfAStar, two_that_want_one_at_the_same_time_get_one) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    MessageCluster cluster({.world_size = 12, .ranks_per_host = 1 + static_cast<std::uint32_t>(seed % 4), .fan_out = 3},
                           seed, limits_with(8), true);
    std::vector<std::pair<Rank, CallId>> calls;
    std::set<std::pair<Rank, Rank>> pairs;
    for (int i = 0; i < 10; ++i) {
      const Rank a{static_cast<std::uint32_t>(cluster.tree().random().below(12))};
      const Rank b{static_cast<std::uint32_t>(cluster.tree().random().below(12))};
      calls.emplace_back(a, cluster.dial(a, b));
      calls.emplace_back(b, cluster.dial(b, a));
      const bool beside = a == b || cluster.tree().link(a, b) != kNoLink;
      if (!beside) pairs.emplace(std::min(a, b), std::max(a, b));
    }
    cluster.run();
    for (const auto& [rank, id] : calls) EXPECT_TRUE(cluster.done(rank, id)) << seed;
    EXPECT_EQ(cluster.direct_links(), pairs.size()) << seed;
    EXPECT_EQ(cluster.ever_opened(), pairs.size()) << seed;
  }
}

TEST_F(DirectLinksOfAStar, the_one_used_longest_ago_makes_room_and_those_in_use_do_not) {
  MessageCluster cluster = star(8, 2);
  cluster.dial(R(1), R(2));
  cluster.run();
  cluster.dial(R(1), R(3));
  cluster.run();
  exchange(cluster, R(1), R(2), 10);
  cluster.dial(R(1), R(4));
  cluster.run();
  EXPECT_EQ(statistics(cluster, R(1)).direct_links, 2u);
  EXPECT_EQ(statistics(cluster, R(2)).direct_links, 1u);
  EXPECT_EQ(statistics(cluster, R(3)).direct_links, 0u) << "its link was used longest ago";
  EXPECT_EQ(statistics(cluster, R(3)).direct_links_lost, 1u);
  // Both are in use: a message on each waits for a receive.
  cluster.send(R(1), R(2), 7, bytes_of(100'000));
  cluster.send(R(1), R(4), 7, bytes_of(100'000));
  cluster.run();
  const CallId refused = cluster.dial(R(1), R(5));
  const CallId refused_there = cluster.dial(R(6), R(1));
  cluster.run();
  for (const auto& [rank, id] : {std::pair(R(1), refused), std::pair(R(6), refused_there)}) {
    ASSERT_NE(cluster.failure(rank, id), nullptr);
    EXPECT_NE(cluster.failure(rank, id)->text.find("rank 1 has 2 direct links, all in use (BANYAN_DIRECT_LINKS); "
                                                   "messages are routed"),
              std::string::npos)
        << cluster.failure(rank, id)->text;
  }
  exchange(cluster, R(1), R(5), 200'000);
  exchange(cluster, R(6), R(1), 200'000);
}

TEST_F(DirectLinksOfAStar, one_that_is_refused_is_named_and_messages_go_on_and_none_is_tried_again_for_a_while) {
  MessageCluster cluster = star(4);
  cluster.refuse_some(10);
  const CallId dialled = cluster.dial(R(1), R(2));
  const CallId from_there = cluster.dial(R(2), R(1));
  cluster.run();
  ASSERT_NE(cluster.failure(R(1), dialled), nullptr);
  EXPECT_EQ(cluster.failure(R(1), dialled)->code, FailureCode::unreachable);
  EXPECT_TRUE(cluster.failure(R(1), dialled)->text.ends_with("failed: connection refused; messages are routed"));
  ASSERT_NE(cluster.failure(R(2), from_there), nullptr);
  EXPECT_TRUE(cluster.failure(R(2), from_there)
                  ->text.ends_with("failed: rank 1 can't connect: connection refused; messages are routed"));
  cluster.refuse_some(0);
  exchange(cluster, R(1), R(2), 1 << 20);
  exchange(cluster, R(2), R(1), 1 << 20);
  EXPECT_EQ(cluster.direct_links(), 0u);
  cluster.pass_time(Time{seconds(11)});
  exchange(cluster, R(1), R(2), 1 << 20);
  EXPECT_EQ(cluster.direct_links(), 1u);
}

TEST_F(DirectLinksOfAStar, an_attempt_that_nobody_answers_ends_after_its_patience) {
  MessageCluster cluster = star(4);
  const CallId dialled = cluster.dial(R(1), R(2));
  EXPECT_EQ(cluster.at(R(1)).deadline(), Time{seconds(5)});
  cluster.pass_time(Time{seconds(5)});
  ASSERT_NE(cluster.failure(R(1), dialled), nullptr);
  EXPECT_TRUE(cluster.failure(R(1), dialled)->text.ends_with("there was no answer within 5 s; messages are routed"))
      << cluster.failure(R(1), dialled)->text;
}

TEST_F(DirectLinksOfAStar, where_they_are_switched_off_there_are_none) {
  MessageCluster cluster = star(4, 0);
  const CallId dialled = cluster.dial(R(1), R(2));
  cluster.run();
  ASSERT_NE(cluster.failure(R(1), dialled), nullptr);
  EXPECT_NE(cluster.failure(R(1), dialled)->text.find("rank 1 makes no direct links"), std::string::npos);
  exchange(cluster, R(1), R(2), 1 << 20);
  EXPECT_EQ(cluster.ever_opened(), 0u);
}

TEST_F(DirectLinksOfAStar, nobody_listens_before_somebody_asks) {
  MessageCluster cluster({.world_size = 4, .ranks_per_host = 4}, 3, limits_with(8), true);
  for (std::uint32_t i = 0; i < 4; ++i) EXPECT_TRUE(cluster.tree().effects(R(i)).empty());
}

TEST_F(DirectLinksOfAStar, a_peer_that_speaks_for_others_on_it_or_of_links_loses_it) {
  for (const bool about_links : {false, true}) {
    MessageCluster cluster = star(4);
    cluster.dial(R(1), R(2));
    cluster.run();
    const LinkId link = cluster.direct_link(R(2), R(1));
    ASSERT_NE(link, kNoLink);
    const wire::Ends of_another{R(3), R(2), Incarnation{1003}, Incarnation{1002}};
    const wire::Ends own{R(1), R(2), Incarnation{1001}, Incarnation{1002}};
    const Payload frame = about_links ? wire::encode(wire::Direct{own, wire::Direct::Word::ask, 0, {}, {}}, Epoch{1, 1})
                                      : wire::encode(wire::Accept{of_another, Sequence{0}, Sequence{0}}, Epoch{1, 1});
    EXPECT_FALSE(
        cluster.at(R(2)).on_frame(cluster.now(), link, about_links ? wire::Kind::direct : wire::Kind::accept,
                                  frame.part(wire::kFrameHeaderBytes, frame.size() - wire::kFrameHeaderBytes)));
  }
}

TEST_F(DirectLinksOfAStar, with_a_peer_that_broke_the_protocol_connect_fails_at_once) {
  MessageCluster cluster = star(4);
  cluster.dial(R(1), R(2));
  cluster.run();
  const Failure broke{FailureCode::protocol, Phase::running, RankSet::single(R(1)), {}, "an unknown frame"};
  cluster.at(R(2)).on_link_failed(cluster.now(), cluster.direct_link(R(2), R(1)), broke, false);
  const CallId dialled = cluster.dial(R(2), R(1));
  ASSERT_NE(cluster.failure(R(2), dialled), nullptr);
  EXPECT_TRUE(
      cluster.failure(R(2), dialled)->text.ends_with("failed: the last link broke the protocol; messages are routed"))
      << cluster.failure(R(2), dialled)->text;
}

TEST_F(DirectLinksOfAStar, a_caller_that_nobody_waits_for_is_not_let_in) {
  MessageCluster cluster = star(4);
  EXPECT_FALSE(cluster.at(R(2)).on_accepted(LinkId{77}, R(1)));
  EXPECT_FALSE(cluster.at(R(2)).owns(LinkId{77}));
}

TEST_F(DirectLinksOfAStar, a_rank_that_closes_ends_its_links_and_makes_no_more) {
  MessageCluster cluster = star(4);
  cluster.dial(R(1), R(2));
  cluster.run();
  cluster.at(R(2)).fail_all(Failure{FailureCode::closed, Phase::closing, RankSet::single(R(2)), {}, "closed"});
  cluster.run();
  EXPECT_EQ(cluster.direct_links(), 0u);
  const CallId dialled = cluster.dial(R(1), R(2));
  cluster.run();
  ASSERT_NE(cluster.failure(R(1), dialled), nullptr);
  EXPECT_NE(cluster.failure(R(1), dialled)->text.find("the rank has left"), std::string::npos);
}

TEST_F(DirectLinksOfAStar, a_rank_that_closes_and_stays_for_others_says_so_on_its_link) {
  MessageCluster cluster = star(3);
  exchange(cluster, R(1), R(2), 60'000);
  const CallId received = cluster.receive(R(1), R(2), 0);
  cluster.at(R(2)).end_application_calls({FailureCode::closed, Phase::closing, {}, {}, "closed"});
  const CallId sent = cluster.send(R(1), R(2), 0, bytes_of(60'000));
  cluster.run();
  cluster.pass_time(Time{seconds(1)});
  cluster.run();
  EXPECT_EQ(cluster.direct_links(), 1u);
  for (const CallId id : {received, sent}) {
    ASSERT_NE(cluster.failure(R(1), id), nullptr);
    EXPECT_EQ(cluster.failure(R(1), id)->code, FailureCode::rank_left);
  }
}

}  // namespace
}  // namespace banyan::node
