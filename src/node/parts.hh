// The bytes of many ranks, by rank, in one stream that is read where it lies: the result of gather and allgather. No
// engine takes it apart, since all ranks of a large job hold one; applications do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hh"

namespace banyan::node {

// The stream: for each rank the place where its bytes end (kEndBytes, counted from the first rank's), then all bytes.
class Parts {
 public:
  static constexpr std::size_t kEndBytes = sizeof(std::uint64_t);

  // Of no ranks.
  Parts() = default;
  // Small parts are copied side by side, others shared.
  static Parts join(const std::vector<Payload>& parts);
  // None: the last part doesn't end where the stream does. What single ends say is checked when they are read: the
  // root is trusted.
  static std::optional<Parts> from_stream(Payload stream, std::uint32_t count);

  std::size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  // Empty where the ends make no sense. i < size().
  Payload operator[](std::size_t i) const;
  // All of them at once, in one walk; none if the ends go back and forth, so that parts would overlap.
  std::optional<std::vector<Payload>> split() const;
  const Payload& stream() const { return stream_; }
  // The same, where an equal stream stands.
  Parts at(Payload stream) const { return Parts(std::move(stream), count_); }

 private:
  Parts(Payload stream, std::size_t count) : stream_(std::move(stream)), count_(count) {}
  std::uint64_t end_of(std::size_t i) const;

  Payload stream_;
  std::size_t count_ = 0;
};

}  // namespace banyan::node
