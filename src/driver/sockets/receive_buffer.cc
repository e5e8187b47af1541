#include "driver/sockets/receive_buffer.hh"

#include "base/assert.hh"

namespace banyan::driver {

std::span<std::byte> ReceiveBlock::room(std::size_t size, std::size_t block_bytes) {
  BANYAN_ASSERT(size <= block_bytes);
  if (capacity_ - used_ < size) {
    storage_ = std::make_shared_for_overwrite<std::byte[]>(block_bytes);
    capacity_ = block_bytes;
    used_ = 0;
  }
  return {storage_.get() + used_, capacity_ - used_};
}

Slice ReceiveBlock::take(std::size_t count) {
  BANYAN_ASSERT(count <= capacity_ - used_);
  const std::byte* first = storage_.get() + used_;
  used_ += count;
  return Slice(storage_, Bytes(first, count));
}

}  // namespace banyan::driver
