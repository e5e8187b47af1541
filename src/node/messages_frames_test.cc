// Frames as a faulty or hostile rank, an older life, or another path could bring them.
#include <gtest/gtest.h>

#include "node/messages_cluster.hh"

namespace banyan::node {
namespace {

constexpr Rank R(std::uint32_t rank) { return Rank{rank}; }

// Rank 1 of 1 - 0 - 2 gets frames that the test makes up, all of them by the link to rank 0.
class MessageFrames : public testing::Test {
 protected:
  MessageFrames() : cluster_({.world_size = 3, .fan_out = 2}, 1, small_limits()) {}

  static Limits small_limits() {
    Limits limits;
    limits.unexpected_bytes = 100'000;
    return limits;
  }
  // What rank 2 would put into a frame to rank 1.
  wire::Ends ends() const { return {R(2), R(1), Incarnation{1002}, Incarnation{1001}}; }
  wire::Data first_frame(std::uint64_t sequence, std::uint64_t total, std::uint32_t tag = 0) const {
    return {ends(), Sequence{sequence}, tag, 0, total, Sequence{0}};
  }
  template <typename Message>
  bool hand_in(const Message& message, const Payload& tail = {}) {
    const Payload frame = wire::encode(message, Epoch{1, 1}, tail);
    const LinkId up = cluster_.tree().link(R(1), R(0));
    const bool fine = rank().on_frame(cluster_.now(), up, Message::kKind,
                                      frame.part(wire::kFrameHeaderBytes, frame.size() - wire::kFrameHeaderBytes));
    EXPECT_TRUE(rank().consistent());
    return fine;
  }
  Messages& rank() { return cluster_.at(R(1)); }
  // The frames of one kind that rank 1 has sent since the last call.
  template <typename Message>
  std::vector<Message> sent() {
    std::vector<Message> messages;
    Effects& effects = cluster_.tree().effects(R(1));
    for (Effect& effect : effects.take()) {
      const auto* send = std::get_if<effect::SendFrame>(&effect);
      if (send == nullptr) {
        std::visit([&](auto& other) { effects.add(std::move(other)); }, effect);
        continue;
      }
      wire::FrameDecoder decoder(kMaxFrameBytes);
      for (std::size_t i = 0; i < send->frame.slice_count(); ++i) decoder.push(send->frame.slice(i));
      const auto frame = std::get<wire::Frame>(decoder.next());
      if (frame.kind != Message::kKind) continue;
      const Payload head = frame.body.part(0, std::min(frame.body.size(), Message::kBytes));
      if (const auto message = wire::decode<Message>(head)) messages.push_back(*message);
    }
    return messages;
  }

