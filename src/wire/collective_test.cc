#include "wire/collective.hh"

#include <algorithm>

#include <gtest/gtest.h>

#include "wire/codec_checks.hh"

namespace banyan::wire {
namespace {

Collective some_collective() {
  Collective head;
  head.part = Part::data;
  head.deferred = true;
  head.communicator = CommunicatorId{0x1122'3344'5566'7788};
  head.sequence = Sequence{42};
  head.call = {CollectiveKind::reduce_scatter, Reduction::max, ElementType::float64, Rank{3}, 10, 0x1234'5678};
  head.caller = Rank{4};
  head.about = Rank{5};
  head.offset = 32768;
  head.total = 100'000;
  return head;
}

TEST(Collective, its_head_arrives_as_it_was_sent) {
  const Collective head = some_collective();
  const Collective copy = round_trip(head);
  EXPECT_EQ(copy.part, head.part);
  EXPECT_EQ(copy.deferred, head.deferred);
  EXPECT_EQ(copy.communicator, head.communicator);
  EXPECT_EQ(copy.sequence, head.sequence);
  EXPECT_EQ(copy.call, head.call);
  EXPECT_EQ(copy.caller, head.caller);
  EXPECT_EQ(copy.about, head.about);
  EXPECT_EQ(copy.offset, head.offset);
  EXPECT_EQ(copy.total, head.total);
  expect_exact_length(head);
  expect_harmless(head, 1);
}

TEST(Collective, parts_that_do_not_exist_and_places_beyond_the_end_are_refused) {
  Collective head = some_collective();
  for (int part = 0; part < 256; ++part) {
    head.part = static_cast<Part>(part);
    EXPECT_EQ(accepted(head), part >= 1 && part <= 7) << part;
  }
  head = some_collective();
  head.offset = head.total;
  EXPECT_TRUE(accepted(head));
  head.offset = head.total + 1;
  EXPECT_FALSE(accepted(head));
  head.total = kMaxMessageBytes + 1;
  EXPECT_FALSE(accepted(head));
  head = some_collective();
  head.call.kind = CollectiveKind::allreduce;
  EXPECT_FALSE(accepted(head)) << "other kinds have no blocks";
}

TEST(CollectiveEntry, only_the_last_piece_of_a_ranks_bytes_may_be_short) {
  const auto accepted = [](const CollectiveEntry& entry) {
    Writer writer;
    entry.write(writer);
    const Slice bytes = std::move(writer).finish();
    Reader reader(bytes.bytes());
    CollectiveEntry().read(reader);
    return reader.finished();
  };
  const std::uint32_t least = kShortestPieceBytes;
  EXPECT_TRUE(accepted(CollectiveEntry{Rank{1}, least, 0, 1'000'000}));
  EXPECT_FALSE(accepted(CollectiveEntry{Rank{1}, least - 1, 0, 1'000'000}));
  EXPECT_FALSE(accepted(CollectiveEntry{Rank{1}, least - 1, 0, least}));
  EXPECT_TRUE(accepted(CollectiveEntry{Rank{1}, 1, 999'999, 1'000'000}));
  EXPECT_FALSE(accepted(CollectiveEntry{Rank{1}, 0, 1'000'000, 1'000'000}));
  EXPECT_TRUE(accepted(CollectiveEntry{Rank{1}, 0, 0, 0}));
}

TEST(CallSignature, it_prints_the_call_as_a_user_would_write_it) {
  using enum CollectiveKind;
  EXPECT_EQ((CallSignature{reduce, Reduction::sum, ElementType::int32, Rank{3}, 10}).to_string(),
            "reduce(sum, int32 x 10, root 3)");
  EXPECT_EQ((CallSignature{allreduce, Reduction::bit_xor, ElementType::uint8, kNoRank, 1}).to_string(),
            "allreduce(bit_xor, uint8 x 1)");
  EXPECT_EQ((CallSignature{broadcast, {}, {}, Rank{0}, 0}).to_string(), "broadcast(root 0)");
  EXPECT_EQ((CallSignature{scan, Reduction::max, ElementType::int8, kNoRank, 2}).to_string(), "scan(max, int8 x 2)");
  EXPECT_EQ((CallSignature{reduce_scatter, Reduction::sum, ElementType::int8, kNoRank, 2, 77}).to_string(),
            "reduce_scatter(sum, int8 x 2, blocks by counts with the digest 77)");
  EXPECT_EQ((CallSignature{barrier, {}, {}, kNoRank, 0}).to_string(), "barrier()");
}

// Every combination of small values against the rules, said once more.
TEST(CallSignature, only_calls_that_make_sense_are_valid) {
  using enum CollectiveKind;
  constexpr std::uint32_t kWorldSize = 4;
  int valid = 0;
  for (int kind = 0; kind <= 13; ++kind) {
    for (int reduction = 0; reduction <= 8; ++reduction) {
      for (int element = 0; element <= 11; ++element) {
        for (const Rank root : {Rank{0}, Rank{3}, Rank{4}, kNoRank}) {
          for (const std::uint64_t count : {std::uint64_t{0}, std::uint64_t{5}, std::uint64_t{1} << 40}) {
            const CallSignature call{CollectiveKind(kind), Reduction(reduction), ElementType(element), root, count};
            const bool reduces = kind == int(reduce) || kind == int(allreduce) ||
                                 (kind >= int(reduce_scatter) && kind <= int(exclusive_scan));
            const bool rooted =
                kind == int(broadcast) || kind == int(gather) || kind == int(scatter) || kind == int(reduce);
            bool expected = kind >= 1 && kind <= 12;
            expected = expected && (rooted ? root == Rank{0} || root == Rank{3} : root == kNoRank);
            if (reduces) {
              expected = expected && reduction >= 1 && reduction <= 7 && element >= 1 && element <= 10 && count <= 5;
              if (reduction >= int(Reduction::bit_and) && element >= int(ElementType::float32)) expected = false;
            } else {
              expected = expected && reduction == 0 && element == 0 && count == 0;
            }
            ASSERT_EQ(call.valid(kWorldSize), expected) << call.to_string();
            CallSignature in_blocks = call;
            in_blocks.blocks = 1;
            ASSERT_EQ(in_blocks.valid(kWorldSize), expected && kind == int(reduce_scatter)) << in_blocks.to_string();
            valid += expected ? 1 : 0;
          }
        }
      }
    }
  }
  // reduce with 2 roots and 4 kinds without, 7 x 10 less 3 x 2 pairs, 2 counts; 3 rooted kinds with 2 roots; 3 without.
  EXPECT_EQ(valid, 6 * (7 * 10 - 3 * 2) * 2 + 3 * 2 + 4);
}

TEST(CallSignature, every_value_has_a_name_and_every_element_a_size) {
  for (int kind = 1; kind <= 11; ++kind) EXPECT_STRNE(to_string(CollectiveKind(kind)), "unknown");
  for (int reduction = 0; reduction <= 7; ++reduction) EXPECT_STRNE(to_string(Reduction(reduction)), "unknown");
  const std::size_t sizes[] = {0, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8};
  for (int element = 0; element <= 10; ++element) {
    EXPECT_STRNE(to_string(ElementType(element)), "unknown");
    EXPECT_EQ(element_bytes(ElementType(element)), sizes[element]) << to_string(ElementType(element));
    EXPECT_EQ(kChunkBytes % std::max<std::size_t>(sizes[element], 1), 0u) << "chunks never cut an element";
  }
}

TEST(CallSignature, counts_are_told_apart_by_their_digest_and_equal_ones_are_as_good_as_none) {
  EXPECT_EQ(blocks_of({}), 0u);
  EXPECT_EQ(blocks_of({3}), 0u);
  EXPECT_EQ(blocks_of({3, 3, 3}), 0u);
  EXPECT_NE(blocks_of({3, 3, 2}), 0u);
  EXPECT_EQ(blocks_of({3, 3, 2}), blocks_of({3, 3, 2}));
  EXPECT_NE(blocks_of({3, 3, 2}), blocks_of({3, 2, 3}));
}

}  // namespace
}  // namespace banyan::wire
