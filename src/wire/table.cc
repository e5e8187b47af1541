#include "wire/table.hh"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>

#include "base/assert.hh"
#include "wire/join.hh"

namespace banyan::wire {
namespace {

constexpr std::uint32_t kTableMagic = 0x314c4254;  // "TBL1"
constexpr std::uint64_t kHeaderBytes = 64;
constexpr std::uint64_t kRecordBytes = 32;
constexpr std::size_t kPrefixFixedBytes = 1 + 2 + 16;
// Of the header.
constexpr std::uint8_t kLazyFlag = 1;
constexpr std::size_t kHeaderZeros = 15;
static_assert(kChunkBytes % kRecordBytes == 0 && kHeaderBytes % kRecordBytes == 0);

std::uint64_t record_offset(Rank rank) { return kHeaderBytes + raw(rank) * kRecordBytes; }

// What of a host's name crosses the wire, here as in a Record.
std::string_view host_on_wire(const Record& record) {
  return std::string_view(record.host).substr(0, kMaxHostNameBytes);
}

// One piece, or chunks of one size of which the last may be shorter: then an offset says where its byte lies.
bool laid_out_in_chunks(const std::vector<Payload>& chunks, std::uint64_t total) {
  if (chunks.size() == 1) return true;
  const std::size_t size = stream_chunk_bytes(total);
  if (chunks.empty() || chunks.back().empty() || chunks.back().size() > size) return false;
  return std::all_of(chunks.begin(), chunks.end() - 1, [&](const Payload& chunk) { return chunk.size() == size; });
}

}  // namespace

struct Table::Entry {
  Incarnation incarnation{};
  std::uint64_t offset = 0;
  Position position{};
  Rank leader{};
  Attachment attachment{};
  std::uint16_t prefix_bytes = 0;

