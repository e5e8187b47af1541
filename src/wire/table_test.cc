#include "wire/table.hh"

#include <algorithm>

#include <gtest/gtest.h>

#include "wire/codec_checks.hh"

namespace banyan::wire {
namespace {

// Ranks 4h .. 4h+3 on host h, led by the first; blobs of unequal size, some empty.
std::vector<Record> some_records(std::uint32_t count, std::size_t longest_blob, std::uint64_t seed) {
  Random random(seed);
  std::vector<Record> records(count);
  for (std::uint32_t rank = 0; rank < count; ++rank) {
    Record& record = records[rank];
    record.rank = Rank{rank};
    record.incarnation = Incarnation{random.next()};
    record.attachment = Attachment{rank + 7};
    record.leader = Rank{rank / 4 * 4};
    record.position = Position{rank / 4};
    if (record.is_leader()) {
      record.endpoint.family = Endpoint::Family::tcp4;
      record.endpoint.port = static_cast<std::uint16_t>(rank + 1);
      record.endpoint.address[3] = std::byte(rank);
      record.host = "host-" + std::to_string(rank / 4);
      record.host_id = rank / 4;
    }
    std::string blob(random.below(3) == 0 ? 0 : random.below(longest_blob + 1), '\0');
    for (char& c : blob) c = static_cast<char>(random.next());
    record.blob = Slice::copy(blob);
  }
  return records;
}

Table::Facts some_facts() {
  Table::Facts facts{.fan_out = 8, .depth = 2, .epoch = Epoch{3, 9}, .job = {}};
  facts.job.bytes[5] = std::byte{0x55};
  return facts;
}

// The table in pieces, as it crosses the wire. Each piece came with two reads, the cut between them anywhere, and both
// in storage of exactly their size.
std::vector<Payload> pieces_of(const Table& table) {
  std::vector<Payload> pieces;
  for (std::uint64_t at = 0; at < table.total_bytes(); at += table.chunk_bytes()) {
    const Payload chunk = table.chunk(at);
    const std::size_t cut = (4099 + at / 11) % chunk.size();
    pieces.emplace_back(Slice::copy(chunk.part(0, cut).flatten().bytes()));
    pieces.back().append(Slice::copy(chunk.part(cut, chunk.size() - cut).flatten().bytes()));
  }
  return pieces;
}

void expect_holds(const Table& table, const std::vector<Record>& records) {
  ASSERT_EQ(table.world_size(), records.size());
  EXPECT_EQ(table.fan_out(), 8u);
  EXPECT_EQ(table.depth(), 2u);
  EXPECT_EQ(table.epoch(), (Epoch{3, 9}));
  EXPECT_EQ(table.job(), some_facts().job);
  EXPECT_EQ(table.hosts(), (records.size() + 3) / 4);
  EXPECT_EQ(table.positions(), (records.size() + 3) / 4);
  for (const Record& record : records) {
    const Record& leader = records[raw(record.leader)];
    EXPECT_EQ(table.incarnation(record.rank), record.incarnation);
    EXPECT_EQ(table.attachment(record.rank), record.attachment);
    EXPECT_EQ(table.position(record.rank), record.position);
    EXPECT_EQ(table.leader(record.rank), record.leader);
    EXPECT_EQ(table.host(record.rank), leader.host);
    EXPECT_EQ(table.leader_endpoint(record.rank), leader.endpoint);
    EXPECT_EQ(table.blob(record.rank), Payload(record.blob)) << raw(record.rank);
  }
}

// Every question that can be asked of a table, whatever it says.
void ask_everything(const Table& table) {
  for (std::uint32_t i = 0; i < table.world_size(); ++i) {
    const Rank rank{i};
    table.incarnation(rank);
    table.attachment(rank);
    table.position(rank);
    ASSERT_LT(raw(table.leader(rank)), table.world_size());
    ASSERT_LE(table.host(rank).size(), table.total_bytes());
    table.leader_endpoint(rank).to_string();
    digest_of(table.blob(rank));  // reads every byte
  }
  Payload whole;
  for (std::uint64_t at = 0; at < table.total_bytes() + 2 * table.chunk_bytes(); at += table.chunk_bytes())
    whole.append(table.chunk(at));
  ASSERT_EQ(digest_of(whole), table.digest());
  ASSERT_TRUE(table.chunk(~std::uint64_t{0}).empty());
}

TEST(Table, it_holds_what_it_was_built_from) {
  for (const std::uint32_t count : {1u, 2u, 4u, 5u, 33u, 1025u, 3000u}) {
    const auto records = some_records(count, count > 1000 ? 200 : 5000, count);
    const auto table = Table::build(records, some_facts());
    ASSERT_NE(table, nullptr);
    expect_holds(*table, records);
    ask_everything(*table);
  }
}

TEST(Table, it_is_the_same_table_after_crossing_the_wire_in_chunks) {
  for (const auto& [count, blob, chunk] :
       {std::tuple(1u, 300u, kChunkBytes), std::tuple(5u, 300u, kChunkBytes), std::tuple(3000u, 300u, kChunkBytes),
        std::tuple(3000u, 4000u, 2 * kChunkBytes)}) {
    const auto records = some_records(count, blob, count);
    const auto built = Table::build(records, some_facts());
    EXPECT_EQ(built->chunk_bytes(), chunk);
    auto pieces = pieces_of(*built);
    EXPECT_EQ(pieces.size(), (built->total_bytes() + chunk - 1) / chunk);
    const auto received = Table::from_wire(std::move(pieces), count);
    ASSERT_NE(received, nullptr);
    expect_holds(*received, records);
    EXPECT_EQ(received->digest(), built->digest());
    ask_everything(*received);
  }
}

TEST(Table, a_lazy_one_holds_all_but_the_blobs) {
  auto records = some_records(3000, 300, 1);
  Table::Facts facts = some_facts();
  EXPECT_FALSE(Table::build(records, facts)->lazy());
  facts.lazy = true;
  const auto built = Table::build(records, facts);
  const auto received = Table::from_wire(pieces_of(*built), 3000);
  ASSERT_NE(received, nullptr);
  EXPECT_TRUE(received->lazy());
  for (Record& record : records) record.blob = {};
  expect_holds(*received, records);
  EXPECT_EQ(received->total_bytes(), Table::build(records, some_facts())->total_bytes());
  ask_everything(*received);
}

TEST(Table, a_blob_that_lies_across_chunks_is_whole) {
  auto records = some_records(3, 0, 1);
  std::string blob(kMaxBlobBytes, 'x');
  for (std::size_t i = 0; i < blob.size(); ++i) blob[i] = static_cast<char>(i / 251);
  for (Record& record : records) record.blob = Slice::copy(blob);
  const auto built = Table::build(records, some_facts());
  const auto received = Table::from_wire(pieces_of(*built), 3);
  ASSERT_NE(received, nullptr);
  for (std::uint32_t rank = 0; rank < 3; ++rank) EXPECT_EQ(received->blob(Rank{rank}).to_string(), blob);
}

TEST(Table, blobs_and_chunks_are_shared_with_the_table) {
  const auto table = Table::build(some_records(4, 100, 2), some_facts());
  const std::byte* begin = table->chunk(0).slice(0).data();
  for (std::uint32_t rank = 0; rank < 4; ++rank) {
    const Payload blob = table->blob(Rank{rank});
    const std::byte* data = blob.empty() ? begin : blob.slice(0).data();
    EXPECT_TRUE(data >= begin && data < begin + table->total_bytes());
  }
}

TEST(Table, hosts_are_told_apart_by_their_ids_not_by_their_names) {
  auto records = some_records(8, 10, 1);
  records[4].host = records[0].host;
  EXPECT_EQ(Table::build(records, some_facts())->hosts(), 2u);
}

TEST(Table, a_root_beside_the_leader_of_its_host_is_no_host_of_its_own) {
  auto records = some_records(4, 10, 1);
  for (std::uint32_t rank = 1; rank < 4; ++rank) {
    records[rank].leader = Rank{1};
    records[rank].position = Position{1};
  }
  records[1].host_id = records[0].host_id;
  const auto table = Table::build(records, some_facts());
  EXPECT_EQ(table->positions(), 2u);
  EXPECT_EQ(table->hosts(), 1u);
}

TEST(Table, a_host_name_is_cut_to_what_a_record_carries) {
  auto records = some_records(1, 10, 1);
  records[0].host = std::string(100'000, 'h');
  const auto table = Table::build(records, some_facts());
  EXPECT_EQ(table->host(Rank{0}), std::string(kMaxHostNameBytes, 'h'));
  EXPECT_EQ(table->blob(Rank{0}), Payload(records[0].blob));
}

TEST(Table, what_can_not_be_a_table_for_so_many_ranks_is_refused) {
  const auto table = Table::build(some_records(5, 10, 1), some_facts());
  const std::string good = table->chunk(0).to_string();
  const auto taken = [](const std::string& bytes, std::uint32_t world_size) {
    return Table::from_wire({Payload::copy(bytes)}, world_size) != nullptr;
  };
  EXPECT_TRUE(taken(good, 5));
  EXPECT_FALSE(taken(good, 4));
  EXPECT_FALSE(taken(good, 6));
  EXPECT_FALSE(taken(good, 0));
  EXPECT_FALSE(Table::from_wire({}, 5) != nullptr);
  for (std::size_t size = 0; size < 64 + 5 * 32; ++size) EXPECT_FALSE(taken(good.substr(0, size), 5)) << size;
  const auto with = [&](std::size_t offset, std::uint32_t value) {
    std::string bytes = good;
    std::memcpy(bytes.data() + offset, &value, sizeof(value));
    return taken(bytes, 5);
  };
  EXPECT_FALSE(with(0, 0)) << "magic";
  EXPECT_FALSE(with(8, 1)) << "fan-out";
  EXPECT_FALSE(with(8, kMaxFanOut + 1)) << "fan-out";
  EXPECT_FALSE(with(12, 6)) << "more positions than ranks";
  EXPECT_FALSE(with(16, 0)) << "no hosts";
  EXPECT_FALSE(with(16, 3)) << "more hosts than positions";
  EXPECT_TRUE(with(48, 1)) << "lazy";
  EXPECT_FALSE(with(48, 2)) << "flags";
  EXPECT_FALSE(with(49, 1)) << "zeros";
  EXPECT_FALSE(with(60, 1)) << "zeros";
}

TEST(Table, chunks_that_do_not_lie_side_by_side_are_refused) {
  const auto table = Table::build(some_records(3000, 100, 1), some_facts());
  const auto pieces = pieces_of(*table);
  ASSERT_GE(pieces.size(), 4u);
  const auto taken = [](std::vector<Payload> chunks) { return Table::from_wire(std::move(chunks), 3000) != nullptr; };
  EXPECT_TRUE(taken(pieces));
  for (std::size_t i = 0; i + 1 < pieces.size(); ++i) {
    auto shorter = pieces;
    shorter[i] = shorter[i].part(0, kChunkBytes - 1);
    EXPECT_FALSE(taken(shorter)) << i;
    auto empty = pieces;
    empty[i] = {};
    EXPECT_FALSE(taken(empty)) << i;
  }
  auto trailing = pieces;
  trailing.push_back({});
  EXPECT_FALSE(taken(trailing));
  auto longer = pieces;
  longer.back() = Payload::copy(std::string(kChunkBytes + 1, 'x'));
  EXPECT_FALSE(taken(longer));
}

TEST(Table, one_that_lies_is_never_read_out_of_bounds) {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    Random random(seed);
    const auto count = static_cast<std::uint32_t>(seed % 300 == 0 ? 1500 : random.between(1, 12));
    const auto table = Table::build(some_records(count, 60, seed), some_facts());
    auto pieces = pieces_of(*table);
    for (std::uint64_t changes = random.between(1, 10); changes > 0; --changes) {
      std::vector<std::byte> bytes(pieces[0].size());
      pieces[0].copy_to(bytes.data());
      // Offsets, leaders and prefix lengths, and anything else.
      const std::size_t record = 64 + 32 * random.below(std::min(count, 1000u));
      constexpr std::size_t kFields[] = {8, 11, 15, 16, 20, 28, 29};
      const std::size_t at =
          random.below(3) == 0 ? 24 + random.below(bytes.size() - 24) : record + kFields[random.below(7)];
      bytes[at] = std::byte(random.below(2) == 0 ? random.next() : random.below(3));
      pieces[0] = Payload(Slice::adopt(std::move(bytes)));
    }
    if (const auto lying = Table::from_wire(std::move(pieces), count)) ask_everything(*lying);
  }
}

TEST(Table, records_that_can_not_be_true_say_nothing) {
  const auto records = some_records(8, 50, 3);
  const std::string good = Table::build(records, some_facts())->chunk(0).to_string();
  constexpr std::size_t kFirst = 64;  // the record of rank 0, a leader
  constexpr std::size_t kOffset = 8;
  constexpr std::size_t kPrefix = 28;
  const auto with = [&](std::size_t at, auto value) {
    std::string bytes = good;
    std::memcpy(bytes.data() + at, &value, sizeof(value));
    return Table::from_wire({Payload::copy(bytes)}, 8);
  };
  const auto says_nothing = [](const Table& table) {
    return table.host(Rank{0}) == "(unknown host)" && table.host(Rank{3}) == "(unknown host)" &&
           !table.leader_endpoint(Rank{0}).known();
  };
  EXPECT_FALSE(says_nothing(*with(0, std::uint32_t{0x314c4254}))) << "unchanged";
  // Its bytes end before they begin, lie outside, or are too few for an endpoint; its prefix is too short or too long.
  for (const std::uint64_t offset : {std::uint64_t{good.size() - 1}, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    EXPECT_TRUE(says_nothing(*with(kFirst + kOffset, offset))) << offset;
    EXPECT_TRUE(with(kFirst + kOffset, offset)->blob(Rank{0}).empty());
  }
  std::uint64_t second = 0;
  std::memcpy(&second, good.data() + kFirst + 32 + kOffset, sizeof(second));
  EXPECT_TRUE(says_nothing(*with(kFirst + kOffset, second - 5)));
  EXPECT_TRUE(says_nothing(*with(kFirst + 32 + kOffset, std::uint64_t{1} << 40))) << "the next one's offset ends it";
  EXPECT_TRUE(says_nothing(*with(kFirst + kPrefix, std::uint16_t{18})));
  const auto long_prefix = with(kFirst + kPrefix, static_cast<std::uint16_t>(good.size() / 2));
  EXPECT_EQ(long_prefix->host(Rank{0}), "(unknown host)");
  EXPECT_TRUE(long_prefix->blob(Rank{0}).empty());
}

TEST(TableChunk, it_arrives_as_it_was_sent) {
  TableChunk chunk;
  chunk.digest[3] = std::byte{7};
  chunk.offset = 3 * kChunkBytes;
  chunk.total = 3 * kChunkBytes + 2;
  const TableChunk copy = round_trip(chunk);
  EXPECT_EQ(copy.digest, chunk.digest);
  EXPECT_EQ(copy.offset, chunk.offset);
  EXPECT_EQ(copy.total, chunk.total);
  expect_exact_length(chunk);
  expect_harmless(chunk, 1);
  chunk.offset += 1;
  EXPECT_FALSE(accepted(chunk)) << "not at a chunk's place";
  chunk.offset = 4 * kChunkBytes;
  EXPECT_FALSE(accepted(chunk)) << "behind the end";
  chunk.total = kStreamChunks * kChunkBytes;
  EXPECT_TRUE(accepted(chunk));
  chunk.total += 1;
  EXPECT_TRUE(accepted(chunk)) << "twice as large, and the fourth chunk is the second";
  chunk.offset = 3 * kChunkBytes;
  EXPECT_FALSE(accepted(chunk)) << "not at the place of one of twice the size";
}

TEST(Acknowledge, it_arrives_as_it_was_sent) {
  EXPECT_EQ(round_trip(Acknowledge{77}).ranks, 77u);
  expect_exact_length(Acknowledge{77});
}

}  // namespace
}  // namespace banyan::wire
