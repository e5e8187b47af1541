#include "base/cursor.hh"

#include <gtest/gtest.h>

namespace banyan {
namespace {

enum class Colour : std::uint8_t { red = 3 };

TEST(Cursor, what_is_written_is_read_back_in_little_endian_order) {
  Writer writer;
  writer.number(std::uint8_t{0x01});
  writer.number(std::uint32_t{0x05040302});
  writer.number(Colour::red);
  writer.number(std::uint64_t{0x1122'3344'5566'7788});
  writer.raw_bytes(as_byte_span("raw"));
  writer.text("text", 100);
  ASSERT_EQ(writer.size(), 1u + 4 + 1 + 8 + 3 + 2 + 4);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(writer.bytes()[i], std::byte(i + 1));
  const Slice bytes = std::move(writer).finish();

  Reader reader(bytes.bytes());
  EXPECT_EQ(reader.number<std::uint8_t>(), 1);
  EXPECT_EQ(reader.number<std::uint32_t>(), 0x05040302u);
  EXPECT_EQ(reader.number<Colour>(), Colour::red);
  EXPECT_EQ(reader.number<std::uint64_t>(), 0x1122'3344'5566'7788u);
  EXPECT_EQ(reader.array<3>(), (std::array{std::byte{'r'}, std::byte{'a'}, std::byte{'w'}}));
  EXPECT_FALSE(reader.finished());
  EXPECT_EQ(reader.text(100), "text");
  EXPECT_TRUE(reader.finished());
}

TEST(Cursor, a_field_that_does_not_fit_fails_and_everything_after_it_is_zero) {
  const Slice bytes = Slice::copy("\x01\x02\x03\x04\x05\x06\x07");
  Reader reader(bytes.bytes());
  EXPECT_EQ(reader.number<std::uint32_t>(), 0x04030201u);
  EXPECT_EQ(reader.number<std::uint32_t>(), 0u);
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(reader.number<std::uint8_t>(), 0u) << "though there is a byte left";
  EXPECT_EQ(reader.array<2>(), (std::array<std::byte, 2>{}));
  EXPECT_EQ(reader.text(10), "");
  EXPECT_TRUE(reader.take(1).empty());
  EXPECT_EQ(reader.remaining(), 0u);
  EXPECT_FALSE(reader.finished());
}

TEST(Cursor, a_decoder_that_has_seen_enough_reads_only_zeros_from_then_on) {
  const Slice bytes = Slice::copy("\x01\x02");
  Reader reader(bytes.bytes());
  reader.fail();
  EXPECT_EQ(reader.number<std::uint8_t>(), 0u);
  EXPECT_FALSE(reader.finished());
}

TEST(Cursor, nothing_can_be_taken_from_the_end_and_that_is_no_failure) {
  Reader reader(Bytes{});
  EXPECT_TRUE(reader.take(0).empty());
  EXPECT_TRUE(reader.finished());
}

TEST(Cursor, a_text_is_cut_by_its_writer_and_refused_by_its_reader_beyond_the_limit) {
  Writer writer;
  writer.text("0123456789", 4);
  writer.text("", 4);
  EXPECT_EQ(writer.size(), 2u + 4 + 2);
  Reader reader(writer.bytes());
  EXPECT_EQ(reader.text(4), "0123");
  EXPECT_EQ(reader.text(4), "");
  EXPECT_TRUE(reader.finished());
  Reader strict(writer.bytes());
  EXPECT_EQ(strict.text(3), "");
  EXPECT_TRUE(strict.failed());
}

TEST(Cursor, a_text_longer_than_what_is_there_is_refused) {
  Writer writer;
  writer.number(std::uint16_t{5});
  writer.raw_bytes(as_byte_span("four"));
  Reader reader(writer.bytes());
  EXPECT_EQ(reader.text(100), "");
  EXPECT_TRUE(reader.failed());
}

TEST(Cursor, a_number_can_be_overwritten_in_place) {
  Writer writer;
  writer.number(std::uint32_t{0});
  writer.number(std::uint32_t{7});
  writer.patch(0, std::uint32_t{9});
  Reader reader(writer.bytes());
  EXPECT_EQ(reader.number<std::uint32_t>(), 9u);
  EXPECT_EQ(reader.number<std::uint32_t>(), 7u);
}

}  // namespace
}  // namespace banyan
