#include "wire/record.hh"

#include <gtest/gtest.h>

#include "wire/codec_checks.hh"

namespace banyan::wire {
namespace {

Record some_record(std::uint32_t rank, bool leads) {
  Record record;
  record.rank = Rank{rank};
  record.incarnation = Incarnation{1000 + rank};
  record.attachment = Attachment{2};
  record.position = Position{rank / 4};
  record.leader = leads ? Rank{rank} : Rank{rank / 4 * 4};
  if (leads) {
    record.endpoint.family = Endpoint::Family::tcp4;
    record.endpoint.port = static_cast<std::uint16_t>(rank);
    record.endpoint.address[0] = std::byte{10};
    record.host = "host-" + std::to_string(rank);
    record.host_id = 0x1122'3344'5566'7700 + rank;
  }
  record.blob = Slice::copy("blob of " + std::to_string(rank));
  return record;
}

Records some_records() {
  Records records;
  for (std::uint32_t rank = 0; rank < 5; ++rank) records.records.push_back(some_record(rank, rank % 4 == 0));
  return records;
}

TEST(Records, they_arrive_as_they_were_sent) {
  const Records records = some_records();
  const Records copy = round_trip(records);
  ASSERT_EQ(copy.records.size(), records.records.size());
  for (std::size_t i = 0; i < records.records.size(); ++i) {
    const Record& a = records.records[i];
    const Record& b = copy.records[i];
    EXPECT_EQ(b.rank, a.rank);
    EXPECT_EQ(b.incarnation, a.incarnation);
    EXPECT_EQ(b.attachment, a.attachment);
    EXPECT_EQ(b.position, a.position);
    EXPECT_EQ(b.leader, a.leader);
    EXPECT_EQ(b.is_leader(), i % 4 == 0);
    EXPECT_EQ(b.endpoint, a.endpoint);
    EXPECT_EQ(b.host, a.host);
    EXPECT_EQ(b.host_id, a.host_id);
    EXPECT_EQ(Payload(b.blob), Payload(a.blob));
  }
  EXPECT_TRUE(round_trip(Records{}).records.empty());
  expect_exact_length(records);
  expect_harmless(records, 1);
}

TEST(Records, each_says_how_many_bytes_it_takes) {
  std::size_t sum = sizeof(std::uint32_t);
  Records records = some_records();
  records.records.push_back(some_record(8, true));
  records.records.back().host = std::string(kMaxHostNameBytes + 100, 'h');
  records.records.back().blob = {};
  for (const Record& record : records.records) sum += record.wire_bytes();
  EXPECT_EQ(body_of(records).size(), sum);
}

TEST(Records, blobs_do_not_pin_the_buffer_they_came_in) {
  const Payload body = body_of(some_records());
  const std::byte* begin = body.slice(0).data();
  const auto copy = decode<Records>(body);
  ASSERT_TRUE(copy.has_value());
  for (const Record& record : copy->records) {
    EXPECT_FALSE(record.blob.data() >= begin && record.blob.data() < begin + body.size());
  }
}

TEST(Records, a_blob_may_be_as_long_as_the_limit_and_no_longer) {
  Records records;
  records.records.push_back(some_record(1, false));
  records.records[0].blob = Slice::copy(std::string(kMaxBlobBytes, 'b'));
  EXPECT_TRUE(accepted(records));
  records.records[0].blob = Slice::copy(std::string(kMaxBlobBytes + 1, 'b'));
  EXPECT_FALSE(accepted(records));
}

TEST(Records, a_count_that_can_not_be_true_costs_nothing) {
  std::string bytes = body_of(some_records()).to_string();
  bytes.replace(0, 4, "\xff\xff\xff\xff");
  EXPECT_FALSE(decode<Records>(Payload::copy(bytes)).has_value());
}

}  // namespace
}  // namespace banyan::wire
