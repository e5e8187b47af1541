// Receives from whichever rank sends, and probes.
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "node/messages_cluster.hh"

namespace banyan::node {
namespace {

using std::chrono::seconds;

constexpr Rank R(std::uint32_t rank) { return Rank{rank}; }

// A child of rank 0 leaves in good order, as rank 0's node handles it.
void leave(MessageCluster& cluster, Rank child) {
  const LinkId link = cluster.tree().link(R(0), child);
  cluster.at(R(0)).on_child_left(link);
  cluster.tree().topology(R(0)).remove_child(link);
}

TEST(FromAny, the_message_that_was_announced_first_is_taken_and_its_source_named) {
  MessageCluster cluster({.world_size = 4, .fan_out = 4}, 1);
  for (const Rank rank : {R(2), R(1), R(3)}) {
    cluster.send(rank, R(0), 5, Payload::copy("from " + std::to_string(raw(rank))));
    cluster.run();
  }
  for (const Rank rank : {R(2), R(1), R(3)}) {
    const CallId received = cluster.receive_from_any(R(0), 5);
    EXPECT_EQ(cluster.bytes(R(0), received), "from " + std::to_string(raw(rank)));
    EXPECT_EQ(cluster.source(R(0), received), rank);
  }
}

TEST(FromAny, one_that_waits_takes_the_next_to_come_with_its_tag) {
  MessageCluster cluster({.world_size = 4, .fan_out = 4}, 1);
  const CallId received = cluster.receive_from_any(R(0), 5);
  cluster.send(R(1), R(0), 6, Payload::copy("another tag"));
  cluster.run();
  EXPECT_EQ(cluster.result(R(0), received), nullptr);
  cluster.send(R(3), R(0), 5, Payload::copy("the tag"));
  cluster.run();
  EXPECT_EQ(cluster.bytes(R(0), received), "the tag");
  EXPECT_EQ(cluster.source(R(0), received), R(3));
}

TEST(FromAny, of_receives_that_fit_the_oldest_takes_a_message) {
  for (const bool any_first : {true, false}) {
    MessageCluster cluster({.world_size = 4, .fan_out = 4}, 1);
    const CallId first = any_first ? cluster.receive_from_any(R(0), 5) : cluster.receive(R(0), R(1), 5);
    const CallId second = any_first ? cluster.receive(R(0), R(1), 5) : cluster.receive_from_any(R(0), 5);
    cluster.send(R(1), R(0), 5, Payload::copy("one"));
    cluster.run();
    EXPECT_EQ(cluster.bytes(R(0), first), "one");
    EXPECT_EQ(cluster.result(R(0), second), nullptr);
    cluster.send(R(1), R(0), 5, Payload::copy("two"));
    cluster.run();
    EXPECT_EQ(cluster.bytes(R(0), second), "two");
    EXPECT_EQ(cluster.source(R(0), second), R(1));
  }
}

TEST(FromAny, a_message_whose_receive_is_given_up_goes_to_one_that_waits) {
  MessageCluster cluster({.world_size = 4, .fan_out = 4}, 1);
  const CallId given_up = cluster.receive(R(0), R(1), 5, Time{seconds(1)});
  cluster.send(R(1), R(0), 5, Payload::copy(std::string(100'000, 'x')));
  // Announced, and not here yet.
  cluster.run(1);
  const CallId received = cluster.receive_from_any(R(0), 5);
  cluster.pass_time(Time{seconds(1)});
  EXPECT_NE(cluster.failure(R(0), given_up), nullptr);
  cluster.run();
  EXPECT_EQ(cluster.bytes(R(0), received).size(), 100'000u);
  EXPECT_TRUE(cluster.consistent());
}

TEST(FromAny, a_rank_that_leaves_halfway_through_its_message_leaves_the_receive_to_others) {
  MessageCluster cluster({.world_size = 4, .fan_out = 4}, 1);
  const CallId received = cluster.receive_from_any(R(0), 5);
  cluster.send(R(1), R(0), 5, Payload::copy(std::string(100'000, 'x')));
  cluster.run(2);
  EXPECT_EQ(cluster.probe(R(0), kNoRank, 5).first, kNoRank) << "it is taken";
  cluster.send(R(2), R(0), 5, Payload::copy("whole"));
  cluster.tree().pause(R(1), R(0));
  cluster.run();
  EXPECT_EQ(cluster.result(R(0), received), nullptr);
  leave(cluster, R(1));
  EXPECT_EQ(cluster.bytes(R(0), received), "whole");
  EXPECT_EQ(cluster.source(R(0), received), R(2));
  EXPECT_TRUE(cluster.consistent());
}

TEST(FromAny, those_whose_source_leaves_wait_for_others_in_their_order_and_take_nothing_from_the_rest) {
  MessageCluster cluster({.world_size = 4, .fan_out = 4}, 1);
  std::vector<CallId> receives;
  for (int i = 0; i < 3; ++i) receives.push_back(cluster.receive_from_any(R(0), 5));
  // Announced, and not granted yet.
  for (const Rank rank : {R(1), R(2)}) cluster.tree().pause(R(0), rank);
  for (const Rank rank : {R(1), R(1), R(2)}) {
    cluster.send(rank, R(0), 5, Payload::copy(std::string(100'000, 'x')));
    cluster.run();
  }
  leave(cluster, R(1));
  EXPECT_TRUE(cluster.consistent());
  cluster.send(R(3), R(0), 5, Payload::copy("third"));
  cluster.run();
  EXPECT_EQ(cluster.bytes(R(0), receives[0]), "third");
  cluster.tree().resume(R(0), R(2));
  cluster.run();
  EXPECT_EQ(cluster.source(R(0), receives[2]), R(2));
  EXPECT_EQ(cluster.result(R(0), receives[1]), nullptr);
  cluster.send(R(2), R(0), 5, Payload::copy("second"));
  cluster.run();
  EXPECT_EQ(cluster.bytes(R(0), receives[1]), "second");
}

TEST(FromAny, a_probe_of_a_rank_that_has_left_says_so_once_its_messages_are_taken) {
  MessageCluster cluster({.world_size = 4, .fan_out = 4}, 1);
  cluster.send(R(1), R(0), 5, Payload::copy("last"));
  cluster.run();
  leave(cluster, R(1));
  EXPECT_EQ(cluster.probe(R(0), R(1), 5), std::pair(R(1), std::uint64_t{4}));
  cluster.receive(R(0), R(1), 5);
  const CallId probed = cluster.begin_probe(R(0), R(1), 5);
  ASSERT_NE(cluster.failure(R(0), probed), nullptr);
  EXPECT_EQ(cluster.failure(R(0), probed)->text, "probe of rank 1 on host-1 failed: the rank has left");
}

TEST(FromAny, a_probe_has_its_source_asked_whether_it_is_there) {
  MessageCluster cluster({.world_size = 4, .fan_out = 4}, 1);
  cluster.at(R(2)).fail_all(Failure{FailureCode::closed, Phase::closing, RankSet::single(R(2)), {}, "closed"});
  EXPECT_EQ(cluster.failure(R(1), cluster.begin_probe(R(1), R(2), 5)), nullptr);
  cluster.pass_time(Time{seconds(1)});
  cluster.run();
  EXPECT_NE(cluster.failure(R(1), cluster.begin_probe(R(1), R(2), 5)), nullptr);
}

TEST(FromAny, one_that_times_out_says_that_it_was_for_any_rank) {
  MessageCluster cluster({.world_size = 2}, 1);
  const CallId received = cluster.receive_from_any(R(0), 5, Time{seconds(2)});
  cluster.pass_time(Time{seconds(2)});
  ASSERT_NE(cluster.failure(R(0), received), nullptr);
  EXPECT_EQ(cluster.failure(R(0), received)->text,
            "recv from any rank (tag 5) timed out after 2.0 s: nothing has been sent");
  EXPECT_TRUE(cluster.failure(R(0), received)->ranks.empty());
  cluster.send(R(1), R(0), 5, Payload::copy("late"));
  cluster.run();
  EXPECT_EQ(cluster.probe(R(0), kNoRank, 5), std::pair(R(1), std::uint64_t{4}));
}

TEST(FromAny, a_probe_tells_of_what_is_announced_and_free_and_takes_nothing) {
  MessageCluster cluster({.world_size = 4, .fan_out = 4}, 1);
  const auto nothing = std::pair(kNoRank, std::uint64_t{0});
  EXPECT_EQ(cluster.probe(R(0), R(1), 5), nothing);
  cluster.send(R(1), R(0), 5, Payload::copy(std::string(1 << 20, 'x')));
  cluster.run();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(cluster.probe(R(0), R(1), 5), std::pair(R(1), std::uint64_t{1} << 20));
    EXPECT_EQ(cluster.probe(R(0), kNoRank, 5), std::pair(R(1), std::uint64_t{1} << 20));
  }
  EXPECT_EQ(cluster.probe(R(0), R(2), 5), nothing);
  EXPECT_EQ(cluster.probe(R(0), kNoRank, 6), nothing);
  cluster.send(R(0), R(0), 6, Payload{});
  EXPECT_EQ(cluster.probe(R(0), kNoRank, 6), std::pair(R(0), std::uint64_t{0}));
  cluster.receive(R(0), R(1), 5);
  EXPECT_EQ(cluster.probe(R(0), R(1), 5), nothing) << "a receive has it";
}

TEST(FromAny, random_receives_from_one_and_from_any_bring_every_message_once_and_in_order_from_each) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    Limits limits;
    limits.unexpected_bytes = random.below(2) == 0 ? limits.unexpected_bytes : random.below(40'000);
    const auto ranks = static_cast<std::uint32_t>(random.between(2, 9));
    MessageCluster cluster({.world_size = ranks, .ranks_per_host = 2, .fan_out = 2}, seed, limits);
    std::map<Rank, int> sent;
    std::map<Rank, int> owed;
    for (int step = 0; step < 60; ++step) {
      const Rank source{static_cast<std::uint32_t>(random.below(ranks))};
      switch (random.below(4)) {
        case 0: {
          // The first bytes are its place.
          std::string text = std::to_string(sent[source]++) + " ";
          text.resize(random.below(3) == 0 ? 50'000 : 10, 'x');
          cluster.send(source, R(0), 5, Payload::copy(text));
          ++owed[source];
          break;
        }
        case 1:
          if (owed[source]-- > 0)
            cluster.receive(R(0), source, 5);
          else
            owed[source] = 0;
          break;
        case 2: cluster.run(random.below(20)); break;
        default: break;
      }
      ASSERT_TRUE(cluster.consistent());
    }
    for (const auto& [source, count] : owed) {
      for (int i = 0; i < count; ++i) cluster.receive_from_any(R(0), 5);
    }
    cluster.run();
    std::map<Rank, int> got;
    cluster.tree().collect_all();
    for (const Completion& completion : cluster.tree().completions(R(0))) {
      if (completion.source == kNoRank) continue;  // a send of its own
      const std::string text = std::get<Payload>(completion.result).to_string();
      EXPECT_EQ(std::stoi(text), got[completion.source]++);
    }
    std::erase_if(sent, [](const auto& entry) { return entry.second == 0; });
    EXPECT_EQ(got, sent);
    EXPECT_EQ(cluster.at(R(0)).unexpected_bytes(), 0u);
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(FromAny, sources_that_leave_at_random_leave_no_message_free_that_a_receive_waits_for) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    constexpr std::uint32_t kRanks = 6;
    MessageCluster cluster({.world_size = kRanks, .fan_out = kRanks}, seed);
    std::vector<bool> left(kRanks, false);
    std::map<Rank, int> sent;
    for (int step = 0; step < 80; ++step) {
      const std::uint32_t who = static_cast<std::uint32_t>(random.between(1, kRanks - 1));
      switch (random.below(6)) {
        case 0:
        case 1: {
          if (left[who]) break;
          std::string text = std::to_string(sent[R(who)]++) + " ";
          text.resize(random.below(2) == 0 ? 50'000 : 10, 'x');
          cluster.send(R(who), R(0), 5, Payload::copy(text));
          break;
        }
        case 2:
          cluster.receive_from_any(R(0), 5, random.below(2) == 0 ? kNever : after(cluster.now(), seconds(2)));
          break;
        case 3: cluster.run(random.below(10)); break;
        case 4: cluster.pass_time(after(cluster.now(), seconds(1))); break;
        default:
          if (left[who] || random.below(8) != 0) break;
          left[who] = true;
          cluster.tree().pause(R(who), R(0));
          leave(cluster, R(who));
      }
      ASSERT_TRUE(cluster.consistent());
    }
    cluster.run();
    ASSERT_TRUE(cluster.consistent());
    std::map<Rank, int> got;
    cluster.tree().collect_all();
    for (const Completion& completion : cluster.tree().completions(R(0))) {
      if (completion.source == kNoRank) continue;  // it timed out
      EXPECT_EQ(std::stoi(std::get<Payload>(completion.result).to_string()), got[completion.source]++);
    }
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace banyan::node
