// Where received bytes land. The engine gets slices of the very blocks that were read into, so nothing is copied; links
// with little traffic share one block, and an idle link holds none.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/bytes.hh"

namespace banyan::driver {

// A block that is filled from front to back and replaced when full. Slices keep it alive.
class ReceiveBlock {
 public:
  // Room for at least `size` bytes: the tail of the block, or a new block of `block_bytes`.
  std::span<std::byte> room(std::size_t size, std::size_t block_bytes);
  // The first `count` bytes of the last room, which were written.
  Slice take(std::size_t count);
  void release() { storage_.reset(), capacity_ = used_ = 0; }

 private:
  std::shared_ptr<std::byte[]> storage_;
  std::size_t capacity_ = 0;
  std::size_t used_ = 0;
};

// How much room one link wants for a read: grows while reads bring that much and shrinks when they bring little.
class ReadSize {
 public:
  static constexpr std::size_t kLeast = 4 * 1024;
  // From here on a link has a block of its own, so that what it brings lies in one piece.
  static constexpr std::size_t kOwnBlock = 32 * 1024;
  // Beyond it fewer system calls save nothing.
  static constexpr std::size_t kGreatest = 256 * 1024;

  std::size_t bytes() const { return bytes_; }
  bool own_block() const { return bytes_ >= kOwnBlock; }
  void adapt(std::size_t received) {
    if (received >= bytes_) {
      bytes_ = bytes_ < kGreatest ? bytes_ * 2 : kGreatest;
    } else if (received < bytes_ / 8 && bytes_ > kLeast) {
      bytes_ /= 2;
    }
  }

 private:
  std::size_t bytes_ = kLeast;
};

// The block that links share while they read little.
inline constexpr std::size_t kSharedBlockBytes = 64 * 1024;

}  // namespace banyan::driver
