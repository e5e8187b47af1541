// Messages between ranks of a formed tree: contents, order, credit and memory. What goes wrong stands in
// messages_failure_test.cc, what hostile or repeated frames do in messages_frames_test.cc.
#include "node/messages.hh"

#include <deque>
#include <map>
#include <set>
#include <tuple>

#include <gtest/gtest.h>

#include "node/messages_cluster.hh"

namespace banyan::node {
namespace {

constexpr Rank R(std::uint32_t rank) { return Rank{rank}; }

std::string filled(std::size_t size, std::uint64_t seed) {
  std::string text(size, '\0');
  Random random(seed);
  for (char& c : text) c = static_cast<char>(random.next());
  return text;
}

FormedShape random_shape(Random& random) {
  FormedShape shape;
  shape.world_size = static_cast<std::uint32_t>(random.between(1, 24));
  shape.ranks_per_host = static_cast<std::uint32_t>(random.between(1, 5));
  shape.fan_out = static_cast<std::uint32_t>(random.between(2, 4));
  shape.root_leads = random.below(3) != 0;
  return shape;
}

std::size_t random_size(Random& random) {
  constexpr std::size_t kEdges[] = {0,      1, kEagerMessageBytes, kEagerMessageBytes + 1, kChunkBytes, kChunkBytes + 1,
                                    300'000};
  return random.below(3) == 0 ? kEdges[random.below(std::size(kEdges))] : random.below(3000);
}

// All sends and receives of a run, and what each receive must get. With direct links, these are made for little, some
// attempts fail, and those that are open break now and then.
class Traffic {
 public:
  explicit Traffic(std::uint64_t seed, bool direct = false)
      : random_(seed), cluster_(random_shape(random_), seed, small_limits(random_), direct) {
    if (direct) cluster_.refuse_some(random_.below(3) == 0 ? 3 : 0);
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) step();
    for (auto& [flow, owed] : owed_receives_) {
      for (; owed > 0; --owed) post_receive(flow);
    }
    cluster_.run();
  }

  void check() {
    for (const auto& [flow, ids] : receives_) {
      const auto& [source, target, tag] = flow;
      for (std::size_t i = 0; i < ids.size(); ++i) {
        EXPECT_EQ(cluster_.bytes(target, ids[i]), sent_[flow][i])
            << "message " << i << " from " << raw(source) << " to " << raw(target) << " tag " << tag;
      }
    }
    for (const auto& [rank, id] : sends_) EXPECT_TRUE(cluster_.done(rank, id));
    for (std::uint32_t i = 0; i < cluster_.tree().world_size(); ++i) {
      EXPECT_EQ(cluster_.at(R(i)).unexpected_bytes(), 0u);
    }
    EXPECT_TRUE(cluster_.tree().refusals().empty());
  }
  std::uint64_t links_opened() const { return cluster_.ever_opened(); }
  std::uint64_t links_broken() const { return broken_; }

 private:
  using Flow = std::tuple<Rank, Rank, std::uint32_t>;

  static Limits small_limits(Random& random) {
    Limits limits;
    limits.unexpected_bytes = random.below(2) == 0 ? limits.unexpected_bytes : random.below(40'000);
    limits.message_window_bytes = random.below(2) == 0 ? limits.message_window_bytes : random.below(100'000);
    limits.direct_links = static_cast<std::uint32_t>(random.between(1, 6));
    limits.direct_messages = static_cast<std::uint32_t>(random.between(1, 5));
    limits.direct_bytes = random.below(2) == 0 ? 1 : 40'000;
    return limits;
  }
  Rank any_rank() { return R(static_cast<std::uint32_t>(random_.below(cluster_.tree().world_size()))); }

  void step() {
    const Flow flow{any_rank(), any_rank(), static_cast<std::uint32_t>(random_.below(3))};
    const std::uint64_t kind = random_.below(10);
    if (kind < 4) {
      std::string text = filled(random_size(random_), random_.next());
      const Rank source = std::get<0>(flow);
      sends_.emplace_back(source, cluster_.send(source, std::get<1>(flow), std::get<2>(flow), Payload::copy(text)));
      sent_[flow].push_back(std::move(text));
      ++owed_receives_[flow];
    } else if (kind < 8) {
      // A receive that is owed, or one that comes before its message.
      Flow chosen = flow;
      if (kind < 7 && !sent_.empty())
        chosen = std::next(sent_.begin(), static_cast<long>(random_.below(sent_.size())))->first;
      if (owed_receives_[chosen] <= 0) return;
      --owed_receives_[chosen];
      post_receive(chosen);
    } else {
      if (random_.below(4) == 0 && cluster_.break_one(random_)) ++broken_;
      cluster_.run(random_.below(40));
      ASSERT_TRUE(cluster_.consistent());
    }
  }
  void post_receive(const Flow& flow) {
    receives_[flow].push_back(cluster_.receive(std::get<1>(flow), std::get<0>(flow), std::get<2>(flow)));
  }

  Random random_;
  MessageCluster cluster_;
  std::map<Flow, std::vector<std::string>> sent_;
  std::map<Flow, std::vector<CallId>> receives_;
  std::map<Flow, int> owed_receives_;
  std::vector<std::pair<Rank, CallId>> sends_;
  std::uint64_t broken_ = 0;
};

TEST(Messages, random_traffic_arrives_once_and_in_order_per_source_target_and_tag) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Traffic traffic(seed);
    traffic.run(200);
    traffic.check();
    if (HasFailure()) return;
  }
}

TEST(Messages, random_traffic_arrives_once_and_in_order_while_direct_links_come_and_break) {
  std::uint64_t opened = 0;
  std::uint64_t broken = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Traffic traffic(seed, true);
    traffic.run(200);
    traffic.check();
    if (HasFailure()) return;
    opened += traffic.links_opened();
    broken += traffic.links_broken();
  }
  EXPECT_GT(opened, 1000u);
  EXPECT_GT(broken, 300u);
}

TEST(Messages, a_megabyte_arrives_whether_its_receive_was_posted_before_or_after_it) {
  for (const bool before : {true, false}) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      MessageCluster cluster({.world_size = 20, .ranks_per_host = 3}, seed);
      const std::string text = filled(1 << 20, seed);
      CallId received{};
      if (before) received = cluster.receive(R(19), R(7), 5);
      const CallId sent = cluster.send(R(7), R(19), 5, Payload::copy(text));
      cluster.run();
      EXPECT_EQ(cluster.done(R(7), sent), before);
      if (!before) received = cluster.receive(R(19), R(7), 5);
      cluster.run();
      EXPECT_TRUE(cluster.bytes(R(19), received) == text);
      EXPECT_TRUE(cluster.done(R(7), sent));
    }
  }
}

