#include "wire/store.hh"

#include <utility>

namespace banyan::wire {
namespace {

Slice read_value(Reader& reader, std::size_t bytes, std::size_t most = kMaxStoreValueBytes) {
  if (bytes > most) reader.fail();
  return Slice::copy(reader.take(reader.failed() ? 0 : bytes));
}

}  // namespace

void StoreRequest::write(Writer& writer) const {
  writer.number(what);
  writer.number(number);
  writer.number(static_cast<std::uint16_t>(key.size()));
  writer.raw_bytes(as_byte_span(key));
  if (what == What::add) writer.number(delta);
  if (what == What::compare_set) {
    writer.number(static_cast<std::uint8_t>(expected ? 1 : 0));
    if (expected) {
      writer.number(static_cast<std::uint32_t>(expected->size()));
      writer.raw_bytes(expected->bytes());
    }
  }
  writer.raw_bytes(value.bytes());
}

void StoreRequest::read(Reader& reader) {
  what = reader.number<What>();
  number = reader.number<std::uint32_t>();
  const auto key_bytes = reader.number<std::uint16_t>();
  if (what < What::put || what > What::forget || number == kRequests) reader.fail();
  if (key_bytes == 0 || key_bytes > kMaxStoreKeyBytes) reader.fail();
  const Bytes bytes = reader.take(reader.failed() ? 0 : key_bytes);
  key.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (what == What::add) delta = reader.number<std::int64_t>();
  if (what == What::compare_set) {
    const auto flag = reader.number<std::uint8_t>();
    if (flag > 1) reader.fail();
    if (flag == 1) expected = read_value(reader, reader.number<std::uint32_t>());
  }
  const std::size_t rest = kMaxStoreValueBytes - (expected ? expected->size() : 0);
  if (what == What::put || what == What::compare_set) value = read_value(reader, reader.remaining(), rest);
}

Payload StoreRequest::to_message() const {
  Writer writer(12 + key.size() + value.size() + (expected ? expected->size() : 0));
  write(writer);
  return Payload(std::move(writer).finish());
}

bool StoreAnswer::carries(std::size_t tail_bytes) const {
  const bool brings = status == Status::done || status == Status::differs;
  return tail_bytes <= (brings ? kMaxStoreValueBytes : 0);
}

void StoreAnswer::read(Reader& reader) {
  status = reader.number<Status>();
  if (status < Status::done || status > Status::full) reader.fail();
}

Payload StoreAnswer::to_message(const Payload& value) const {
  Writer writer(kBytes);
  write(writer);
  Payload message(std::move(writer).finish());
  message.append(value);
  return message;
}

}  // namespace banyan::wire
