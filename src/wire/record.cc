#include "wire/record.hh"

#include <algorithm>

#include "wire/join.hh"

namespace banyan::wire {
namespace {

constexpr std::size_t kFixedBytes = 4 + 8 + 4 + 4 + 4 + 4;
constexpr std::size_t kLeaderBytes = 1 + 2 + 16 + 2 + 8;

}  // namespace

std::size_t Record::wire_bytes() const {
  return kFixedBytes + (is_leader() ? kLeaderBytes + std::min(host.size(), kMaxHostNameBytes) : 0) + blob.size();
}

void Records::write(Writer& writer) const {
  writer.number(static_cast<std::uint32_t>(records.size()));
  for (const Record& record : records) {
    writer.number(record.rank);
    writer.number(record.incarnation);
    writer.number(record.attachment);
    writer.number(record.position);
    writer.number(record.leader);
    if (record.is_leader()) {
      wire::write(writer, record.endpoint);
      writer.text(record.host, kMaxHostNameBytes);
      writer.number(record.host_id);
    }
    writer.number(static_cast<std::uint32_t>(record.blob.size()));
    writer.raw_bytes(record.blob.bytes());
  }
}

void Records::read(Reader& reader) {
  const auto count = reader.number<std::uint32_t>();
  if (count > reader.remaining() / kFixedBytes) reader.fail();
  for (std::uint32_t i = 0; i < count && !reader.failed(); ++i) {
    Record record;
    record.rank = reader.number<Rank>();
    record.incarnation = reader.number<Incarnation>();
    record.attachment = reader.number<Attachment>();
    record.position = reader.number<Position>();
    record.leader = reader.number<Rank>();
    if (record.is_leader()) {
      record.endpoint = read_endpoint(reader);
      record.host = reader.text(kMaxHostNameBytes);
      record.host_id = reader.number<std::uint64_t>();
    }
    const auto blob_bytes = reader.number<std::uint32_t>();
    if (blob_bytes > kMaxBlobBytes) reader.fail();
    record.blob = Slice::copy(reader.take(reader.failed() ? 0 : blob_bytes));
    records.push_back(std::move(record));
  }
}

}  // namespace banyan::wire