TEST(Messages, a_large_message_is_never_copied_and_its_bytes_are_the_senders_own) {
  MessageCluster cluster({.world_size = 9, .fan_out = 2}, 1);
  const Payload message = Payload::copy(filled(1 << 20, 1));
  const CallId received = cluster.receive(R(8), R(4), 0);
  cluster.send(R(4), R(8), 0, message);
  cluster.run();
  const auto& result = std::get<Payload>(cluster.result(R(8), received)->result);
  ASSERT_EQ(result.slice_count(), 1u);
  EXPECT_EQ(result.slice(0).data(), message.slice(0).data());
}

TEST(Messages, a_small_message_that_nobody_waits_for_is_kept_in_storage_of_its_own_size) {
  MessageCluster cluster({.world_size = 2}, 1);
  const Payload message = Payload::copy("a few bytes of a large receive buffer");
  const CallId sent = cluster.send(R(0), R(1), 0, message);
  cluster.run();
  EXPECT_TRUE(cluster.done(R(0), sent));
  EXPECT_EQ(cluster.at(R(1)).unexpected_bytes(), UnexpectedPool::cost(message.size()));
  const CallId received = cluster.receive(R(1), R(0), 0);
  const auto& result = std::get<Payload>(cluster.result(R(1), received)->result);
  EXPECT_EQ(result, message);
  EXPECT_NE(result.slice(0).data(), message.slice(0).data());
  EXPECT_EQ(cluster.at(R(1)).unexpected_bytes(), 0u);
}

TEST(Messages, the_bytes_under_way_of_one_message_stay_within_its_window) {
  Limits limits;
  limits.message_window_bytes = 256 * 1024;
  MessageCluster cluster({.world_size = 2}, 1, limits);
  const std::string text = filled(4 << 20, 3);
  const CallId received = cluster.receive(R(1), R(0), 0);
  cluster.send(R(0), R(1), 0, Payload::copy(text));
  while (cluster.run(1) > 0) EXPECT_TRUE(cluster.consistent());
  EXPECT_TRUE(cluster.bytes(R(1), received) == text);
  const std::size_t frames = limits.message_window_bytes / kChunkBytes + 1;
  EXPECT_LE(cluster.tree().peak_bytes(R(0), R(1)), limits.message_window_bytes + frames * 100);
  EXPECT_GE(cluster.tree().peak_bytes(R(0), R(1)), limits.message_window_bytes / 2);
  // Half a window at a time: grants stay few.
  EXPECT_LE(cluster.tree().frames_sent(R(1)), 2 * text.size() / limits.message_window_bytes + 2);
}

