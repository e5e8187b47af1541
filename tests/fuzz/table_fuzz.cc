// Any bytes as a table, and every question that can be asked of it: nothing may be read out of bounds, and routing by
// it must end. The root is trusted to mean well, not to be free of defects.
//
// Input: 1 byte (what to mend, so that the interesting part is reached), 1 byte (zeros to append, in units of 512, so
// that tables of several chunks are reached), then the table.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/assert.hh"
#include "node/topology.hh"
#include "wire/table.hh"

namespace banyan {
namespace {

constexpr std::size_t kHeaderBytes = 64;
constexpr std::size_t kRecordBytes = 32;

void patch(std::vector<std::byte>& bytes, std::size_t offset, std::uint32_t value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(value));
}
std::uint32_t number(const std::vector<std::byte>& bytes, std::size_t offset) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

// A header that passes, with as many ranks as the bytes have room for, or fewer. Few are asked more quickly; records
// beyond the first chunk need many.
void mend(std::vector<std::byte>& bytes, bool many) {
  const std::size_t room = (bytes.size() - kHeaderBytes) / kRecordBytes;
  const auto most = static_cast<std::uint32_t>(std::min<std::size_t>(room, many ? 2000 : 20));
  const std::uint32_t world_size = most == 0 ? 0 : 1 + number(bytes, 4) % most;
  patch(bytes, 0, 0x314c4254);
  patch(bytes, 4, world_size);
  patch(bytes, 8, kMinFanOut + number(bytes, 8) % 7);
  patch(bytes, 12, std::max(world_size, 1u));
  patch(bytes, 16, 1);
  bytes[48] &= std::byte{1};
  std::fill(bytes.begin() + 49, bytes.begin() + 64, std::byte{0});
}

std::vector<Payload> cut(const std::vector<std::byte>& bytes, bool in_chunks) {
  if (!in_chunks) return {Payload(Slice::adopt(std::vector<std::byte>(bytes)))};
  std::vector<Payload> chunks;
  const std::size_t chunk_bytes = stream_chunk_bytes(bytes.size());
  for (std::size_t at = 0; at < bytes.size(); at += chunk_bytes) {
    const std::size_t count = std::min(chunk_bytes, bytes.size() - at);
    const Bytes chunk = Bytes(bytes).subspan(at, count);
    // As two reads may bring it, each in storage of its own.
    const std::size_t middle = count / 3;
    chunks.emplace_back(Slice::copy(chunk.first(middle)));
    chunks.back().append(Slice::copy(chunk.subspan(middle)));
  }
  return chunks;
}

void ask_everything(const std::shared_ptr<const wire::Table>& table) {
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < table->world_size(); ++i) {
    const Rank rank{i};
    sum += raw(table->incarnation(rank)) + raw(table->attachment(rank));
    BANYAN_ASSERT(raw(table->leader(rank)) < table->world_size());
    BANYAN_ASSERT(table->host(rank).size() <= table->total_bytes());
    sum += table->leader_endpoint(rank).to_string().size();
    const Payload blob = table->blob(rank);
    BANYAN_ASSERT(blob.size() <= table->total_bytes());
    if (blob.size() < 4096) sum += std::to_integer<unsigned>(digest_of(blob)[0]);
  }
  Payload whole;
  for (std::uint64_t at = 0; at < table->total_bytes() + 2 * table->chunk_bytes(); at += table->chunk_bytes())
    whole.append(table->chunk(at));
  BANYAN_ASSERT(digest_of(whole) == table->digest());
  // Routes by what the table says of positions: some neighbours, and nobody else.
  const std::uint32_t step = 1 + table->world_size() / 20;
  for (std::uint32_t self = 0; self < table->world_size(); self += step) {
    const node::Topology topology(Rank{self}, table, {LinkId{1}, Rank{0}, Position{0}},
                                  {{LinkId{2}, Rank{1}, Position{1}}, {LinkId{3}, Rank{2}, kNoPosition}});
    for (std::uint32_t target = 0; target < table->world_size(); ++target) {
      if (target != self) sum += raw(topology.next_hop(Rank{target}));
    }
  }
  static_cast<void>(sum);
}

void fuzz(Bytes input) {
  if (input.size() < 2 + kHeaderBytes) return;
  const auto mode = std::to_integer<unsigned>(input[0]);
  std::vector<std::byte> bytes(input.begin() + 2, input.end());
  bytes.resize(bytes.size() + 512 * std::to_integer<std::size_t>(input[1]));
  if ((mode & 1) != 0) mend(bytes, (mode & 12) == 12);
  const std::uint32_t world_size = std::min(number(bytes, 4), kMaxWorldSize);
  if (const auto table = wire::Table::from_wire(cut(bytes, (mode & 2) != 0), world_size)) ask_everything(table);
}

}  // namespace
}  // namespace banyan

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  banyan::fuzz(std::as_bytes(std::span(data, size)));
  return 0;
}
