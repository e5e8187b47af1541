#include "wire/point_to_point.hh"

#include "wire/join.hh"

namespace banyan::wire {

void Lane::write(Writer& writer) const {
  writer.number(communicator);
  writer.number(space);
  writer.raw_bytes(std::array<std::byte, 3>{});
}

void Lane::read(Reader& reader) {
  communicator = reader.number<CommunicatorId>();
  space = reader.number<Space>();
  for (int i = 0; i < 3; ++i) {
    if (reader.number<std::uint8_t>() != 0) reader.fail();
  }
  if (space > Space::table) reader.fail();
}

void Ends::write(Writer& writer) const {
  writer.number(source);
  writer.number(target);
  writer.number(source_incarnation);
  writer.number(target_incarnation);
  lane.write(writer);
}

void Ends::read(Reader& reader) {
  source = reader.number<Rank>();
  target = reader.number<Rank>();
  source_incarnation = reader.number<Incarnation>();
  target_incarnation = reader.number<Incarnation>();
  lane.read(reader);
}

void Data::write(Writer& writer) const {
  ends.write(writer);
  writer.number(sequence);
  writer.number(tag);
  writer.number(offset);
  writer.number(total);
  writer.number(acknowledged);
}

void Data::read(Reader& reader) {
  ends.read(reader);
  sequence = reader.number<Sequence>();
  tag = reader.number<std::uint32_t>();
  offset = reader.number<std::uint64_t>();
  total = reader.number<std::uint64_t>();
  acknowledged = reader.number<Sequence>();
  if (total > kMaxMessageBytes || offset > total) reader.fail();
}

void Grant::write(Writer& writer) const {
  ends.write(writer);
  writer.number(sequence);
  writer.number(from);
  writer.number(to);
}

void Grant::read(Reader& reader) {
  ends.read(reader);
  sequence = reader.number<Sequence>();
  from = reader.number<std::uint64_t>();
  to = reader.number<std::uint64_t>();
  if (from > to || to > kMaxMessageBytes || to - from > kMaxGrantBytes) reader.fail();
}

void Accept::write(Writer& writer) const {
  ends.write(writer);
  writer.number(sequence);
  writer.number(cumulative);
}

void Accept::read(Reader& reader) {
  ends.read(reader);
  sequence = reader.number<Sequence>();
  cumulative = reader.number<Sequence>();
}

void Undeliverable::write(Writer& writer) const {
  ends.write(writer);
  writer.number(sequence);
  writer.number(static_cast<std::uint8_t>(awaited ? 1 : 0));
  writer.text(reason, kReasonBytes);
}

void Undeliverable::read(Reader& reader) {
  ends.read(reader);
  sequence = reader.number<Sequence>();
  const auto flag = reader.number<std::uint8_t>();
  if (flag > 1) reader.fail();
  awaited = flag == 1;
  reason = reader.text(kReasonBytes);
}

void Direct::write(Writer& writer) const {
  ends.write(writer);
  writer.number(word);
  writer.number(links);
  wire::write(writer, endpoint);
  writer.text(reason, kReasonBytes);
}

void Direct::read(Reader& reader) {
  ends.read(reader);
  word = reader.number<Word>();
  links = reader.number<std::uint32_t>();
  endpoint = read_endpoint(reader);
  reason = reader.text(kReasonBytes);
  if (word != Word::ask && word != Word::offer && word != Word::decline) reader.fail();
  // It is about no message.
  if (ends.lane != Lane{}) reader.fail();
  // One word has one encoding: only an offer says where, by a whole address or none; only a decline says why.
  if (endpoint.known() ? word != Word::offer : endpoint.port != 0) reader.fail();
  if (word != Word::decline && !reason.empty()) reader.fail();
}

}  // namespace banyan::wire
