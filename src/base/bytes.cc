#include "base/bytes.hh"

#include <algorithm>

namespace banyan {

Slice Slice::copy(Bytes bytes) {
  if (bytes.empty()) return {};
  auto storage = std::make_shared_for_overwrite<std::byte[]>(bytes.size());
  std::memcpy(storage.get(), bytes.data(), bytes.size());
  const std::byte* data = storage.get();
  return Slice(std::move(storage), Bytes(data, bytes.size()));
}

void Payload::append(Slice slice) {
  if (slice.empty()) return;
  size_ += slice.size();
  if (size_ == slice.size()) {
    first_ = std::move(slice);
    return;
  }
  Slice& last = rest_.empty() ? first_ : rest_.back();
  if (last.continued_by(slice)) {
    last.extend(slice);
  } else {
    rest_.push_back(std::move(slice));
  }
}

void Payload::append(const Payload& other) {
  // A payload that is appended to itself must not grow while it is read.
  if (&other == this) return append(Payload(other));
  for (std::size_t i = 0; i < other.slice_count(); ++i) append(Slice(other.slice(i)));
}

Payload Payload::part(std::size_t offset, std::size_t count) const {
  Payload result;
  for (std::size_t i = 0; i < slice_count() && count > 0; ++i) {
    const Slice& from = slice(i);
    if (offset >= from.size()) {
      offset -= from.size();
      continue;
    }
    const std::size_t take = std::min(count, from.size() - offset);
    result.append(from.part(offset, take));
    count -= take;
    offset = 0;
  }
  return result;
}

void Payload::copy_to(std::byte* out) const {
  for (std::size_t i = 0; i < slice_count(); ++i) {
    std::memcpy(out, slice(i).data(), slice(i).size());
    out += slice(i).size();
  }
}

std::string Payload::to_string() const {
  std::string text(size_, '\0');
  copy_to(reinterpret_cast<std::byte*>(text.data()));
  return text;
}

Slice Payload::flatten() const {
  if (slice_count() <= 1) return first_;
  auto storage = std::make_shared_for_overwrite<std::byte[]>(size_);
  copy_to(storage.get());
  const std::byte* data = storage.get();
  return Slice(std::move(storage), Bytes(data, size_));
}

bool operator==(const Payload& a, const Payload& b) {
  return a.size() == b.size() && std::ranges::equal(a.flatten().bytes(), b.flatten().bytes());
}

}  // namespace banyan
