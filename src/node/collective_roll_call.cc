#include "node/collective_roll_call.hh"

#include "base/cursor.hh"
#include "wire/control.hh"

namespace banyan::node {

void MissingRanks::insert(Rank rank) {
  named.insert(rank);
  ++count;
}

void MissingRanks::insert(const MissingRanks& other) {
  named.insert(other.named);
  count += other.count;
}

void MissingRanks::erase(Rank rank) {
  if (!named.contains(rank)) return;
  named.erase(rank);
  --count;
}

std::string MissingRanks::to_string() const {
  RankSet shown;
  std::size_t ranges = 0;
  for (const RankSet::Range& range : named.ranges()) {
    if (++ranges > kMaxRangesOnWire) break;
    shown.insert(range);
  }
  std::string text = shown.to_string(kMaxRangesOnWire);
  if (count > shown.count()) text += " and " + std::to_string(count - shown.count()) + " more";
  return text;
}

Payload MissingRanks::write() const {
  Writer writer;
  writer.number(count);
  wire::write(writer, named);
  return Payload(std::move(writer).finish());
}

std::optional<MissingRanks> MissingRanks::read(const Payload& tail, std::uint32_t world_size) {
  const Slice bytes = tail.flatten();
  Reader reader(bytes.bytes());
  MissingRanks missing;
  missing.count = reader.number<std::uint64_t>();
  missing.named = wire::read_ranks(reader);
  const bool in_world = missing.named.empty() || missing.named.ranges().back().last < world_size;
  if (!reader.finished() || !in_world || missing.count < missing.named.count() || missing.count > world_size) {
    return std::nullopt;
  }
  return missing;
}

}  // namespace banyan::node