TEST(Messages, a_message_up_to_the_eager_limit_is_sent_unasked_and_a_longer_one_is_announced) {
  MessageCluster cluster({.world_size = 2}, 1);
  EXPECT_FALSE(cluster.done(R(0), cluster.send(R(0), R(1), 0, Payload::copy(filled(kEagerMessageBytes, 1)))));
  cluster.run();
  EXPECT_EQ(cluster.tree().frames_sent(R(0)), 1u);
  EXPECT_EQ(cluster.tree().frames_sent(R(1)), 1u) << "its acceptance";
  const std::uint64_t before = cluster.tree().bytes_sent(R(0));
  cluster.send(R(0), R(1), 0, Payload::copy(filled(kEagerMessageBytes + 1, 1)));
  cluster.run();
  EXPECT_LT(cluster.tree().bytes_sent(R(0)) - before, 200u);
}

TEST(Messages, any_window_works_however_small_or_large) {
  for (const std::size_t window : {std::size_t{0}, std::size_t{1}, std::size_t{1} << 40}) {
    Limits limits;
    limits.message_window_bytes = window;
    MessageCluster cluster({.world_size = 3}, 1, limits);
    const CallId received = cluster.receive(R(1), R(2), 0);
    cluster.send(R(2), R(1), 0, Payload::copy(filled(20 << 20, 1)));
    cluster.run();
    EXPECT_TRUE(cluster.bytes(R(1), received) == filled(20 << 20, 1));
    EXPECT_TRUE(cluster.tree().refusals().empty());
  }
}