  MessageCluster cluster_;
};

TEST_F(MessageFrames, what_does_not_decode_or_names_ranks_out_of_range_breaks_the_protocol) {
  const auto with_ends = [&](Rank source, Rank target) {
    wire::Data data = first_frame(0, 0);
    data.ends.source = source;
    data.ends.target = target;
    return data;
  };
  EXPECT_FALSE(hand_in(with_ends(R(3), R(1))));
  EXPECT_FALSE(hand_in(with_ends(R(2), R(3))));
  EXPECT_FALSE(hand_in(with_ends(R(2), kNoRank)));
  EXPECT_FALSE(hand_in(first_frame(0, kMaxMessageBytes + 1)));
  EXPECT_FALSE(hand_in(first_frame(0, 3), Payload::copy("four"))) << "more bytes than the message has";
  EXPECT_FALSE(hand_in(first_frame(0, 1 << 20), Payload::copy(std::string(kChunkBytes + 1, 'x'))));
  EXPECT_FALSE(hand_in(wire::Grant{ends(), Sequence{0}, 2, 1}));
  EXPECT_FALSE(hand_in(wire::Grant{ends(), Sequence{0}, 0, wire::kMaxGrantBytes + 1}));
  EXPECT_FALSE(hand_in(wire::Accept{ends(), Sequence{0}, Sequence{0}}, Payload::copy("tail")));
  EXPECT_FALSE(rank().on_frame(cluster_.now(), LinkId{1000}, wire::Kind::data, Payload::copy("short")));
  EXPECT_FALSE(rank().on_frame(cluster_.now(), LinkId{1000}, wire::Kind::status, {}));
}

TEST_F(MessageFrames, a_frame_between_others_is_checked_before_it_is_passed_on) {
  wire::Data bad = first_frame(0, 3);
  bad.ends.target = R(0);
  EXPECT_FALSE(hand_in(bad, Payload::copy("four")));
  EXPECT_TRUE(cluster_.tree().effects(R(1)).empty());
}

TEST_F(MessageFrames, a_frame_that_would_go_back_where_it_came_from_is_not_passed_on) {
  wire::Data data = first_frame(4, 0);
  data.ends.target = R(0);
  EXPECT_TRUE(hand_in(data));
  const auto answer = cluster_.tree().effects(R(1)).take();
  ASSERT_EQ(answer.size(), 1u) << "its source is told";
  const auto& frame = std::get<effect::SendFrame>(answer[0]).frame;
  const auto news =
      wire::decode<wire::Undeliverable>(frame.part(wire::kFrameHeaderBytes, frame.size() - wire::kFrameHeaderBytes));
  ASSERT_TRUE(news.has_value());
  EXPECT_EQ(news->ends, data.ends.reversed());
  EXPECT_EQ(news->sequence, Sequence{4});
  EXPECT_TRUE(hand_in(wire::Accept{data.ends, Sequence{0}, Sequence{0}}));
  EXPECT_TRUE(hand_in(wire::Undeliverable{data.ends, Sequence{0}, false, "why"}));
  EXPECT_TRUE(cluster_.tree().effects(R(1)).empty()) << "nobody is told of these";
}

TEST_F(MessageFrames, frames_of_another_life_or_from_oneself_are_ignored) {
  wire::Data data = first_frame(0, 2);
  data.ends.source_incarnation = Incarnation{1};
  EXPECT_TRUE(hand_in(data, Payload::copy("hi")));
  data = first_frame(0, 2);
  data.ends.target_incarnation = Incarnation{1};
  EXPECT_TRUE(hand_in(data, Payload::copy("hi")));
  data.ends = {R(1), R(1), Incarnation{1001}, Incarnation{1001}};
  EXPECT_TRUE(hand_in(data, Payload::copy("hi")));
  EXPECT_TRUE(sent<wire::Accept>().empty());
  EXPECT_EQ(rank().unexpected_bytes(), 0u);
}

TEST_F(MessageFrames, a_lane_is_remembered_only_for_what_is_announced_in_it) {
  wire::Data data = first_frame(kMaxMessagesInFlight, 10);
  for (std::uint64_t i = 1; i <= 100; ++i) {
    data.ends.lane = {CommunicatorId{i}, wire::Space::link_data};
    EXPECT_TRUE(hand_in(data)) << "a sequence that no new flow can have";
    data.sequence = Sequence{0};
    data.offset = 5;
    EXPECT_TRUE(hand_in(data)) << "bytes that nobody asked for";
    data = first_frame(kMaxMessagesInFlight, 10);
  }
  EXPECT_EQ(rank().inbound_flows(), 0u);
  data = first_frame(3, 10);
  data.ends.lane = {CommunicatorId{7}, wire::Space::link_data};
  EXPECT_TRUE(hand_in(data));
  EXPECT_EQ(rank().inbound_flows(), 1u);
}

TEST_F(MessageFrames, what_does_not_come_from_the_way_to_its_source_is_ignored) {
  // Rank 0, between them, gets from rank 2 what only rank 1 can say.
  Messages& relay = cluster_.at(R(0));
  const auto give = [&](Rank from, const auto& message, const Payload& tail = {}) {
    const Payload frame = wire::encode(message, Epoch{1, 1}, tail);
    return relay.on_frame(cluster_.now(), cluster_.tree().link(R(0), from), message.kKind,
                          frame.part(wire::kFrameHeaderBytes, frame.size() - wire::kFrameHeaderBytes));
  };
  const wire::Ends to_root{R(1), R(0), Incarnation{1001}, Incarnation{1000}};
  const CallId sent = cluster_.send(R(0), R(1), 0, Payload::copy("hello"));
  EXPECT_TRUE(give(R(2), wire::Undeliverable{to_root, Sequence{0}, false, "a lie"}));
  EXPECT_TRUE(give(R(2), wire::Accept{to_root, Sequence{0}, Sequence{1}}));
  EXPECT_EQ(cluster_.result(R(0), sent), nullptr);
  EXPECT_TRUE(give(R(2), wire::Data{to_root, Sequence{0}, 0, 0, 2, Sequence{0}}, Payload::copy("hi")));
  EXPECT_EQ(relay.unexpected_bytes(), 0u);
  // Nor what this rank is said to have sent itself, or what would be passed on in another's name.
  cluster_.tree().effects(R(0)).take();
  const wire::Ends to_two{R(1), R(2), Incarnation{1001}, Incarnation{1002}};
  EXPECT_TRUE(give(R(2), wire::Grant{to_two, Sequence{0}, 0, 10}));
  const wire::Ends from_root{R(0), R(1), Incarnation{1000}, Incarnation{1001}};
  EXPECT_TRUE(give(R(2), wire::Data{from_root, Sequence{0}, 0, 0, 2, Sequence{0}}, Payload::copy("hi")));
  EXPECT_TRUE(cluster_.tree().effects(R(0)).empty());
  EXPECT_TRUE(give(R(1), wire::Accept{to_root, Sequence{0}, Sequence{1}}));
  EXPECT_TRUE(cluster_.done(R(0), sent));
}

TEST_F(MessageFrames, a_sequence_too_far_ahead_is_ignored) {
  EXPECT_TRUE(hand_in(first_frame(kMaxMessagesInFlight, 1), Payload::copy("x")));
  EXPECT_TRUE(hand_in(first_frame(~0ull, 1), Payload::copy("x")));
  EXPECT_EQ(rank().unexpected_bytes(), 0u);
  EXPECT_TRUE(hand_in(first_frame(kMaxMessagesInFlight - 1, 1), Payload::copy("x")));
  EXPECT_GT(rank().unexpected_bytes(), 0u);
}

TEST_F(MessageFrames, bytes_that_were_not_asked_for_are_not_kept) {
  const Payload chunk = Payload::copy(std::string(kChunkBytes, 'x'));
  EXPECT_TRUE(hand_in(first_frame(0, 1 << 20), chunk)) << "announced with bytes, though too large for that";
  EXPECT_TRUE(hand_in(first_frame(1, 1000), Payload::copy("only a part"))) << "small, but not whole";
  EXPECT_EQ(sent<wire::Grant>().size(), 1u) << "the small one is asked for whole";
  EXPECT_EQ(rank().unexpected_bytes(), UnexpectedPool::cost(1000));
  const CallId large = cluster_.receive(R(1), R(2), 0, Time{std::chrono::seconds(1)});
  auto grants = sent<wire::Grant>();
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_EQ(grants[0].from, 0u);
  wire::Data data = first_frame(0, 1 << 20);
  data.offset = kChunkBytes;
  EXPECT_TRUE(hand_in(data, chunk)) << "a gap";
  data.total = 1 << 19;
  data.offset = 0;
  EXPECT_TRUE(hand_in(data, chunk)) << "another length than announced";
  data = first_frame(0, 1 << 20, 77);
  EXPECT_TRUE(hand_in(data, chunk)) << "another tag than announced";
  rank().on_time(Time{std::chrono::seconds(1)});
  ASSERT_NE(cluster_.failure(R(1), large), nullptr);
  EXPECT_TRUE(cluster_.failure(R(1), large)->text.ends_with("0 of 1048576 bytes have come"));
}

TEST_F(MessageFrames, a_message_begins_with_its_first_frame) {
  wire::Data data = first_frame(0, 2 * kChunkBytes);
  data.offset = kChunkBytes;
  hand_in(data, Payload::copy(std::string(kChunkBytes, 'x')));
  const CallId received = cluster_.receive(R(1), R(2), 0, Time{std::chrono::seconds(1)});
  EXPECT_TRUE(sent<wire::Grant>().empty());
  rank().on_time(Time{std::chrono::seconds(1)});
  EXPECT_TRUE(cluster_.failure(R(1), received)->text.ends_with("nothing has been sent"));
}

TEST_F(MessageFrames, what_overtook_a_message_that_never_came_is_not_delivered_once_its_sender_has_left) {
  MessageCluster pair({.world_size = 2}, 1);
  const LinkId down = pair.tree().link(R(0), R(1));
  const wire::Data data{{R(1), R(0), Incarnation{1001}, Incarnation{1000}}, Sequence{1}, 0, 0, 6, Sequence{0}};
  const Payload frame = wire::encode(data, Epoch{1, 1}, Payload::copy("second"));
  pair.at(R(0)).on_frame(pair.now(), down, wire::Kind::data,
                         frame.part(wire::kFrameHeaderBytes, frame.size() - wire::kFrameHeaderBytes));
  EXPECT_GT(pair.at(R(0)).unexpected_bytes(), 0u);
  pair.tree().topology(R(0)).remove_child(down);
  pair.at(R(0)).on_child_left(down);
  const CallId received = pair.receive(R(0), R(1), 0);
  ASSERT_NE(pair.failure(R(0), received), nullptr);
  EXPECT_EQ(pair.at(R(0)).unexpected_bytes(), 0u);
}

TEST_F(MessageFrames, more_than_was_granted_is_not_kept) {
  const Payload chunk = Payload::copy(std::string(kChunkBytes, 'x'));
  const CallId received = cluster_.receive(R(1), R(2), 0, Time{std::chrono::seconds(1)});
  hand_in(first_frame(0, 8 << 20));
  ASSERT_EQ(sent<wire::Grant>().size(), 1u);
  wire::Data data = first_frame(0, 8 << 20);
  EXPECT_TRUE(hand_in(data, chunk));
  rank().on_time(Time{std::chrono::seconds(1)});
  EXPECT_NE(cluster_.failure(R(1), received), nullptr);
  const std::uint64_t held = rank().unexpected_bytes();
  EXPECT_EQ(held, UnexpectedPool::cost(kChunkBytes));
  data.offset = kChunkBytes;
  EXPECT_TRUE(hand_in(data, chunk)) << "still under way when the receive was given up";
  EXPECT_EQ(rank().unexpected_bytes(), held);
}

TEST_F(MessageFrames, a_message_that_comes_byte_by_byte_is_put_together) {
  constexpr std::uint64_t kBytes = 20'000;
  const CallId received = cluster_.receive(R(1), R(2), 0);
  wire::Data data = first_frame(0, kBytes);
  hand_in(data);
  std::string sent;
  for (; data.offset < kBytes; ++data.offset) {
    sent += static_cast<char>(data.offset % 251);
    hand_in(data, Payload::copy(sent.substr(sent.size() - 1)));
  }
  const Completion* completion = cluster_.result(R(1), received);
  ASSERT_NE(completion, nullptr);
  const auto& message = std::get<Payload>(completion->result);
  EXPECT_EQ(message.to_string(), sent);
  EXPECT_LE(message.slice_count(), 40u);
}

TEST_F(MessageFrames, an_accepted_message_that_is_announced_again_is_accepted_again_and_delivered_once) {
  const CallId first = cluster_.receive(R(1), R(2), 0);
  const CallId second = cluster_.receive(R(1), R(2), 0);
  for (int i = 0; i < 3; ++i) {
    hand_in(first_frame(0, 5), Payload::copy("hello"));
    const auto accepts = sent<wire::Accept>();
    ASSERT_EQ(accepts.size(), 1u);
    EXPECT_EQ(accepts[0].sequence, Sequence{0});
    EXPECT_EQ(accepts[0].cumulative, Sequence{1});
  }
  EXPECT_EQ(cluster_.bytes(R(1), first), "hello");
  EXPECT_EQ(cluster_.result(R(1), second), nullptr);
}

TEST_F(MessageFrames, a_message_that_overtakes_an_older_one_on_another_path_waits_for_it) {
  const CallId first = cluster_.receive(R(1), R(2), 0);
  const CallId second = cluster_.receive(R(1), R(2), 0);
  const CallId other = cluster_.receive(R(1), R(2), 9);
  hand_in(first_frame(1, 6), Payload::copy("second"));
  hand_in(first_frame(2, 5, 9), Payload::copy("other"));
  EXPECT_EQ(cluster_.result(R(1), first), nullptr);
  EXPECT_EQ(cluster_.result(R(1), other), nullptr) << "the missing one may have this tag too";
  hand_in(first_frame(0, 5), Payload::copy("first"));
  EXPECT_EQ(cluster_.bytes(R(1), first), "first");
  EXPECT_EQ(cluster_.bytes(R(1), second), "second");
  EXPECT_EQ(cluster_.bytes(R(1), other), "other");
}

TEST_F(MessageFrames, grants_however_many_queue_no_more_than_a_link_takes) {
  constexpr std::uint64_t kBytes = 8 << 20;
  cluster_.send(R(1), R(2), 0, Payload::copy(std::string(kBytes, 'x')));
  EXPECT_EQ(sent<wire::Data>().size(), 1u) << "the announcement";
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(hand_in(wire::Grant{ends(), Sequence{0}, 0, kBytes}));
  const auto first = sent<wire::Data>();
  EXPECT_EQ(first.size() * kChunkBytes, 256u * 1024);
  rank().on_drained(cluster_.tree().link(R(1), R(0)));
  const auto next = sent<wire::Data>();
  EXPECT_EQ(next.size() * kChunkBytes, 256u * 1024);
  ASSERT_FALSE(next.empty());
  EXPECT_EQ(next[0].offset, 0u) << "what was asked for last";
  EXPECT_TRUE(hand_in(wire::Grant{ends(), Sequence{0}, kBytes - 10, kBytes}));
  rank().on_drained(cluster_.tree().link(R(1), R(0)));
  EXPECT_GT(sent<wire::Data>().size(), 0u);
}

TEST_F(MessageFrames, a_sender_ignores_grants_and_acceptances_that_fit_nothing_it_sent) {
  const CallId large = cluster_.send(R(1), R(2), 0, Payload::copy(std::string(100'000, 'x')));
  EXPECT_EQ(sent<wire::Data>().size(), 1u);
  for (const std::uint64_t sequence : {1ull, 15ull, 16ull, ~0ull}) {
    hand_in(wire::Grant{ends(), Sequence{sequence}, 0, 100'000});
    hand_in(wire::Accept{ends(), Sequence{sequence}, Sequence{0}});
    hand_in(wire::Undeliverable{ends(), Sequence{sequence}, false, "why"});
  }
  hand_in(wire::Grant{ends(), Sequence{0}, 0, 100'001});
  EXPECT_TRUE(sent<wire::Data>().empty());
  hand_in(wire::Grant{ends(), Sequence{0}, 1, 2});
  hand_in(wire::Grant{ends(), Sequence{0}, 0, 100'000});
  const auto data = sent<wire::Data>();
  ASSERT_EQ(data.size(), 5u);
  EXPECT_EQ(data[0].offset, 1u);
  EXPECT_EQ(data[4].offset, 3 * kChunkBytes);
  EXPECT_EQ(cluster_.result(R(1), large), nullptr);
  hand_in(wire::Accept{ends(), Sequence{0}, Sequence{1}});
  EXPECT_TRUE(cluster_.done(R(1), large));
  hand_in(wire::Grant{ends(), Sequence{0}, 0, 100'000});
  EXPECT_TRUE(sent<wire::Data>().empty()) << "its bytes are forgotten";
}

TEST_F(MessageFrames, acknowledgements_of_all_below_complete_sends_too) {
  const CallId first = cluster_.send(R(1), R(2), 0, Payload::copy("a"));
  const CallId second = cluster_.send(R(1), R(2), 1, Payload::copy("b"));
  const CallId third = cluster_.send(R(1), R(2), 1, Payload::copy("c"));
  hand_in(wire::Accept{ends(), Sequence{1}, Sequence{1}});
  EXPECT_TRUE(cluster_.done(R(1), first));
  EXPECT_TRUE(cluster_.done(R(1), second));
  wire::Data riding = first_frame(0, 0);
  riding.acknowledged = Sequence{3};
  hand_in(riding);
  EXPECT_TRUE(cluster_.done(R(1), third));
  // And what this rank sends says what it has accepted.
  cluster_.tree().effects(R(1)).take();
  cluster_.send(R(1), R(2), 0, {});
  EXPECT_EQ(sent<wire::Data>()[0].acknowledged, Sequence{1});
}

TEST_F(MessageFrames, the_window_moves_on_although_one_in_it_is_accepted_last) {
  std::vector<CallId> calls;
  for (std::uint32_t i = 0; i < kMaxMessagesInFlight + 2; ++i) calls.push_back(cluster_.send(R(1), R(2), 0, {}));
  EXPECT_EQ(sent<wire::Data>().size(), kMaxMessagesInFlight);
  for (std::uint64_t i = 1; i < kMaxMessagesInFlight; ++i) hand_in(wire::Accept{ends(), Sequence{i}, Sequence{0}});
  EXPECT_TRUE(sent<wire::Data>().empty()) << "a target need not remember more than the window";
  hand_in(wire::Accept{ends(), Sequence{0}, Sequence{kMaxMessagesInFlight}});
  const auto data = sent<wire::Data>();
  ASSERT_EQ(data.size(), 2u);
  EXPECT_EQ(data[0].sequence, Sequence{kMaxMessagesInFlight});
}

TEST_F(MessageFrames, random_frames_that_decode_do_no_harm) {
  Random random(11);
  const auto number = [&](std::uint64_t bound) { return random.below(6) == 0 ? random.next() : random.below(bound); };
  for (int i = 0; i < 200'000; ++i) {
    wire::Ends some = ends();
    if (random.below(8) == 0) some.source = R(static_cast<std::uint32_t>(random.below(3)));
    if (random.below(8) == 0) some.target = R(static_cast<std::uint32_t>(random.below(3)));
    const Sequence sequence{number(20)};
    switch (random.below(7)) {
      case 0:
      case 1: {
        wire::Data data{some,
                        sequence,
                        static_cast<std::uint32_t>(random.below(3)),
                        number(3) * 1000,
                        number(4) * 1000,
                        Sequence{number(20)}};
        hand_in(data, Payload::copy(std::string(random.below(3) * 1000, 'x')));
        break;
      }
      case 2: hand_in(wire::Grant{some, sequence, number(100), number(20'000)}); break;
      case 3: hand_in(wire::Accept{some, sequence, Sequence{number(20)}}); break;
      case 4: hand_in(wire::Undeliverable{some, sequence, false, "why"}); break;
      case 5:
        cluster_.receive(R(1), R(2), static_cast<std::uint32_t>(random.below(3)),
                         Time{std::chrono::nanoseconds(i + random.below(20))});
        break;
      case 6:
        cluster_.send(R(1), R(2), 0, Payload::copy(std::string(random.below(2) * 20'000, 'x')),
                      Time{std::chrono::nanoseconds(i + 20)});
        break;
    }
    if (i % 8 == 0) rank().on_time(Time{std::chrono::nanoseconds(i)});
    ASSERT_LE(rank().unexpected_bytes(), small_limits().unexpected_bytes);
    cluster_.tree().effects(R(1)).take();
  }
}

TEST_F(MessageFrames, a_receive_from_any_rank_takes_no_message_before_which_another_is_missing) {
  const CallId first = cluster_.receive_from_any(R(1), 0);
  EXPECT_TRUE(hand_in(first_frame(1, 5), Payload::copy("later")));
  cluster_.send(R(0), R(1), 0, Payload::copy("of another"));
  cluster_.run();
  EXPECT_EQ(cluster_.bytes(R(1), first), "of another");
  const CallId second = cluster_.receive_from_any(R(1), 0);
  const CallId third = cluster_.receive_from_any(R(1), 0);
  EXPECT_EQ(cluster_.result(R(1), second), nullptr);
  EXPECT_TRUE(hand_in(first_frame(0, 5), Payload::copy("older")));
  EXPECT_EQ(cluster_.bytes(R(1), second), "older");
  EXPECT_EQ(cluster_.bytes(R(1), third), "later");
}

TEST_F(MessageFrames, no_bytes_are_asked_for_of_a_message_that_is_longer_than_its_receive_takes) {
  constexpr std::uint64_t kMost = 1'000'000;
  for (std::uint64_t id = 1; id <= 2; ++id) rank().receive(cluster_.now(), CallId{id}, {R(2), 0, kMost}, kNever);
  EXPECT_TRUE(hand_in(first_frame(0, kMost)));
  EXPECT_TRUE(hand_in(first_frame(1, kMaxMessageBytes)));
  for (const wire::Grant& grant : sent<wire::Grant>()) EXPECT_EQ(grant.sequence, Sequence{0});
}

TEST_F(MessageFrames, a_request_that_is_too_long_is_not_remembered_and_others_wait_beside_the_pool) {
  wire::Data request = first_frame(0, kEagerMessageBytes + 1, wire::kRequests);
  request.ends.lane.space = wire::Space::store;
  EXPECT_TRUE(hand_in(request, Payload::copy(std::string(kEagerMessageBytes + 1, 'x'))));
  EXPECT_EQ(rank().inbound_flows(), 0u);
  for (int i = 0; i < 7; ++i) cluster_.send(R(0), R(1), 3, Payload::copy(std::string(16'000, 'x')));
  cluster_.run();
  const std::uint64_t held = rank().unexpected_bytes();
  EXPECT_GT(held + 10'000, small_limits().unexpected_bytes) << "there is no room";
  request.total = 10'000;
  EXPECT_TRUE(hand_in(request, Payload::copy(std::string(10'000, 'x'))));
  rank().receive(cluster_.now(), CallId{1}, {kNoRank, wire::Tag{wire::kRequests, wire::Space::store}}, kNever);
  EXPECT_EQ(cluster_.bytes(R(1), CallId{1}).size(), 10'000u);
  EXPECT_EQ(rank().unexpected_bytes(), held);
}

}  // namespace
}  // namespace banyan::node