  void write(Writer& writer) const {
    writer.number(incarnation);
    writer.number(offset);
    writer.number(position);
    writer.number(leader);
    writer.number(attachment);
    writer.number(prefix_bytes);
    writer.number(std::uint16_t{0});
  }
  void read(Reader& reader) {
    incarnation = reader.number<Incarnation>();
    offset = reader.number<std::uint64_t>();
    position = reader.number<Position>();
    leader = reader.number<Rank>();
    attachment = reader.number<Attachment>();
    prefix_bytes = reader.number<std::uint16_t>();
  }
};

void TableChunk::write(Writer& writer) const {
  writer.raw_bytes(digest);
  writer.number(offset);
  writer.number(total);
}

void TableChunk::read(Reader& reader) {
  digest = reader.array<16>();
  offset = reader.number<std::uint64_t>();
  total = reader.number<std::uint64_t>();
  if (offset % stream_chunk_bytes(total) != 0 || offset >= total) reader.fail();
}

namespace {

struct Summary {
  std::uint64_t bytes = kHeaderBytes;
  std::uint32_t positions = 0;
  std::uint32_t hosts = 0;
};

Summary summarize(const std::vector<Record>& records, bool lazy) {
  Summary summary;
  // Several leaders of one host: a root beside its host's leader, or ranks that use TCP only.
  std::set<std::uint64_t> hosts;
  for (const Record& record : records) {
    summary.bytes += kRecordBytes + (lazy ? 0 : record.blob.size());
    if (!record.is_leader()) continue;
    summary.bytes += kPrefixFixedBytes + host_on_wire(record).size();
    ++summary.positions;
    hosts.insert(record.host_id);
  }
  summary.hosts = static_cast<std::uint32_t>(hosts.size());
  return summary;
}

}  // namespace

std::shared_ptr<const Table> Table::build(const std::vector<Record>& records, const Facts& facts) {
  const Summary summary = summarize(records, facts.lazy);
  Writer writer(summary.bytes);
  writer.number(kTableMagic);
  writer.number(static_cast<std::uint32_t>(records.size()));
  writer.number(facts.fan_out);
  writer.number(summary.positions);
  writer.number(summary.hosts);
  writer.number(facts.depth);
  writer.number(facts.epoch.term);
  writer.number(facts.epoch.number);
  writer.raw_bytes(facts.job.bytes);
  writer.number(facts.lazy ? kLazyFlag : std::uint8_t{0});
  writer.raw_bytes(std::array<std::byte, kHeaderZeros>{});
  std::uint64_t offset = kHeaderBytes + records.size() * kRecordBytes;
  for (const Record& record : records) {
    Entry entry{record.incarnation, offset, record.position, record.leader, record.attachment, 0};
    if (record.is_leader())
      entry.prefix_bytes = static_cast<std::uint16_t>(kPrefixFixedBytes + host_on_wire(record).size());
    entry.write(writer);
    offset += entry.prefix_bytes + (facts.lazy ? 0 : record.blob.size());
  }
  for (const Record& record : records) {
    if (record.is_leader()) {
      wire::write(writer, record.endpoint);
      writer.raw_bytes(as_byte_span(host_on_wire(record)));
    }
    if (!facts.lazy) writer.raw_bytes(record.blob.bytes());
  }
  BANYAN_ASSERT(writer.size() == summary.bytes);
  auto table = from_wire({Payload(std::move(writer).finish())}, static_cast<std::uint32_t>(records.size()));
  BANYAN_ASSERT(table != nullptr);
  return table;
}

std::shared_ptr<const Table> Table::from_wire(std::vector<Payload> chunks, std::uint32_t world_size) {
  std::shared_ptr<Table> table(new Table);
  for (const Payload& chunk : chunks) table->total_ += chunk.size();
  if (!laid_out_in_chunks(chunks, table->total_) ||
      table->total_ < kHeaderBytes + std::uint64_t{world_size} * kRecordBytes)
    return nullptr;
  const Slice header = chunks[0].part(0, kHeaderBytes).flatten();
  Reader reader(header.bytes());
  const bool magic = reader.number<std::uint32_t>() == kTableMagic;
  table->world_size_ = reader.number<std::uint32_t>();
  table->fan_out_ = reader.number<std::uint32_t>();
  table->positions_ = reader.number<std::uint32_t>();
  table->hosts_ = reader.number<std::uint32_t>();
  table->depth_ = reader.number<std::uint32_t>();
  table->epoch_.term = reader.number<std::uint32_t>();
  table->epoch_.number = reader.number<std::uint32_t>();
  table->job_.bytes = reader.array<16>();
  const auto flags = reader.number<std::uint8_t>();
  table->lazy_ = flags == kLazyFlag;
  const bool zeros = reader.array<kHeaderZeros>() == std::array<std::byte, kHeaderZeros>{};
  table->chunks_ = std::move(chunks);
  const bool sane = magic && flags <= kLazyFlag && zeros && !reader.failed() && table->world_size_ == world_size &&
                    world_size > 0 && table->fan_out_ >= kMinFanOut && table->fan_out_ <= kMaxFanOut &&
                    table->hosts_ > 0 && table->hosts_ <= table->positions_ && table->positions_ <= world_size;
  return sane ? table : nullptr;
}

Payload Table::range(Span span) const {
  Payload bytes;
  if (span.offset > total_ || span.count > total_ - span.offset) return bytes;
  const std::uint64_t stride = chunks_.size() == 1 ? total_ : chunk_bytes();
  while (span.count > 0) {
    const Payload& chunk = chunks_[span.offset / stride];
    const std::uint64_t within = span.offset % stride;
    const std::uint64_t take = std::min(span.count, chunk.size() - within);
    bytes.append(chunk.part(within, take));
    span.offset += take;
    span.count -= take;
  }
  return bytes;
}

Table::Entry Table::entry(Rank rank) const {
  BANYAN_ASSERT(raw(rank) < world_size_);
  const Slice bytes = range({record_offset(rank), kRecordBytes}).flatten();
  Reader reader(bytes.bytes());
  Entry entry;
  entry.read(reader);
  return entry;
}

Table::Span Table::variable_part(Rank rank) const {
  const std::uint64_t begin = entry(rank).offset;
  const std::uint64_t end = raw(rank) + 1 < world_size_ ? entry(banyan::next(rank)).offset : total_;
  return begin <= end && end <= total_ ? Span{begin, end - begin} : Span{0, 0};
}

Incarnation Table::incarnation(Rank rank) const { return entry(rank).incarnation; }
Attachment Table::attachment(Rank rank) const { return entry(rank).attachment; }
Position Table::position(Rank rank) const { return entry(rank).position; }

Rank Table::leader(Rank rank) const {
  const Rank leader = entry(rank).leader;
  return raw(leader) < world_size_ ? leader : rank;
}

std::string Table::host(Rank rank) const {
  const Rank speaker = leader(rank);
  const std::size_t prefix = entry(speaker).prefix_bytes;
  const Span span = variable_part(speaker);
  if (prefix < kPrefixFixedBytes || prefix > span.count) return "(unknown host)";
  return range({span.offset + kPrefixFixedBytes, prefix - kPrefixFixedBytes}).to_string();
}

Endpoint Table::leader_endpoint(Rank rank) const {
  const Rank speaker = leader(rank);
  const Span span = variable_part(speaker);
  if (entry(speaker).prefix_bytes < kPrefixFixedBytes || span.count < kPrefixFixedBytes) return {};
  const Slice bytes = range({span.offset, kPrefixFixedBytes}).flatten();
  Reader reader(bytes.bytes());
  const Endpoint endpoint = read_endpoint(reader);
  return reader.failed() ? Endpoint{} : endpoint;
}

Payload Table::blob(Rank rank) const {
  const Span span = variable_part(rank);
  const std::uint64_t prefix = entry(rank).prefix_bytes;
  return !lazy_ && prefix <= span.count ? range({span.offset + prefix, span.count - prefix}) : Payload{};
}

bool Table::has_bytes(const std::vector<Payload>& chunks) const {
  const auto slices_of = [](const std::vector<Payload>& payloads) {
    std::vector<Bytes> slices;
    for (const Payload& payload : payloads) {
      for (std::size_t i = 0; i < payload.slice_count(); ++i) slices.push_back(payload.slice(i).bytes());
    }
    return slices;
  };
  const auto size_of = [](const std::vector<Bytes>& slices) {
    return std::accumulate(slices.begin(), slices.end(), std::uint64_t{0},
                           [](std::uint64_t sum, Bytes bytes) { return sum + bytes.size(); });
  };
  std::vector<Bytes> own = slices_of(chunks_);
  std::vector<Bytes> others = slices_of(chunks);
  if (size_of(own) != size_of(others)) return false;
  for (auto a = own.begin(), b = others.begin(); a != own.end();) {
    const std::size_t count = std::min(a->size(), b->size());
    if (a->data() != b->data() && std::memcmp(a->data(), b->data(), count) != 0) return false;
    *a = a->subspan(count);
    *b = b->subspan(count);
    if (a->empty()) ++a;
    if (b->empty()) ++b;
  }
  return true;
}

Payload Table::chunk(std::uint64_t offset) const {
  return range({offset, std::min<std::uint64_t>(chunk_bytes(), total_ - offset)});
}

Digest Table::digest() const { return digest_of(bytes()); }

}  // namespace banyan::wire