TEST(Messages, different_tags_overtake_each_other) {
  MessageCluster cluster({.world_size = 5}, 2);
  cluster.send(R(1), R(4), 1, Payload::copy(filled(100'000, 1)));
  cluster.send(R(1), R(4), 2, Payload::copy("second"));
  cluster.run();
  const CallId second = cluster.receive(R(4), R(1), 2);
  cluster.run();
  EXPECT_EQ(cluster.bytes(R(4), second), "second");
  const CallId first = cluster.receive(R(4), R(1), 1);
  cluster.run();
  EXPECT_TRUE(cluster.bytes(R(4), first) == filled(100'000, 1));
}

TEST(Messages, a_small_message_waits_for_the_large_one_before_it_in_the_same_channel) {
  MessageCluster cluster({.world_size = 2}, 2);
  const CallId first = cluster.receive(R(1), R(0), 0);
  const CallId second = cluster.receive(R(1), R(0), 0);
  cluster.send(R(0), R(1), 0, Payload::copy(filled(100'000, 1)));
  const CallId small = cluster.send(R(0), R(1), 0, Payload::copy("small"));
  // Both announcements, then the acceptance of the small one: it is here, and there is room for it whatever happens.
  while (!cluster.done(R(0), small)) ASSERT_EQ(cluster.run(1), 1u);
  EXPECT_EQ(cluster.result(R(1), second), nullptr);
  cluster.run();
  EXPECT_TRUE(cluster.bytes(R(1), first) == filled(100'000, 1));
  EXPECT_EQ(cluster.bytes(R(1), second), "small");
  EXPECT_LT(cluster.tree().completions(R(1))[0].id, cluster.tree().completions(R(1))[1].id);
}

TEST(Messages, ranks_that_send_to_one_that_does_not_receive_cost_waiting_not_memory_and_block_nobody) {
  Limits limits;
  limits.unexpected_bytes = 256 * 1024;
  constexpr std::uint32_t kSenders = 64;
  MessageCluster cluster({.world_size = kSenders + 3, .ranks_per_host = 4, .fan_out = 2}, 7, limits);
  const Rank deaf = R(5);
  std::vector<std::pair<Rank, CallId>> sends;
  for (int round = 0; round < 50; ++round) {
    for (std::uint32_t i = 0; i < kSenders + 3; ++i) {
      if (R(i) != deaf) sends.emplace_back(R(i), cluster.send(R(i), deaf, 0, Payload::copy(filled(8 * 1024, i))));
    }
  }
  cluster.run();
  EXPECT_LE(cluster.at(deaf).unexpected_bytes(), limits.unexpected_bytes);
  EXPECT_GE(cluster.at(deaf).unexpected_bytes(), limits.unexpected_bytes - 10 * 1024);
  EXPECT_TRUE(cluster.tree().idle());
  // Everybody else still talks, through the same relays, and the deaf rank can send.
  for (std::uint32_t i = 0; i < kSenders; ++i) {
    if (R(i) == deaf || R(i + 1) == deaf) continue;
    cluster.send(R(i), R(i + 1), 0, Payload::copy(filled(50'000, i)));
    const CallId received = cluster.receive(R(i + 1), R(i), 0);
    cluster.run();
    EXPECT_TRUE(cluster.bytes(R(i + 1), received) == filled(50'000, i));
  }
  const CallId answer = cluster.send(deaf, R(0), 0, Payload::copy("busy"));
  cluster.run();
  EXPECT_TRUE(cluster.done(deaf, answer));
  // Once it listens, everything comes.
  for (int round = 0; round < 50; ++round) {
    for (std::uint32_t i = 0; i < kSenders + 3; ++i) {
      if (R(i) == deaf) continue;
      const CallId received = cluster.receive(deaf, R(i), 0);
      cluster.run();
      ASSERT_TRUE(cluster.bytes(deaf, received) == filled(8 * 1024, i)) << i;
    }
  }
  for (const auto& [rank, id] : sends) EXPECT_TRUE(cluster.done(rank, id));
  EXPECT_EQ(cluster.at(deaf).unexpected_bytes(), 0u);
}

TEST(Messages, empty_messages_fill_the_pool_too) {
  Limits limits;
  limits.unexpected_bytes = 10 * UnexpectedPool::cost(0);
  MessageCluster cluster({.world_size = 2}, 1, limits);
  std::vector<CallId> sends;
  for (int i = 0; i < 30; ++i) sends.push_back(cluster.send(R(0), R(1), 0, {}));
  cluster.run();
  const auto accepted = std::count_if(sends.begin(), sends.end(), [&](CallId id) { return cluster.done(R(0), id); });
  EXPECT_EQ(accepted, 10);
  for (int i = 0; i < 30; ++i) {
    const CallId received = cluster.receive(R(1), R(0), 0);
    cluster.run();
    EXPECT_TRUE(cluster.done(R(1), received));
  }
}

TEST(Messages, room_in_the_pool_goes_to_those_that_wait_longest) {
  Limits limits;
  limits.unexpected_bytes = UnexpectedPool::cost(1000);
  MessageCluster cluster({.world_size = 5, .fan_out = 4}, 1, limits);
  const CallId first = cluster.send(R(1), R(0), 0, Payload::copy(filled(1000, 1)));
  cluster.run();
  EXPECT_TRUE(cluster.done(R(1), first));
  std::vector<CallId> waiting;
  for (std::uint32_t i = 2; i <= 4; ++i) {
    waiting.push_back(cluster.send(R(i), R(0), 0, Payload::copy(filled(1000, i))));
    cluster.run();
    EXPECT_EQ(cluster.result(R(i), waiting.back()), nullptr);
  }
  for (std::uint32_t i = 1; i <= 4; ++i) {
    const CallId received = cluster.receive(R(0), R(i), 0);
    cluster.run();
    EXPECT_TRUE(cluster.bytes(R(0), received) == filled(1000, i));
    for (std::uint32_t j = 2; j <= 4; ++j) EXPECT_EQ(cluster.done(R(j), waiting[j - 2]), j <= i + 1) << i << " " << j;
  }
}

TEST(Messages, a_newcomer_that_would_fit_does_not_overtake_what_waits_for_room) {
  Limits limits;
  limits.unexpected_bytes = UnexpectedPool::cost(1000) + UnexpectedPool::cost(10);
  MessageCluster cluster({.world_size = 4, .fan_out = 3}, 1, limits);
  cluster.send(R(1), R(0), 0, Payload::copy(filled(1000, 1)));
  cluster.run();
  const CallId large = cluster.send(R(2), R(0), 0, Payload::copy(filled(1000, 2)));
  cluster.run();
  const CallId tiny = cluster.send(R(3), R(0), 0, Payload::copy("tiny"));
  cluster.run();
  EXPECT_EQ(cluster.result(R(3), tiny), nullptr);
  cluster.receive(R(0), R(1), 0);
  cluster.run();
  EXPECT_TRUE(cluster.done(R(2), large));
  EXPECT_TRUE(cluster.done(R(3), tiny));
}

TEST(Messages, a_message_that_no_pool_could_hold_blocks_no_smaller_one_and_comes_when_it_is_received) {
  Limits limits;
  limits.unexpected_bytes = 1000;
  MessageCluster cluster({.world_size = 2}, 1, limits);
  const CallId wide = cluster.send(R(0), R(1), 0, Payload::copy(filled(5000, 1)));
  const CallId tiny = cluster.send(R(0), R(1), 1, Payload::copy("tiny"));
  cluster.run();
  EXPECT_EQ(cluster.result(R(0), wide), nullptr);
  EXPECT_TRUE(cluster.done(R(0), tiny));
  const CallId received = cluster.receive(R(1), R(0), 0);
  cluster.run();
  EXPECT_TRUE(cluster.bytes(R(1), received) == filled(5000, 1));
}

TEST(Messages, what_nobody_receives_holds_up_no_other_lane) {
  MessageCluster cluster({.world_size = 9, .ranks_per_host = 3}, 8);
  const Rank from{4};
  const Rank to{8};
  for (std::uint32_t i = 0; i < 2 * kMaxMessagesInFlight; ++i) {
    cluster.send(from, to, i, Payload::copy(std::string(20'000, 'l')));
    cluster.send(from, to, i, Payload::copy("small"));
  }
  cluster.run();
  MessageRequests sending(Caller::collectives);
  MessageRequests receiving(Caller::collectives);
  const wire::Tag tag(7, wire::Space::collective, CommunicatorId{3});
  for (int i = 0; i < 40; ++i) {
    sending.send(to, tag, Payload::copy(std::string(i % 2 == 0 ? 3 : 30'000, static_cast<char>('a' + i % 26))));
    receiving.receive(from, tag);
  }
  for (MessageRequest& request : receiving.take()) cluster.at(to).carry_out(cluster.now(), std::move(request));
  for (MessageRequest& request : sending.take()) cluster.at(from).carry_out(cluster.now(), std::move(request));
  cluster.run();
  const auto received = cluster.at(to).take_done();
  ASSERT_EQ(received.size(), 40u);
  for (std::size_t i = 0; i < received.size(); ++i) {
    EXPECT_EQ(std::get<Payload>(received[i].result).to_string()[0], static_cast<char>('a' + i % 26));
    EXPECT_EQ(received[i].source, from);
    EXPECT_EQ(received[i].tag, tag);
  }
  EXPECT_EQ(cluster.at(from).take_done().size(), 40u);
  EXPECT_TRUE(cluster.consistent());
}

TEST(Messages, only_so_many_messages_to_one_target_are_under_way) {
  MessageCluster cluster({.world_size = 2}, 1);
  for (std::uint32_t i = 0; i < kMaxMessagesInFlight + 5; ++i)
    cluster.send(R(0), R(1), i, Payload::copy(filled(20'000, i)));
  cluster.run();
  EXPECT_EQ(cluster.tree().frames_sent(R(0)), kMaxMessagesInFlight);
  for (std::uint32_t i = 0; i < kMaxMessagesInFlight + 5; ++i) {
    const CallId received = cluster.receive(R(1), R(0), i);
    cluster.run();
    EXPECT_TRUE(cluster.bytes(R(1), received) == filled(20'000, i));
  }
}

TEST(Messages, a_rank_sends_to_itself_without_the_network) {
  Limits limits;
  limits.unexpected_bytes = UnexpectedPool::cost(100);
  MessageCluster cluster({.world_size = 1}, 1, limits);
  const CallId pooled = cluster.send(R(0), R(0), 0, Payload::copy(filled(100, 1)));
  EXPECT_TRUE(cluster.done(R(0), pooled));
  const CallId waits = cluster.send(R(0), R(0), 0, Payload::copy(filled(100, 2)));
  EXPECT_EQ(cluster.result(R(0), waits), nullptr) << "the pool is full";
  EXPECT_TRUE(cluster.bytes(R(0), cluster.receive(R(0), R(0), 0)) == filled(100, 1));
  EXPECT_TRUE(cluster.done(R(0), waits));
  EXPECT_TRUE(cluster.bytes(R(0), cluster.receive(R(0), R(0), 0)) == filled(100, 2));
  const CallId posted = cluster.receive(R(0), R(0), 9);
  const CallId large = cluster.send(R(0), R(0), 9, Payload::copy(filled(5 << 20, 3)));
  EXPECT_TRUE(cluster.bytes(R(0), posted) == filled(5 << 20, 3));
  EXPECT_TRUE(cluster.done(R(0), large));
  EXPECT_EQ(cluster.tree().frames_sent(), 0u);
}

TEST(Messages, what_is_passed_on_names_the_link_that_feeds_it) {
  // 1 - 0 - 2: rank 0 only relays.
  MessageCluster cluster({.world_size = 3, .fan_out = 2}, 1);
  cluster.send(R(1), R(2), 0, Payload::copy("hello"));
  auto effects = cluster.tree().effects(R(1)).take();
  ASSERT_EQ(effects.size(), 1u);
  const auto own = std::get<effect::SendFrame>(effects[0]);
  EXPECT_EQ(own.feeder, kNoLink);
  const LinkId from = cluster.tree().link(R(0), R(1));
  const Payload body = own.frame.part(wire::kFrameHeaderBytes, own.frame.size() - wire::kFrameHeaderBytes);
  EXPECT_TRUE(cluster.at(R(0)).on_frame(cluster.now(), from, wire::Kind::data, body));
  effects = cluster.tree().effects(R(0)).take();
  ASSERT_EQ(effects.size(), 1u);
  const auto relayed = std::get<effect::SendFrame>(effects[0]);
  EXPECT_EQ(relayed.link, cluster.tree().link(R(0), R(2)));
  EXPECT_EQ(relayed.feeder, from);
  EXPECT_EQ(relayed.frame_class, FrameClass::data);
  EXPECT_EQ(relayed.frame, own.frame);
}

// Sends in a lane that is not the application's, and what a node's other parts say of such lanes.
struct Lanes {
  MessageCluster cluster{{.world_size = 3, .fan_out = 3}, 1};
  std::uint64_t calls = 1000;

  CallId send(const wire::Tag& tag, std::size_t bytes) {
    const CallId id{++calls};
    cluster.at(R(0)).send(cluster.now(), id, Send{R(1), tag, Payload::copy(std::string(bytes, 'x'))}, kNever);
    cluster.run();
    return id;
  }
  void say(Rank rank, decltype(MessageRequest::what) what) {
    cluster.at(rank).carry_out(cluster.now(), {CallId{}, std::move(what)});
    cluster.run();
    EXPECT_TRUE(cluster.consistent());
  }
};

TEST(DiscardedMessages, are_accepted_kept_nowhere_and_hold_up_none) {
  for (const std::size_t bytes : {std::size_t{10}, std::size_t{100'000}}) {
    Lanes lanes;
    const auto tag = [](std::uint32_t number) { return wire::Tag{number, wire::Space::collective}; };
    std::vector<CallId> sent;
    for (std::uint32_t i = 0; i < 2 * kMaxMessagesInFlight; ++i) sent.push_back(lanes.send(tag(7), bytes));
    sent.push_back(lanes.send(tag(9), bytes));
    const CallId wanted = lanes.send(tag(8), 100'000);
    lanes.say(R(1), Discard{tag(7), false});
    lanes.say(R(1), Discard{tag(9), true});
    sent.push_back(lanes.send(tag(10), bytes));
    for (const CallId id : sent) EXPECT_TRUE(lanes.cluster.done(R(0), id));
    EXPECT_FALSE(lanes.cluster.done(R(0), wanted));
    EXPECT_EQ(lanes.cluster.at(R(1)).unexpected_bytes(), 0u);
    lanes.cluster.at(R(1)).receive(lanes.cluster.now(), CallId{1}, Receive{R(0), tag(8)}, kNever);
    lanes.cluster.run();
    EXPECT_TRUE(lanes.cluster.done(R(0), wanted));
  }
}

TEST(DiscardedMessages, of_a_communicator_that_is_gone_nothing_is_remembered) {
  Lanes lanes;
  const wire::Tag tag{7, wire::Space::collective, CommunicatorId{5}};
  for (int i = 0; i < 3; ++i) lanes.send(tag, 10);
  const CallId large = lanes.send(tag, 100'000);
  EXPECT_EQ(lanes.cluster.at(R(1)).inbound_flows(), 1u);
  lanes.say(R(1), Forget{CommunicatorId{5}});
  EXPECT_TRUE(lanes.cluster.done(R(0), large));
  const CallId late = lanes.send(tag, 10);
  EXPECT_TRUE(lanes.cluster.done(R(0), late));
  EXPECT_EQ(lanes.cluster.at(R(1)).inbound_flows(), 0u);
  EXPECT_EQ(lanes.cluster.at(R(1)).unexpected_bytes(), 0u);
}

}  // namespace
}  // namespace banyan::node
