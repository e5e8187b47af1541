#include "wire/point_to_point.hh"

#include <gtest/gtest.h>

#include "wire/codec_checks.hh"

namespace banyan::wire {
namespace {

constexpr Ends kEnds{Rank{1}, Rank{2}, Incarnation{0x1111'2222'3333'4444}, Incarnation{0x5555'6666'7777'8888}};

TEST(Ends, reversed_they_name_the_way_back) {
  const Ends back{Rank{2}, Rank{1}, Incarnation{0x5555'6666'7777'8888}, Incarnation{0x1111'2222'3333'4444}};
  EXPECT_EQ(kEnds.reversed(), back);
  EXPECT_EQ(kEnds.reversed().reversed(), kEnds);
}

TEST(Data, it_arrives_as_it_was_sent) {
  const Data data{kEnds, Sequence{9}, 0xfeed, 100, 2000, Sequence{5}};
  const Data copy = round_trip(data);
  EXPECT_EQ(copy.ends, data.ends);
  EXPECT_EQ(copy.sequence, data.sequence);
  EXPECT_EQ(copy.tag, data.tag);
  EXPECT_EQ(copy.offset, data.offset);
  EXPECT_EQ(copy.total, data.total);
  EXPECT_EQ(copy.acknowledged, data.acknowledged);
  expect_exact_length(data);
  expect_harmless(data, 1);
}

TEST(Grant, it_arrives_as_it_was_sent) {
  const Grant grant{kEnds, Sequence{9}, 100, 2000};
  const Grant copy = round_trip(grant);
  EXPECT_EQ(copy.ends, grant.ends);
  EXPECT_EQ(copy.sequence, grant.sequence);
  EXPECT_EQ(copy.from, grant.from);
  EXPECT_EQ(copy.to, grant.to);
  expect_exact_length(grant);
  expect_harmless(grant, 2);
}

TEST(Accept, it_arrives_as_it_was_sent) {
  const Accept accept{kEnds, Sequence{9}, Sequence{8}};
  const Accept copy = round_trip(accept);
  EXPECT_EQ(copy.ends, accept.ends);
  EXPECT_EQ(copy.sequence, accept.sequence);
  EXPECT_EQ(copy.cumulative, accept.cumulative);
  expect_exact_length(accept);
  expect_harmless(accept, 3);
}

TEST(Direct, each_word_arrives_as_it_was_sent_and_says_nothing_that_it_has_no_use_for) {
  using enum Direct::Word;
  Endpoint endpoint{Endpoint::Family::tcp4, 4242, {}};
  endpoint.address[0] = std::byte{10};
  for (const Direct& direct : {Direct{kEnds, ask, 7, {}, {}}, Direct{kEnds, offer, 0, endpoint, {}},
                               Direct{kEnds, offer, 0, {}, {}}, Direct{kEnds, decline, 0, {}, "all are in use"}}) {
    const Direct copy = round_trip(direct);
    EXPECT_EQ(copy.ends, direct.ends);
    EXPECT_EQ(copy.word, direct.word);
    EXPECT_EQ(copy.links, direct.links);
    EXPECT_EQ(copy.endpoint, direct.endpoint);
    EXPECT_EQ(copy.reason, direct.reason);
    expect_exact_length(direct);
    expect_harmless(direct, 5);
  }
  for (const Direct& wrong : {Direct{kEnds, ask, 0, endpoint, {}}, Direct{kEnds, offer, 0, {}, "why"},
                              Direct{kEnds, decline, 0, endpoint, {}}, Direct{kEnds, Direct::Word{4}, 0, {}, {}},
                              Direct{kEnds, offer, 0, Endpoint{Endpoint::Family::none, 80, {}}, {}}}) {
    EXPECT_FALSE(decode<Direct>(body_of(wrong)));
  }
}

TEST(Undeliverable, it_arrives_as_it_was_sent) {
  const Undeliverable news{kEnds, Sequence{9}, true, "the rank has left"};
  const Undeliverable copy = round_trip(news);
  EXPECT_EQ(copy.ends, news.ends);
  EXPECT_EQ(copy.sequence, news.sequence);
  EXPECT_EQ(copy.awaited, news.awaited);
  EXPECT_EQ(copy.reason, news.reason);
  expect_exact_length(news);
  expect_harmless(news, 4);
}

TEST(Ends, a_lane_travels_with_them_and_unknown_spaces_are_refused) {
  Ends ends = kEnds;
  ends.lane = {CommunicatorId{0x1122334455667788}, Space::link_control};
  EXPECT_EQ(round_trip(Accept{ends, {}, {}}).ends, ends);
  EXPECT_EQ(ends.reversed().lane, ends.lane);
  ends.lane.space = Space::stream;
  EXPECT_EQ(round_trip(Accept{ends, {}, {}}).ends, ends);
  ends.lane.space = static_cast<Space>(7);
  EXPECT_FALSE(accepted(Accept{ends, {}, {}}));
  // A word about direct links is about no message.
  ends.lane = {CommunicatorId{1}, Space::application};
  EXPECT_FALSE(accepted(Direct{ends, Direct::Word::ask, 0, {}, {}}));
}

TEST(Data, a_place_beyond_the_message_or_a_message_beyond_the_limit_is_refused) {
  EXPECT_TRUE(accepted(Data{kEnds, {}, 0, kMaxMessageBytes, kMaxMessageBytes, {}}));
  EXPECT_FALSE(accepted(Data{kEnds, {}, 0, 0, kMaxMessageBytes + 1, {}}));
  EXPECT_FALSE(accepted(Data{kEnds, {}, 0, 11, 10, {}}));
}

TEST(Data, a_frame_carries_a_chunk_at_most_and_no_more_than_is_left_of_its_message) {
  const Data data{kEnds, {}, 0, 100, 1'000'000, {}};
  EXPECT_TRUE(data.carries(0, false));
  EXPECT_TRUE(data.carries(kChunkBytes, false));
  EXPECT_FALSE(data.carries(kChunkBytes + 1, false));
  EXPECT_TRUE(data.carries(kDirectChunkBytes, true));
  EXPECT_FALSE(data.carries(kDirectChunkBytes + 1, true));
  const Data last{kEnds, {}, 0, 90, 100, {}};
  EXPECT_TRUE(last.carries(10, false));
  EXPECT_FALSE(last.carries(11, true));
}

TEST(Grant, one_that_is_backwards_or_too_large_is_refused) {
  EXPECT_TRUE(accepted(Grant{kEnds, {}, 5, 5}));
  EXPECT_FALSE(accepted(Grant{kEnds, {}, 6, 5}));
  EXPECT_TRUE(accepted(Grant{kEnds, {}, kMaxMessageBytes - kMaxGrantBytes, kMaxMessageBytes}));
  EXPECT_FALSE(accepted(Grant{kEnds, {}, 0, kMaxGrantBytes + 1}));
  EXPECT_FALSE(accepted(Grant{kEnds, {}, kMaxMessageBytes, kMaxMessageBytes + 1}));
}

}  // namespace
}  // namespace banyan::wire
