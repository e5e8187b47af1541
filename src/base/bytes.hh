// Immutable bytes with shared ownership, so that a payload crosses the core without being copied:
// a Slice is one contiguous run, a Payload is a sequence of slices (what a scatter-gather write takes).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace banyan {

using Bytes = std::span<const std::byte>;

inline Bytes as_byte_span(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

class Slice {
 public:
  Slice() = default;
  // Shares `owner`, which keeps `bytes` alive.
  Slice(std::shared_ptr<const void> owner, Bytes bytes) : owner_(std::move(owner)), bytes_(bytes) {}
  Slice(const Slice&) = default;
  Slice& operator=(const Slice&) = default;
  // What was moved from is empty: it owns nothing that its bytes could point to.
  Slice(Slice&& other) noexcept : owner_(std::move(other.owner_)), bytes_(std::exchange(other.bytes_, {})) {}
  Slice& operator=(Slice&& other) noexcept {
    owner_ = std::move(other.owner_);
    bytes_ = std::exchange(other.bytes_, {});
    return *this;
  }
  ~Slice() = default;
  // The one place that copies: bytes that come from outside the core.
  static Slice copy(Bytes bytes);
  static Slice copy(std::string_view text) { return copy(as_byte_span(text)); }
  // Takes over a container (std::string, std::vector<std::byte>, ...) without copying its bytes.
  template <typename Container>
  static Slice adopt(Container container) {
    auto owner = std::make_shared<const Container>(std::move(container));
    return Slice(owner, std::as_bytes(std::span(owner->data(), owner->size())));
  }

  Bytes bytes() const { return bytes_; }
  const std::byte* data() const { return bytes_.data(); }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  // What keeps the bytes alive.
  const std::shared_ptr<const void>& owner() const { return owner_; }
  // A part that shares the same owner. offset + count <= size().
  Slice part(std::size_t offset, std::size_t count) const { return Slice(owner_, bytes_.subspan(offset, count)); }
  Slice part(std::size_t offset) const { return Slice(owner_, bytes_.subspan(offset)); }
  // True when `next` continues this slice in the same storage; then the two can be one slice.
  bool continued_by(const Slice& next) const {
    return owner_ == next.owner_ && bytes_.data() + bytes_.size() == next.bytes_.data();
  }
  // Grows by `next`, for which continued_by(next) holds.
  void extend(const Slice& next) { bytes_ = Bytes(bytes_.data(), bytes_.size() + next.size()); }

 private:
  std::shared_ptr<const void> owner_;
  Bytes bytes_;
};

class Payload {
 public:
  Payload() = default;
  explicit Payload(Slice slice) { append(std::move(slice)); }
  Payload(const Payload&) = default;
  Payload& operator=(const Payload&) = default;
  // What was moved from is empty.
  Payload(Payload&& other) noexcept { *this = std::move(other); }
  Payload& operator=(Payload&& other) noexcept {
    first_ = std::move(other.first_);
    rest_ = std::exchange(other.rest_, {});
    size_ = std::exchange(other.size_, 0);
    return *this;
  }
  ~Payload() = default;
  static Payload copy(Bytes bytes) { return Payload(Slice::copy(bytes)); }
  static Payload copy(std::string_view text) { return Payload(Slice::copy(text)); }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // Empty slices are dropped; a slice that continues the last one is joined with it.
  void append(Slice slice);
  void append(const Payload& other);
  // The bytes [offset, offset + count), shared. offset + count <= size().
  Payload part(std::size_t offset, std::size_t count) const;
  // Copies into `out`, which holds exactly size() bytes.
  void copy_to(std::byte* out) const;
  std::string to_string() const;
  // The same bytes as one slice: shared when they are contiguous already, copied otherwise.
  Slice flatten() const;

  std::size_t slice_count() const { return size_ == 0 ? 0 : 1 + rest_.size(); }
  const Slice& slice(std::size_t index) const { return index == 0 ? first_ : rest_[index - 1]; }

  friend bool operator==(const Payload& a, const Payload& b);

 private:
  // Nearly every payload is one or two slices: the first stands inside the object.
  Slice first_;
  std::vector<Slice> rest_;
  std::size_t size_ = 0;
};

}  // namespace banyan
