// Frames in words. How those of ordinary jobs look stands in tests/golden; here are the rarer ones, and damaged ones.
#include "sim/frame_text.hh"

#include <gtest/gtest.h>

#include "base/random.hh"
#include "wire/blob.hh"
#include "wire/collective.hh"
#include "wire/control.hh"
#include "wire/point_to_point.hh"
#include "wire/table.hh"

namespace banyan::sim {
namespace {

std::string text_of_only(const Payload& sent) {
  const std::vector<SentFrame> frames = frames_of(sent);
  return frames.size() == 1 ? text_of(frames[0]) : "not one frame";
}
template <typename Message>
std::string text_of_message(const Message& message, const Payload& tail = {}, std::uint8_t flags = 0) {
  return text_of_only(wire::encode(message, Epoch{1, 1}, tail, flags));
}

TEST(FrameText, says_what_rare_messages_mean) {
  wire::Leave leave;
  EXPECT_EQ(text_of_message(leave), "leave");
  leave.missing = RankSet::single(Rank{4});
  EXPECT_EQ(text_of_message(leave), "leave cut off by 4");
  leave.gave_up = true;
  EXPECT_EQ(text_of_message(leave), "leave gave up, missing=4");

  wire::Report report{Rank{3}, Incarnation{7}, Attachment{0x2'0001}, {}};
  report.failure = {FailureCode::rank_lost, Phase::running, RankSet::single(Rank{3}), "host-1", "it is gone"};
  EXPECT_EQ(text_of_message(report),
            "report about=rank 3 attachment=2/1 rank_lost phase=running ranks=3 host=host-1 \"it is gone\"");

  wire::Undeliverable undeliverable;
  undeliverable.ends = {Rank{1}, Rank{2}, Incarnation{5}, Incarnation{6}};
  undeliverable.awaited = true;
  undeliverable.reason = "rank 1 has left";
  EXPECT_EQ(text_of_message(undeliverable), "undeliverable rank 1 -> rank 2 #0 awaited \"rank 1 has left\"");
}

TEST(FrameText, says_which_part_of_a_collective_a_frame_is) {
  wire::Collective collective;
  collective.call.kind = wire::CollectiveKind::gather;
  collective.call.root = Rank{0};
  collective.sequence = Sequence{5};
  collective.part = wire::Part::vote;
  collective.deferred = true;
  EXPECT_EQ(text_of_message(collective), "collective vote #5 gather(root 0) bytes wait for go");
  collective.part = wire::Part::question;
  EXPECT_EQ(text_of_message(collective), "collective question #5 gather(root 0)");
  collective.part = wire::Part::missing;
  Writer missing;
  missing.number(std::uint64_t{2});
  wire::write(missing, RankSet::range(Rank{1}, Rank{2}));
  EXPECT_EQ(text_of_message(collective, Payload(std::move(missing).finish())),
            "collective missing #5 gather(root 0) ranks=1-2");
}

TEST(FrameText, says_what_is_asked_about_blobs) {
  wire::Data data;
  data.ends = {Rank{1}, Rank{2}, Incarnation{5}, Incarnation{6}, wire::kBlobRequests.lane};
  data.tag = wire::kBlobRequests.number;
  EXPECT_EQ(text_of_message(data), "data rank 1 -> rank 2 #0 blob request 0..0 of 0 acknowledged=#0");
  data.tag = wire::kBlobAnswers.number;
  data.total = 3;
  EXPECT_EQ(text_of_message(data, Payload::copy("abc")),
            "data rank 1 -> rank 2 #0 blob answer 0..3 of 3 acknowledged=#0");
}

TEST(FrameText, what_is_enclosed_is_said_to_be_beside_the_stream) {
  wire::TableChunk chunk;
  chunk.total = 70'000;
  EXPECT_EQ(text_of_message(chunk, {}, wire::kEnclosesFlag), "table_chunk 0..0 of 70000 and what it encloses");
}

TEST(FrameText, several_frames_come_out_in_order_and_what_is_cut_off_does_not) {
  Payload sent = wire::encode(wire::Acknowledge{1}, Epoch{});
  sent.append(wire::encode(wire::Acknowledge{2}, Epoch{}));
  ASSERT_EQ(frames_of(sent).size(), 2u);
  EXPECT_EQ(text_of(frames_of(sent)[1]), "acknowledge ranks=2");
  EXPECT_EQ(frames_of(sent.part(0, sent.size() - 1)).size(), 1u);
}

TEST(FrameText, damaged_frames_are_said_to_be_so) {
  EXPECT_EQ(text_of({wire::Kind::welcome, false, Payload::copy("?")}), "welcome (does not decode)");
  EXPECT_EQ(text_of({static_cast<wire::Kind>(99), false, {}}), "unknown kind 99");
  Random random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string noise(random.below(120), '\0');
    for (char& c : noise) c = static_cast<char>(random.below(256));
    text_of({static_cast<wire::Kind>(random.below(50)), false, Payload::copy(std::string_view(noise))});
  }
}

}  // namespace
}  // namespace banyan::sim
