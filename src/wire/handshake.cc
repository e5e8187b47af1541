#include "wire/handshake.hh"

namespace banyan::wire {
namespace {

bool known(Role role) { return role >= Role::joiner && role <= Role::direct; }
bool known(Profile profile) { return profile <= Profile::authenticated; }

}  // namespace

void Hello::write(Writer& writer) const {
  writer.number(kMagic);
  writer.number(version);
  writer.number(role);
  writer.number(profile);
  writer.number(features);
  writer.raw_bytes(job.bytes);
  writer.number(world_size);
  writer.number(from);
  writer.number(to);
  writer.number(incarnation);
  writer.raw_bytes(nonce);
}

void Hello::read(Reader& reader) {
  if (reader.number<std::uint32_t>() != kMagic) reader.fail();
  version = reader.number<std::uint16_t>();
  role = reader.number<Role>();
  profile = reader.number<Profile>();
  features = reader.number<std::uint32_t>();
  job.bytes = reader.array<16>();
  world_size = reader.number<std::uint32_t>();
  from = reader.number<Rank>();
  to = reader.number<Rank>();
  incarnation = reader.number<Incarnation>();
  nonce = reader.array<32>();
  if (!known(role) || !known(profile)) reader.fail();
}

void Challenge::write_unsigned(Writer& writer) const {
  writer.number(kMagic);
  writer.number(version);
  writer.number(profile);
  writer.number(features);
  writer.raw_bytes(job.bytes);
  writer.number(world_size);
  writer.number(from);
  writer.number(incarnation);
  writer.raw_bytes(nonce);
}

void Challenge::write(Writer& writer) const {
  write_unsigned(writer);
  writer.raw_bytes(mac);
}

void Challenge::read(Reader& reader) {
  if (reader.number<std::uint32_t>() != kMagic) reader.fail();
  version = reader.number<std::uint16_t>();
  profile = reader.number<Profile>();
  features = reader.number<std::uint32_t>();
  job.bytes = reader.array<16>();
  world_size = reader.number<std::uint32_t>();
  from = reader.number<Rank>();
  incarnation = reader.number<Incarnation>();
  nonce = reader.array<32>();
  mac = reader.array<32>();
  if (!known(profile)) reader.fail();
}

void Reject::write(Writer& writer) const {
  writer.number(code);
  writer.number(phase);
  writer.number(from);
  writer.text(text, kTextBytes);
}

void Reject::read(Reader& reader) {
  code = reader.number<FailureCode>();
  phase = reader.number<Phase>();
  from = reader.number<Rank>();
  text = reader.text(kTextBytes);
  if (!banyan::known(code) || phase > Phase::closing) reader.fail();
}

std::variant<HelloAddress, PeekError> peek_hello(Bytes first_bytes) {
  // A stranger is known as soon as its bytes can't begin a hello, before a whole one is there.
  Reader early(first_bytes);
  const auto length = early.number<std::uint32_t>();
  if (!early.failed() && length > kMaxUnauthenticatedFrameBytes - kFrameHeaderBytes) return PeekError::not_banyan;
  const auto kind = early.number<Kind>();
  if (!early.failed() && kind != Kind::hello) return PeekError::not_banyan;
  early.take(kFrameHeaderBytes - sizeof(length) - sizeof(kind));
  const auto magic = early.number<std::uint32_t>();
  if (!early.failed() && magic != kMagic) return PeekError::not_banyan;
  if (first_bytes.size() < kFrameHeaderBytes || first_bytes.size() < kFrameHeaderBytes + length)
    return PeekError::incomplete;
  Reader reader(first_bytes.subspan(kFrameHeaderBytes, length));
  Hello hello;
  hello.read(reader);
  if (!reader.finished()) return PeekError::not_banyan;
  return HelloAddress{hello.job, hello.from, hello.to};
}

}  // namespace banyan::wire
