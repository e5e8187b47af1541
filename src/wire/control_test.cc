#include "wire/control.hh"

#include <gtest/gtest.h>

#include "wire/codec_checks.hh"

namespace banyan::wire {
namespace {

RankSet ranks(std::initializer_list<RankSet::Range> ranges) {
  RankSet set;
  for (const RankSet::Range range : ranges) set.insert(range);
  return set;
}

Failure some_failure() {
  return {FailureCode::rank_lost, Phase::commit, ranks({{17, 17}, {904, 905}}), "host-2", "its connection broke"};
}

void expect_equal(const Failure& a, const Failure& b) {
  EXPECT_EQ(a.code, b.code);
  EXPECT_EQ(a.phase, b.phase);
  EXPECT_EQ(a.ranks, b.ranks);
  EXPECT_EQ(a.host, b.host);
  EXPECT_EQ(a.text, b.text);
}

TEST(Status, it_arrives_as_it_was_sent) {
  const Status status{3, ranks({{17, 17}, {904, 905}}), "the rendezvous refuses connections"};
  const Status copy = round_trip(status);
  EXPECT_EQ(copy.missing_count, 3u);
  EXPECT_EQ(copy.missing, status.missing);
  EXPECT_EQ(copy.obstacle, status.obstacle);
  expect_exact_length(status);
  expect_harmless(status, 1);
  EXPECT_FALSE(accepted(Status{2, status.missing, {}})) << "fewer in all than are named";
}

TEST(Report, it_arrives_as_it_was_sent) {
  const Report report{Rank{5}, Incarnation{77}, Attachment{4}, some_failure()};
  const Report copy = round_trip(report);
  EXPECT_EQ(copy.rank, report.rank);
  EXPECT_EQ(copy.incarnation, report.incarnation);
  EXPECT_EQ(copy.attachment, report.attachment);
  expect_equal(copy.failure, report.failure);
  expect_exact_length(report);
  expect_harmless(report, 2);
}

TEST(Verdict, it_arrives_as_it_was_sent) {
  expect_equal(round_trip(Verdict{some_failure()}).failure, some_failure());
  expect_exact_length(Verdict{some_failure()});
  expect_harmless(Verdict{some_failure()}, 3);
}

TEST(Leave, it_arrives_as_it_was_sent) {
  for (const bool gave_up : {true, false}) {
    const Leave leave{gave_up, ranks({{1, 3}})};
    EXPECT_EQ(round_trip(leave).gave_up, gave_up);
    EXPECT_EQ(round_trip(leave).missing, leave.missing);
    expect_exact_length(leave);
    expect_harmless(leave, 4);
  }
}

TEST(Failure, every_code_and_phase_crosses_the_wire_and_no_other) {
  Failure failure = some_failure();
  for (int code = 0; code < 256; ++code) {
    failure.code = static_cast<FailureCode>(code);
    EXPECT_EQ(accepted(Verdict{failure}), std::string_view(to_string(failure.code)) != "unknown") << code;
  }
  failure = some_failure();
  for (int phase = 0; phase < 256; ++phase) {
    failure.phase = static_cast<Phase>(phase);
    EXPECT_EQ(accepted(Verdict{failure}), std::string_view(to_string(failure.phase)) != "unknown") << phase;
  }
}

TEST(Failure, long_texts_and_names_are_cut) {
  Failure failure = some_failure();
  failure.text = std::string(kMaxTextBytes + 1, 't');
  failure.host = std::string(kMaxHostNameBytes + 1, 'h');
  const Failure copy = round_trip(Verdict{failure}).failure;
  EXPECT_EQ(copy.text.size(), kMaxTextBytes);
  EXPECT_EQ(copy.host.size(), kMaxHostNameBytes);
}

TEST(RankSetOnWire, more_ranges_than_the_limit_are_cut) {
  Leave leave;
  for (std::uint32_t i = 0; i < kMaxRangesOnWire + 10; ++i) leave.missing.insert(Rank{i * 3});
  const RankSet copy = round_trip(leave).missing;
  EXPECT_EQ(copy.ranges().size(), kMaxRangesOnWire);
  EXPECT_EQ(copy.to_string(2), "0, 3 and 62 more");
}

TEST(RankSetOnWire, one_set_has_one_encoding) {
  const auto read = [](const std::vector<std::pair<std::uint32_t, std::uint32_t>>& ranges) {
    Writer writer;
    writer.number(static_cast<std::uint16_t>(ranges.size()));
    for (const auto& [first, last] : ranges) writer.number(first), writer.number(last);
    Reader reader(writer.bytes());
    read_ranks(reader);
    return reader.finished();
  };
  EXPECT_TRUE(read({}));
  EXPECT_TRUE(read({{0, 0}, {2, 5}, {7, kMaxWorldSize - 1}}));
  EXPECT_FALSE(read({{5, 4}})) << "backwards";
  EXPECT_FALSE(read({{4, 5}, {1, 2}})) << "not sorted";
  EXPECT_FALSE(read({{1, 5}, {5, 7}})) << "overlapping";
  EXPECT_FALSE(read({{1, 5}, {6, 7}})) << "touching";
  EXPECT_FALSE(read({{1, kMaxWorldSize}})) << "no such rank";
  std::vector<std::pair<std::uint32_t, std::uint32_t>> many;
  for (std::uint32_t i = 0; i < kMaxRangesOnWire; ++i) many.emplace_back(3 * i, 3 * i + 1);
  EXPECT_TRUE(read(many));
  many.emplace_back(1000, 1000);
  EXPECT_FALSE(read(many)) << "more than the limit";
}

}  // namespace
}  // namespace banyan::wire
