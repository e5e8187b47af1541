// The bytes of many ranks in one stream.
#include "node/parts.hh"

#include <string>

#include <gtest/gtest.h>

#include "base/cursor.hh"
#include "base/random.hh"

namespace banyan::node {
namespace {

TEST(Parts, each_rank_has_its_bytes_however_the_stream_is_cut) {
  Random random(4);
  for (int round = 0; round < 200; ++round) {
    std::vector<Payload> parts;
    for (std::uint64_t i = 1 + random.below(20); i > 0; --i) {
      parts.push_back(Payload::copy(
          std::string(random.below(3) == 0 ? random.below(3000) : random.below(5), 'a' + static_cast<char>(i))));
    }
    const Payload stream = Parts::join(parts).stream();
    Payload pieces;
    for (std::size_t at = 0; at < stream.size();) {
      const std::size_t count = 1 + random.below(std::min<std::size_t>(stream.size() - at, 700));
      pieces.append(Slice::copy(stream.part(at, count).to_string()));
      at += count;
    }
    const auto again = Parts::from_stream(pieces, static_cast<std::uint32_t>(parts.size()));
    ASSERT_TRUE(again.has_value());
    ASSERT_EQ(again->size(), parts.size());
    for (std::size_t i = 0; i < parts.size(); ++i) ASSERT_EQ((*again)[i], parts[i]) << i;
    ASSERT_EQ(again->split(), parts);
  }
}

Payload stream_of(std::initializer_list<std::uint64_t> ends, const std::string& bytes) {
  Writer writer;
  for (const std::uint64_t end : ends) writer.number(end);
  writer.raw_bytes(as_byte_span(bytes));
  return Payload(std::move(writer).finish());
}

TEST(Parts, a_stream_that_does_not_end_with_its_last_part_is_none) {
  EXPECT_TRUE(Parts::from_stream(stream_of({1, 3}, "abc"), 2).has_value());
  EXPECT_FALSE(Parts::from_stream(stream_of({1, 3}, "abcd"), 2).has_value());
  EXPECT_FALSE(Parts::from_stream(stream_of({1, 3}, "ab"), 2).has_value());
  EXPECT_FALSE(Parts::from_stream(stream_of({1}, ""), 2).has_value());
  EXPECT_FALSE(Parts::from_stream({}, 0).has_value());
}

TEST(Parts, ends_that_lie_yield_nothing_and_are_never_read_out_of_bounds) {
  const auto parts = Parts::from_stream(stream_of({9, ~std::uint64_t{0}, 2, 3}, "abc"), 4);
  ASSERT_TRUE(parts.has_value());
  EXPECT_TRUE((*parts)[0].empty());
  EXPECT_TRUE((*parts)[1].empty());
  EXPECT_TRUE((*parts)[2].empty());
  EXPECT_EQ((*parts)[3].to_string(), "c");
  EXPECT_FALSE(parts->split().has_value());
  // Parts that overlap would be more bytes than have come.
  EXPECT_FALSE(Parts::from_stream(stream_of({3, 0, 3}, "abc"), 3)->split().has_value());
}

}  // namespace
}  // namespace banyan::node
