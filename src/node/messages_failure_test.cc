// Messages that time out, can't be delivered, or are not allowed: what the caller is told, and that nothing is lost.
#include <algorithm>
#include <map>
#include <tuple>

#include <gtest/gtest.h>

#include "node/messages_cluster.hh"

namespace banyan::node {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Rank R(std::uint32_t rank) { return Rank{rank}; }
constexpr Time at(Duration since_start) { return Time{since_start}; }
Payload zeros(std::size_t size) { return Payload::copy(std::string(size, '\0')); }

TEST(MessageTimeouts, a_send_that_is_not_received_says_so_and_may_still_arrive) {
  MessageCluster cluster({.world_size = 4, .ranks_per_host = 2}, 1);
  const CallId sent = cluster.send(R(0), R(3), 7, zeros(40'000), at(seconds(2)));
  cluster.run();
  EXPECT_EQ(cluster.at(R(0)).deadline(), at(seconds(1))) << "then it asks whether rank 3 is still there";
  cluster.pass_time(at(milliseconds(1999)));
  EXPECT_EQ(cluster.result(R(0), sent), nullptr);
  cluster.pass_time(at(seconds(2)));
  const Failure* failure = cluster.failure(R(0), sent);
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->code, FailureCode::timed_out);
  EXPECT_EQ(failure->phase, Phase::running);
  EXPECT_EQ(failure->ranks, RankSet::single(R(3)));
  EXPECT_EQ(failure->host, "host-1");
  EXPECT_EQ(failure->text,
            "send to rank 3 on host-1 (tag 7, 40000 bytes) timed out after 2.0 s: it has not been received, and still "
            "may be");
  EXPECT_EQ(cluster.at(R(0)).deadline(), kNever);
  const CallId received = cluster.receive(R(3), R(0), 7);
  cluster.run();
  EXPECT_EQ(cluster.bytes(R(3), received).size(), 40'000u);
  EXPECT_EQ(cluster.tree().completions(R(0)).size(), 1u) << "a call completes once";
}

TEST(MessageTimeouts, a_send_that_times_out_behind_too_many_others_never_happened) {
  MessageCluster cluster({.world_size = 2}, 1);
  for (std::uint32_t i = 0; i < kMaxMessagesInFlight; ++i) cluster.send(R(0), R(1), 0, zeros(20'000 + i));
  const CallId late = cluster.send(R(0), R(1), 1, zeros(1), at(seconds(1)));
  const CallId later = cluster.send(R(0), R(1), 1, Payload::copy("later"));
  cluster.run();
  cluster.pass_time(at(seconds(1)));
  ASSERT_NE(cluster.failure(R(0), late), nullptr);
  EXPECT_EQ(cluster.failure(R(0), late)->text,
            "send to rank 1 on host-1 (tag 1, 1 bytes) timed out after 1.0 s: 16 earlier messages have not been "
            "received; this one was not sent");
  cluster.receive(R(1), R(0), 0);
  cluster.run();
  EXPECT_TRUE(cluster.done(R(0), later));
  EXPECT_EQ(cluster.bytes(R(1), cluster.receive(R(1), R(0), 1)), "later");
}

TEST(MessageTimeouts, a_receive_says_whether_anything_was_sent) {
  MessageCluster cluster({.world_size = 4, .ranks_per_host = 2}, 1);
  cluster.set_time(at(seconds(10)));
  const CallId silent = cluster.receive(R(0), R(3), 7, at(milliseconds(11'500)));
  const CallId halfway = cluster.receive(R(0), R(2), 0, at(seconds(12)));
  cluster.send(R(2), R(0), 0, zeros(100'000));
  EXPECT_EQ(cluster.at(R(0)).deadline(), at(seconds(11))) << "it asks whether they are still there";
  // The announcement goes up, the grant comes down; then the first of the bytes.
  const LinkId parent = cluster.tree().topology(R(0)).next_hop(R(2));
  std::size_t data_frames = 0;
  while (data_frames < 2) {
    cluster.tree().run(
        [&](Rank rank, LinkId from, const wire::Frame& frame) {
          if (rank == R(0) && from == parent && frame.kind == wire::Kind::data) ++data_frames;
          return cluster.at(rank).on_frame(cluster.now(), from, frame.kind, frame.body);
        },
        1);
  }
  cluster.pass_time(at(seconds(12)));
  ASSERT_NE(cluster.failure(R(0), silent), nullptr);
  EXPECT_EQ(cluster.failure(R(0), silent)->text,
            "recv from rank 3 on host-1 (tag 7) timed out after 2.0 s: nothing has been sent");
  EXPECT_EQ(cluster.failure(R(0), silent)->ranks, RankSet::single(R(3)));
  ASSERT_NE(cluster.failure(R(0), halfway), nullptr);
  EXPECT_EQ(cluster.failure(R(0), halfway)->text,
            "recv from rank 2 on host-1 (tag 0) timed out after 2.0 s: 32768 of 100000 bytes have come");
}

TEST(MessageTimeouts, a_receive_that_is_given_up_halfway_leaves_its_message_and_what_has_come_of_it_to_the_next) {
  for (const std::size_t pool : {std::size_t{0}, std::size_t{4} << 20}) {
    Limits limits;
    limits.unexpected_bytes = pool;
    limits.message_window_bytes = 128 * 1024;
    for (std::size_t cut = 1; cut < 60; cut += 3) {
      MessageCluster cluster({.world_size = 2}, cut, limits);
      const CallId given_up = cluster.receive(R(1), R(0), 0, at(seconds(1)));
      const CallId sent = cluster.send(R(0), R(1), 0, zeros(1 << 20));
      cluster.run(cut);
      if (cluster.result(R(1), given_up) != nullptr) break;
      cluster.pass_time(at(seconds(1)));
      EXPECT_TRUE(cluster.consistent());
      const std::uint64_t held = cluster.at(R(1)).unexpected_bytes();
      EXPECT_LE(held, pool);
      EXPECT_TRUE(pool == 0 || cut <= 20 || held > 0);
      cluster.run();
      EXPECT_EQ(cluster.at(R(1)).unexpected_bytes(), held) << "nobody asked for more";
      EXPECT_TRUE(cluster.consistent());
      const std::uint64_t before = cluster.tree().bytes_sent(R(0));
      const CallId received = cluster.receive(R(1), R(0), 0);
      cluster.run();
      EXPECT_EQ(cluster.bytes(R(1), received).size(), std::size_t{1} << 20);
      EXPECT_TRUE(cluster.done(R(0), sent));
      EXPECT_EQ(cluster.at(R(1)).unexpected_bytes(), 0u);
      const std::uint64_t again = cluster.tree().bytes_sent(R(0)) - before;
      EXPECT_LE(again, (1 << 20) - (held == 0 ? 0 : held - UnexpectedPool::cost(0)) + 64 * 100)
          << "what is held is sent once";
    }
  }
}

TEST(MessageTimeouts, the_next_receive_takes_over_the_message_of_one_that_is_given_up) {
  MessageCluster cluster({.world_size = 2}, 3);
  const CallId given_up = cluster.receive(R(1), R(0), 0, at(seconds(1)));
  const CallId second = cluster.receive(R(1), R(0), 0);
  const CallId third = cluster.receive(R(1), R(0), 0);
  cluster.send(R(0), R(1), 0, Payload::copy(std::string(500'000, 'a')));
  cluster.send(R(0), R(1), 0, Payload::copy(std::string(500'000, 'b')));
  cluster.run(12);
  cluster.pass_time(at(seconds(1)));
  ASSERT_NE(cluster.failure(R(1), given_up), nullptr);
  cluster.run();
  EXPECT_EQ(cluster.bytes(R(1), second), std::string(500'000, 'a'));
  EXPECT_EQ(cluster.bytes(R(1), third), std::string(500'000, 'b'));
}

// Receives and sends that time out at random: whatever completes at a receiver is what was sent, in order, and what was
// not withdrawn arrives in the end.
class Impatience {
 public:
  explicit Impatience(std::uint64_t seed) : random_(seed), cluster_(shape(), seed, limits(random_)) {}

  void run() {
    for (int i = 0; i < 150; ++i) {
      step();
      ASSERT_TRUE(cluster_.consistent());
    }
    cluster_.pass_time(cluster_.now() + seconds(60));
    cluster_.run();
    settle_expectations();
    for (const auto& [flow, texts] : expected_) drain(flow, texts.size());
    for (std::uint32_t i = 0; i < 4; ++i) EXPECT_EQ(cluster_.at(R(i)).unexpected_bytes(), 0u);
    check();
  }

 private:
  using Flow = std::tuple<Rank, Rank, std::uint32_t>;
  struct Sent {
    Flow flow;
    CallId id;
    std::string text;
  };

  static FormedShape shape() { return {.world_size = 4, .ranks_per_host = 2, .fan_out = 2}; }
  static Limits limits(Random& random) {
    Limits limits;
    limits.unexpected_bytes = random.below(200'000);
    limits.message_window_bytes = random.below(100'000);
    return limits;
  }

  void step() {
    const Flow flow{R(static_cast<std::uint32_t>(random_.below(4))), R(static_cast<std::uint32_t>(random_.below(2))),
                    static_cast<std::uint32_t>(random_.below(2))};
    const auto& [source, target, tag] = flow;
    const Time deadline = cluster_.now() + milliseconds(random_.below(3000));
    const std::uint64_t kind = random_.below(8);
    if (kind < 3) {
      std::string text = std::to_string(sent_.size()) +
                         std::string(random_.below(4) == 0 ? random_.below(200'000) : random_.below(200), 'x');
      const CallId id = cluster_.send(source, target, tag, Payload::copy(text), deadline);
      sent_.push_back({flow, id, std::move(text)});
    } else if (kind < 6) {
      receives_[cluster_.receive(target, source, tag, deadline)] = flow;
    } else if (kind == 6) {
      cluster_.run(random_.below(30));
    } else {
      cluster_.pass_time(cluster_.now() + milliseconds(random_.below(500)));
    }
  }
  void settle_expectations() {
    for (const Sent& sent : sent_) {
      const Failure* failure = cluster_.failure(std::get<0>(sent.flow), sent.id);
      const bool withdrawn = failure != nullptr && failure->text.ends_with("this one was not sent");
      if (!withdrawn) expected_[sent.flow].push_back(sent.text);
    }
  }
  void drain(const Flow& flow, std::size_t most) {
    const auto& [source, target, tag] = flow;
    for (std::size_t i = 0; i < most; ++i) {
      const CallId id = cluster_.receive(target, source, tag, cluster_.now() + seconds(1));
      receives_[id] = flow;
      cluster_.run();
      if (cluster_.result(target, id) == nullptr) break;
    }
    cluster_.pass_time(cluster_.now() + seconds(1));
    cluster_.run();
  }
  void check() {
    std::map<Flow, std::vector<std::string>> got;
    for (std::uint32_t i = 0; i < 2; ++i) {
      for (const Completion& completion : cluster_.tree().completions(R(i))) {
        const auto receive = receives_.find(completion.id);
        const auto* payload = std::get_if<Payload>(&completion.result);
        if (receive != receives_.end() && payload != nullptr) got[receive->second].push_back(payload->to_string());
      }
    }
    EXPECT_EQ(got, expected_);
    EXPECT_TRUE(cluster_.tree().refusals().empty());
  }

  Random random_;
  MessageCluster cluster_;
  std::vector<Sent> sent_;
  std::map<CallId, Flow> receives_;
  std::map<Flow, std::vector<std::string>> expected_;
};

TEST(MessageTimeouts, random_timeouts_lose_nothing_repeat_nothing_and_keep_the_order) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Impatience(seed).run();
    if (testing::Test::HasFailure()) return;
  }
}

TEST(MessageFailures, calls_that_can_not_be_are_refused_and_change_nothing) {
  MessageCluster cluster({.world_size = 2}, 1);
  for (const std::uint32_t nobody : {2u, 1000u, 0xffff'fffeu}) {
    const CallId sent = cluster.send(R(0), R(nobody), 0, {});
    const CallId received = cluster.receive(R(0), R(nobody), 0);
    ASSERT_NE(cluster.failure(R(0), sent), nullptr);
    EXPECT_EQ(cluster.failure(R(0), sent)->code, FailureCode::misuse);
    EXPECT_EQ(cluster.failure(R(0), received)->text,
              "there is no rank " + std::to_string(nobody) + ": the job has 2 ranks");
  }
  // Which means any rank to a receive.
  const CallId to_any = cluster.send(R(0), kNoRank, 0, {});
  ASSERT_NE(cluster.failure(R(0), to_any), nullptr);
  EXPECT_EQ(cluster.failure(R(0), to_any)->code, FailureCode::misuse);
  // The bytes are never looked at.
  const std::byte one{};
  Payload huge;
  for (int i = 0; i < 2; ++i) {
    huge.append(Slice(std::make_shared<int>(i), Bytes(&one, kMaxMessageBytes / 2 + static_cast<std::size_t>(i))));
  }
  const CallId sent = cluster.send(R(0), R(1), 0, huge);
  ASSERT_NE(cluster.failure(R(0), sent), nullptr);
  EXPECT_EQ(cluster.failure(R(0), sent)->code, FailureCode::too_large);
  cluster.run();
  EXPECT_EQ(cluster.tree().frames_sent(), 0u);
}

// A child leaves in good order, as its parent's node handles it.
void leave(MessageCluster& cluster, Rank parent, Rank child) {
  const LinkId link = cluster.tree().link(parent, child);
  cluster.at(parent).on_child_left(link);
  cluster.tree().topology(parent).remove_child(link);
}

TEST(MessageFailures, what_is_pending_with_a_child_that_leaves_fails_by_naming_it) {
  MessageCluster cluster({.world_size = 3, .fan_out = 2}, 1);
  const CallId sent = cluster.send(R(0), R(1), 0, zeros(100'000));
  const CallId received = cluster.receive(R(0), R(1), 0);
  const CallId other = cluster.receive(R(0), R(2), 0);
  cluster.send(R(1), R(0), 5, Payload::copy("a last word"));
  cluster.send(R(1), R(0), 6, zeros(100'000));
  cluster.run();
  leave(cluster, R(0), R(1));
  ASSERT_NE(cluster.failure(R(0), sent), nullptr);
  EXPECT_EQ(cluster.failure(R(0), sent)->code, FailureCode::rank_left);
  EXPECT_EQ(cluster.failure(R(0), sent)->ranks, RankSet::single(R(1)));
  EXPECT_EQ(cluster.failure(R(0), sent)->text,
            "send to rank 1 on host-1 (tag 0, 100000 bytes) failed: the rank has left");
  EXPECT_EQ(cluster.failure(R(0), received)->text, "recv from rank 1 on host-1 (tag 0) failed: the rank has left");
  EXPECT_EQ(cluster.result(R(0), other), nullptr) << "rank 2 is still there";
  EXPECT_TRUE(cluster.consistent());
  // What it sent before is here; what never came whole is not waited for.
  EXPECT_EQ(cluster.bytes(R(0), cluster.receive(R(0), R(1), 5)), "a last word");
  EXPECT_EQ(cluster.failure(R(0), cluster.receive(R(0), R(1), 6))->code, FailureCode::rank_left);
  EXPECT_EQ(cluster.failure(R(0), cluster.send(R(0), R(1), 0, {}))->code, FailureCode::rank_left);
  EXPECT_EQ(cluster.at(R(0)).unexpected_bytes(), 0u);
}

TEST(MessageFailures, a_message_behind_one_that_was_lost_with_its_sender_is_not_delivered_out_of_order) {
  MessageCluster cluster({.world_size = 2}, 1);
  cluster.send(R(1), R(0), 0, Payload::copy("first"));
  cluster.send(R(1), R(0), 0, zeros(100'000));
  cluster.send(R(1), R(0), 0, Payload::copy("third"));
  cluster.run();
  leave(cluster, R(0), R(1));
  EXPECT_EQ(cluster.bytes(R(0), cluster.receive(R(0), R(1), 0)), "first");
  EXPECT_NE(cluster.failure(R(0), cluster.receive(R(0), R(1), 0)), nullptr);
  EXPECT_EQ(cluster.at(R(0)).unexpected_bytes(), 0u);
}

TEST(MessageFailures, a_send_to_a_rank_that_left_elsewhere_in_the_tree_comes_back_undeliverable) {
  // 1 - 0 - 2 with the leaving rank below 0: rank 2 is not told, but its message is answered.
  MessageCluster cluster({.world_size = 3, .fan_out = 2}, 1);
  leave(cluster, R(0), R(1));
  const CallId small = cluster.send(R(2), R(1), 0, Payload::copy("hello"));
  const CallId large = cluster.send(R(2), R(1), 0, zeros(100'000));
  std::vector<CallId> many;
  for (std::uint32_t i = 0; i < 2 * kMaxMessagesInFlight; ++i) many.push_back(cluster.send(R(2), R(1), 0, {}));
  cluster.run();
  for (const CallId id : {small, large}) {
    ASSERT_NE(cluster.failure(R(2), id), nullptr);
    EXPECT_EQ(cluster.failure(R(2), id)->code, FailureCode::rank_left);
    EXPECT_EQ(cluster.failure(R(2), id)->ranks, RankSet::single(R(1)));
  }
  for (const CallId id : many) EXPECT_NE(cluster.failure(R(2), id), nullptr);
}

TEST(MessageFailures, a_send_that_was_passed_on_to_a_rank_that_had_just_left_fails_when_that_is_asked_for) {
  MessageCluster cluster({.world_size = 3, .fan_out = 2}, 1);
  cluster.tree().pause(R(0), R(1));
  const CallId sent = cluster.send(R(2), R(1), 0, Payload::copy("hello"));
  cluster.run();
  leave(cluster, R(0), R(1));
  cluster.run();
  EXPECT_EQ(cluster.result(R(2), sent), nullptr);
  cluster.pass_time(at(seconds(1)));
  cluster.run();
  ASSERT_NE(cluster.failure(R(2), sent), nullptr);
  EXPECT_EQ(cluster.failure(R(2), sent)->code, FailureCode::rank_left);
}

TEST(MessageFailures, a_receive_from_a_rank_that_left_elsewhere_in_the_tree_fails_by_naming_it) {
  // Announced or not, closed or gone: rank 2 hears of it though it is no neighbour of rank 1.
  for (const bool announced : {false, true}) {
    for (const bool gone : {false, true}) {
      MessageCluster cluster({.world_size = 3, .fan_out = 2}, 1);
      cluster.set_time(at(seconds(10)));
      cluster.send(R(1), R(2), 5, Payload::copy("a last word"));
      if (announced) cluster.send(R(1), R(2), 0, zeros(100'000));
      cluster.run();
      if (gone) {
        leave(cluster, R(0), R(1));
      } else {
        cluster.at(R(1)).fail_all(Failure{FailureCode::closed, Phase::running, {}, {}, "closed"});
      }
      const CallId received = cluster.receive(R(2), R(1), 0);
      const CallId other = cluster.receive(R(2), R(0), 0);
      cluster.run();
      cluster.pass_time(at(seconds(11)));
      cluster.run();
      const Failure* failure = cluster.failure(R(2), received);
      ASSERT_NE(failure, nullptr) << announced << gone;
      EXPECT_EQ(failure->code, FailureCode::rank_left);
      EXPECT_EQ(failure->text, "recv from rank 1 on host-1 (tag 0) failed: the rank has left");
      EXPECT_EQ(cluster.result(R(2), other), nullptr) << "rank 0 is still there";
      EXPECT_EQ(cluster.bytes(R(2), cluster.receive(R(2), R(1), 5)), "a last word");
      EXPECT_EQ(cluster.at(R(2)).unexpected_bytes(), 0u);
      EXPECT_TRUE(cluster.consistent());
    }
  }
}

TEST(MessageFailures, a_rank_that_waits_for_many_asks_for_a_few_at_a_time_and_for_all_in_turn) {
  MessageCluster cluster({.world_size = 200, .ranks_per_host = 200}, 1);
  cluster.set_time(at(seconds(10)));
  std::vector<CallId> calls;
  for (std::uint32_t i = 1; i < 200; ++i) calls.push_back(cluster.receive(R(0), R(i), 0));
  EXPECT_EQ(cluster.at(R(0)).deadline(), at(seconds(11)));
  const std::uint64_t before = cluster.tree().frames_sent();
  for (int i = 0; i < 3; ++i) {
    cluster.pass_time(at(seconds(11 + i)));
    cluster.run();
  }
  EXPECT_LE(cluster.tree().frames_sent() - before, 3u * 64);
  EXPECT_EQ(cluster.at(R(0)).deadline(), at(seconds(14))) << "nobody has left: they still wait";
  for (std::uint32_t i = 1; i < 200; ++i) {
    cluster.at(R(i)).fail_all(Failure{FailureCode::closed, Phase::running, {}, {}, "closed"});
  }
  for (int i = 3; i < 8; ++i) {
    cluster.pass_time(at(seconds(11 + i)));
    cluster.run();
  }
  for (std::size_t i = 0; i < calls.size(); ++i) EXPECT_NE(cluster.failure(R(0), calls[i]), nullptr) << i;
  EXPECT_EQ(cluster.at(R(0)).deadline(), kNever);
}

TEST(MessageFailures, a_rank_that_closes_turns_down_what_it_has_not_accepted_and_what_comes_later) {
  MessageCluster cluster({.world_size = 3, .fan_out = 2}, 1);
  const CallId announced = cluster.send(R(2), R(1), 0, zeros(100'000));
  const CallId accepted = cluster.send(R(2), R(1), 0, Payload::copy("in its pool"));
  const CallId own = cluster.receive(R(1), R(2), 9);
  cluster.run();
  const std::uint64_t before = cluster.tree().frames_sent(R(1));
  cluster.at(R(1)).fail_all(Failure{FailureCode::closed, Phase::running, {}, {}, "closed"});
  cluster.run();
  EXPECT_EQ(cluster.tree().frames_sent(R(1)) - before, 1u) << "only what was not accepted is turned down";
  const CallId later = cluster.send(R(2), R(1), 0, Payload::copy("too late"));
  cluster.run();
  EXPECT_EQ(cluster.failure(R(2), announced)->code, FailureCode::rank_left);
  EXPECT_TRUE(cluster.done(R(2), accepted));
  EXPECT_EQ(cluster.failure(R(2), later)->code, FailureCode::rank_left);
  EXPECT_EQ(cluster.failure(R(1), own)->code, FailureCode::closed);
  EXPECT_EQ(cluster.failure(R(1), cluster.send(R(1), R(2), 0, {}))->code, FailureCode::closed);
  EXPECT_EQ(cluster.at(R(1)).unexpected_bytes(), 0u);
}

TEST(MessageFailures, a_rank_that_lost_its_way_to_others_because_its_parent_left_turns_messages_down_too) {
  MessageCluster cluster({.world_size = 2}, 1);
  cluster.at(R(0)).fail_all(
      Failure{FailureCode::rank_left, Phase::running, {}, {}, "the way to all others has closed"});
  const CallId sent = cluster.send(R(1), R(0), 0, Payload::copy("hello"));
  cluster.run();
  ASSERT_NE(cluster.failure(R(1), sent), nullptr);
  EXPECT_EQ(cluster.failure(R(1), sent)->code, FailureCode::rank_left);
}

TEST(MessageFailures, when_the_job_is_over_every_call_ends_with_the_verdict_and_nobody_is_blamed) {
  MessageCluster cluster({.world_size = 3, .fan_out = 2}, 1);
  const CallId to_it = cluster.send(R(2), R(1), 0, zeros(100'000));
  std::vector<CallId> calls{cluster.send(R(1), R(2), 0, zeros(100'000)),
                            cluster.receive(R(1), R(2), 3, at(seconds(1)))};
  cluster.run();
  cluster.at(R(1)).fail_all(
      Failure{FailureCode::rank_lost, Phase::running, RankSet::single(R(2)), "host-2", "it broke"});
  calls.push_back(cluster.receive(R(1), R(2), 0));
  for (const CallId id : calls) {
    ASSERT_NE(cluster.failure(R(1), id), nullptr);
    EXPECT_EQ(cluster.failure(R(1), id)->text, "it broke");
  }
  EXPECT_EQ(cluster.at(R(1)).deadline(), kNever);
  const CallId later = cluster.send(R(2), R(1), 0, Payload::copy("not answered"));
  cluster.receive(R(2), R(1), 0);
  cluster.run();
  for (const CallId id : {to_it, later}) {
    EXPECT_EQ(cluster.result(R(2), id), nullptr) << "the verdict will end it, not a wrong blame";
  }
  cluster.at(R(1)).fail_all(Failure{FailureCode::closed, Phase::closing, {}, {}, "closed"});
  cluster.run();
  EXPECT_EQ(cluster.tree().completions(R(1)).size(), calls.size()) << "a call completes once";
}

TEST(MessageFailures, the_bytes_of_a_message_that_can_not_be_sent_any_more_are_let_go) {
  for (const bool job_over : {true, false}) {
    MessageCluster cluster({.world_size = 2}, 1);
    auto owner = std::make_shared<std::string>(100'000, 'x');
    const std::weak_ptr<std::string> watch = owner;
    const Bytes bytes = as_byte_span(*owner);
    for (int i = 0; i < 20; ++i) cluster.send(R(0), R(1), 0, Payload(Slice(owner, bytes)));
    owner.reset();
    cluster.run();
    EXPECT_FALSE(watch.expired());
    if (job_over) {
      cluster.at(R(0)).fail_all(Failure{FailureCode::rank_lost, Phase::running, {}, {}, "it broke"});
    } else {
      leave(cluster, R(0), R(1));
    }
    EXPECT_TRUE(watch.expired());
  }
}

TEST(MessageFailures, a_relay_that_is_over_still_passes_messages_on) {
  MessageCluster cluster({.world_size = 3, .fan_out = 2}, 1);
  cluster.at(R(0)).fail_all(Failure{FailureCode::closed, Phase::running, {}, {}, "closed"});
  const CallId received = cluster.receive(R(2), R(1), 0);
  cluster.send(R(1), R(2), 0, zeros(100'000));
  cluster.run();
  EXPECT_EQ(cluster.bytes(R(2), received).size(), 100'000u);
}

TEST(MessageFailures, a_later_send_to_a_rank_that_is_known_to_have_left_is_not_taken_for_an_earlier_one) {
  MessageCluster cluster({.world_size = 4, .fan_out = 4}, 1);
  const CallId received = cluster.receive(R(2), R(1), 0);
  cluster.send(R(1), R(2), 0, zeros(10));
  cluster.run();
  EXPECT_TRUE(cluster.done(R(2), received));
  // It is still there to pass messages on.
  cluster.at(R(2)).fail_all(Failure{FailureCode::closed, Phase::closing, RankSet::single(R(2)), {}, "closed"});
  const CallId waits = cluster.receive(R(1), R(2), 0);
  cluster.pass_time(at(seconds(1)));
  cluster.run();
  EXPECT_NE(cluster.failure(R(1), waits), nullptr);
  const CallId late = cluster.send(R(1), R(2), 0, zeros(10));
  cluster.run();
  ASSERT_NE(cluster.failure(R(1), late), nullptr);
  EXPECT_EQ(cluster.failure(R(1), late)->code, FailureCode::rank_left);
}

}  // namespace
}  // namespace banyan::node
