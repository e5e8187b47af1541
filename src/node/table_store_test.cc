// Ranks of one process hold one table.
#include "node/table_store.hh"

#include <gtest/gtest.h>

#include "wire/record.hh"

namespace banyan::node {
namespace {

std::shared_ptr<const wire::Table> some_table(std::uint64_t incarnation) {
  std::vector<wire::Record> records(2);
  for (std::uint32_t rank = 0; rank < 2; ++rank) {
    records[rank].rank = Rank{rank};
    records[rank].leader = Rank{0};
    records[rank].incarnation = Incarnation{incarnation + rank};
  }
  return wire::Table::build(records, {.fan_out = 2, .depth = 0, .epoch = {1, 1}, .job = {}});
}

std::vector<Payload> copy_of(const wire::Table& table) { return {Payload(Slice::copy(table.chunk(0).to_string()))}; }

TEST(TableStore, those_who_received_the_same_table_hold_one) {
  TableStore store;
  const auto sent = some_table(5);
  const auto first = store.take(copy_of(*sent), sent->digest(), 2, false);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(store.take(copy_of(*sent), sent->digest(), 2, false), first);
  const auto other = some_table(9);
  const auto second = store.take(copy_of(*other), other->digest(), 2, false);
  ASSERT_NE(second, nullptr);
  EXPECT_NE(second, first);
  EXPECT_EQ(second->incarnation(Rank{1}), Incarnation{10});
}

TEST(TableStore, bytes_that_are_not_those_of_the_digest_are_refused_even_when_that_is_known) {
  TableStore store;
  const auto sent = some_table(5);
  const auto first = store.take(copy_of(*sent), sent->digest(), 2, false);
  std::string damaged = sent->chunk(0).to_string();
  damaged.back() = static_cast<char>(damaged.back() + 1);
  EXPECT_EQ(store.take({Payload::copy(damaged)}, sent->digest(), 2, false), nullptr);
  EXPECT_EQ(store.take(copy_of(*sent), sent->digest(), 3, false), nullptr);
}

TEST(TableStore, a_table_that_is_cut_otherwise_is_the_same) {
  TableStore store;
  const auto sent = some_table(5);
  const auto first = store.take(copy_of(*sent), sent->digest(), 2, false);
  const std::string bytes = sent->chunk(0).to_string();
  Payload pieces;
  for (std::size_t at = 0; at < bytes.size(); at += 7)
    pieces.append(Slice::copy(std::string_view(bytes).substr(at, 7)));
  EXPECT_EQ(store.take({pieces}, sent->digest(), 2, false), first);
}

// The digest is known to whoever has a blob in the table, and easy to meet with other bytes.
TEST(TableStore, of_other_bytes_with_the_same_digest_nobody_gets_the_first_ones) {
  TableStore store;
  const auto sent = some_table(5);
  const auto other = some_table(9);
  const auto first = store.take(copy_of(*sent), sent->digest(), 2, false);
  // Under the digest of the first, as if it were its own as well.
  EXPECT_NE(store.take(copy_of(*other), sent->digest(), 2, false), first);
}

TEST(TableStore, it_keeps_no_table_alive) {
  TableStore store;
  const auto sent = some_table(5);
  std::weak_ptr<const wire::Table> watched = store.take(copy_of(*sent), sent->digest(), 2, false);
  EXPECT_TRUE(watched.expired());
  EXPECT_NE(store.take(copy_of(*sent), sent->digest(), 2, false), nullptr);
}

}  // namespace
}  // namespace banyan::node
