// Lines come out whole and named, however the bytes were cut.
#include "cli/line_prefixer.hh"

#include <gtest/gtest.h>

#include "base/random.hh"

namespace banyan::cli {
namespace {

std::string prefixed(std::string_view text, std::size_t piece_bytes) {
  LinePrefixer lines("[3] ");
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += piece_bytes) lines.feed(text.substr(at, piece_bytes), out);
  lines.finish(out);
  return out;
}

TEST(LinePrefixer, every_line_gets_the_prefix_and_empty_ones_too) {
  EXPECT_EQ(prefixed("one\n\ntwo\n", 100), "[3] one\n[3] \n[3] two\n");
}

TEST(LinePrefixer, a_last_line_without_newline_gets_one) { EXPECT_EQ(prefixed("one\ntwo", 100), "[3] one\n[3] two\n"); }

TEST(LinePrefixer, nothing_comes_before_a_line_is_whole) {
  LinePrefixer lines("[3] ");
  std::string out;
  lines.feed("half", out);
  EXPECT_EQ(out, "");
  lines.feed(" a line\nand", out);
  EXPECT_EQ(out, "[3] half a line\n");
}

TEST(LinePrefixer, a_line_beyond_the_limit_is_cut_and_one_at_the_limit_is_not) {
  const std::string limit(kMaxLineBytes, 'x');
  EXPECT_EQ(prefixed(limit + "\n", 1000), "[3] " + limit + "\n");
  EXPECT_EQ(prefixed(limit + "yz\n", 1000), "[3] " + limit + "\n[3] yz\n");
}

TEST(LinePrefixer, how_the_bytes_are_cut_changes_nothing) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    std::string text(random.below(100), '\0');
    // Few values, so that empty lines, zeros and carriage returns come often.
    for (char& byte : text) byte = "ab\n\r\0"[random.below(5)];
    const std::size_t piece_bytes = random.between(1, 9);
    EXPECT_EQ(prefixed(text, piece_bytes), prefixed(text, text.size() + 1)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace banyan::cli
