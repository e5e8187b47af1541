// Who has come: one record for each rank, and the right one.
#include "node/registry.hh"

#include <gtest/gtest.h>

namespace banyan::node {
namespace {

wire::Record record(std::uint32_t rank, std::uint64_t incarnation, std::uint32_t attachment, std::string host = {}) {
  wire::Record record;
  record.rank = Rank{rank};
  record.incarnation = Incarnation{incarnation};
  record.attachment = Attachment{attachment};
  record.host = std::move(host);
  return record;
}

TEST(Registry, of_one_life_the_highest_attachment_wins_whatever_the_order) {
  Registry registry(3);
  EXPECT_EQ(registry.find(Rank{1}), nullptr);
  registry.add(record(1, 7, 2, "two"));
  registry.add(record(1, 7, 1, "one"));
  registry.add(record(1, 7, 2, "again"));
  EXPECT_EQ(registry.find(Rank{1})->host, "two");
  registry.add(record(1, 7, 3, "three"));
  EXPECT_EQ(registry.find(Rank{1})->host, "three");
  EXPECT_EQ(registry.count(), 1u);
}

TEST(Registry, the_missing_are_exactly_those_that_have_not_come) {
  Registry registry(10);
  EXPECT_EQ(registry.missing().to_string(), "0-9");
  for (const std::uint32_t rank : {0u, 4u, 9u}) registry.add(record(rank, 1, 1));
  EXPECT_EQ(registry.missing().to_string(), "1-3, 5-8");
  EXPECT_EQ(registry.missing().count(), 7u);
  EXPECT_FALSE(registry.complete());
  for (std::uint32_t rank = 0; rank < 10; ++rank) registry.add(record(rank, 1, 1));
  EXPECT_TRUE(registry.complete());
  EXPECT_TRUE(registry.missing().empty());
  EXPECT_EQ(registry.records()[9].rank, Rank{9});
}

}  // namespace
}  // namespace banyan::node
