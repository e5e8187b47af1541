#include "wire/join.hh"

#include <algorithm>

namespace banyan::wire {
namespace {

std::uint32_t read_fan_out(Reader& reader) {
  const auto fan_out = reader.number<std::uint32_t>();
  if (fan_out < kMinFanOut || fan_out > kMaxFanOut) reader.fail();
  return fan_out;
}

}  // namespace

void write(Writer& writer, const Endpoint& endpoint) {
  writer.number(endpoint.family);
  writer.number(endpoint.port);
  writer.raw_bytes(endpoint.address);
}

Endpoint read_endpoint(Reader& reader) {
  Endpoint endpoint;
  endpoint.family = reader.number<Endpoint::Family>();
  endpoint.port = reader.number<std::uint16_t>();
  endpoint.address = reader.array<16>();
  using enum Endpoint::Family;
  if (endpoint.family != none && endpoint.family != tcp4 && endpoint.family != tcp6) reader.fail();
  // One endpoint has one encoding: what its family does not use is zero.
  const std::size_t used = endpoint.family == tcp6 ? 16 : endpoint.family == tcp4 ? 4 : 0;
  const auto zero = [](std::byte b) { return b == std::byte{0}; };
  if (!std::all_of(endpoint.address.begin() + static_cast<std::ptrdiff_t>(used), endpoint.address.end(), zero))
    reader.fail();
  return endpoint;
}

void Join::write(Writer& writer) const {
  writer.number(position);
  writer.number(attachment);
  wire::write(writer, endpoint);
  writer.text(host, kMaxHostNameBytes);
  writer.number(unreachable);
  writer.number(reason);
}

void Join::read(Reader& reader) {
  position = reader.number<Position>();
  attachment = reader.number<Attachment>();
  endpoint = read_endpoint(reader);
  host = reader.text(kMaxHostNameBytes);
  unreachable = reader.number<Rank>();
  reason = reader.number<FailureCode>();
  if (unreachable == kNoRank ? reason != FailureCode{} : !known(reason)) reader.fail();
}

void Placement::write(Writer& writer) const {
  writer.number(position);
  writer.number(fan_out);
  writer.number(parent);
  wire::write(writer, endpoint);
  writer.text(host, kMaxHostNameBytes);
}

void Placement::read(Reader& reader) {
  position = reader.number<Position>();
  fan_out = read_fan_out(reader);
  parent = reader.number<Rank>();
  endpoint = read_endpoint(reader);
  host = reader.text(kMaxHostNameBytes);
}

void Welcome::write(Writer& writer) const {
  writer.number(position);
  writer.number(fan_out);
  writer.text(host, kMaxHostNameBytes);
}

void Welcome::read(Reader& reader) {
  position = reader.number<Position>();
  fan_out = read_fan_out(reader);
  host = reader.text(kMaxHostNameBytes);
}

}  // namespace banyan::wire
