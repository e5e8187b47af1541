#include "wire/control.hh"

#include <algorithm>

namespace banyan::wire {

void write(Writer& writer, const RankSet& ranks) {
  const std::size_t count = std::min(ranks.ranges().size(), kMaxRangesOnWire);
  writer.number(static_cast<std::uint16_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    writer.number(ranks.ranges()[i].first);
    writer.number(ranks.ranges()[i].last);
  }
}

RankSet read_ranks(Reader& reader) {
  RankSet ranks;
  const auto count = reader.number<std::uint16_t>();
  if (count > kMaxRangesOnWire) reader.fail();
  std::uint64_t least = 0;
  for (std::uint16_t i = 0; i < count && !reader.failed(); ++i) {
    const auto first = reader.number<std::uint32_t>();
    const auto last = reader.number<std::uint32_t>();
    // Sorted, disjoint, apart from each other: one set has one encoding.
    if (first < least || last < first || last >= kMaxWorldSize) {
      reader.fail();
      break;
    }
    ranks.insert(RankSet::Range{first, last});
    least = std::uint64_t{last} + 2;
  }
  return ranks;
}

void write(Writer& writer, const Failure& failure) {
  writer.number(failure.code);
  writer.number(failure.phase);
  write(writer, failure.ranks);
  writer.text(failure.host, kMaxHostNameBytes);
  writer.text(failure.text, kMaxTextBytes);
}

Failure read_failure(Reader& reader) {
  Failure failure;
  failure.code = reader.number<FailureCode>();
  failure.phase = reader.number<Phase>();
  failure.ranks = read_ranks(reader);
  failure.host = reader.text(kMaxHostNameBytes);
  failure.text = reader.text(kMaxTextBytes);
  if (!known(failure.code)) reader.fail();
  if (failure.phase > Phase::closing) reader.fail();
  return failure;
}

void Status::write(Writer& writer) const {
  writer.number(missing_count);
  wire::write(writer, missing);
  writer.text(obstacle, kMaxTextBytes);
}

void Status::read(Reader& reader) {
  missing_count = reader.number<std::uint64_t>();
  missing = read_ranks(reader);
  obstacle = reader.text(kMaxTextBytes);
  if (missing_count < missing.count()) reader.fail();
}

void Report::write(Writer& writer) const {
  writer.number(rank);
  writer.number(incarnation);
  writer.number(attachment);
  wire::write(writer, failure);
}

void Report::read(Reader& reader) {
  rank = reader.number<Rank>();
  incarnation = reader.number<Incarnation>();
  attachment = reader.number<Attachment>();
  failure = read_failure(reader);
}

void Leave::write(Writer& writer) const {
  writer.number(static_cast<std::uint8_t>(gave_up ? 1 : 0));
  wire::write(writer, missing);
}

void Leave::read(Reader& reader) {
  const auto flag = reader.number<std::uint8_t>();
  if (flag > 1) reader.fail();
  gave_up = flag == 1;
  missing = read_ranks(reader);
}

}  // namespace banyan::wire
