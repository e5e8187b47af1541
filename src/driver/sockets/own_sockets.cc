#include "driver/sockets/own_sockets.hh"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace banyan::driver {
namespace {

// fs.nr_open, unless it was raised; what lies beyond stays open in children. Untouched pages cost nothing.
constexpr int kMaxDescriptors = 1 << 20;
constexpr int kBitsPerWord = 64;

std::array<std::atomic<std::uint64_t>, kMaxDescriptors / kBitsPerWord> owned{};
std::atomic<int> greatest{-1};

bool known(int descriptor) { return descriptor >= 0 && descriptor < kMaxDescriptors; }
std::atomic<std::uint64_t>& word_of(int descriptor) {
  return owned[static_cast<std::size_t>(descriptor / kBitsPerWord)];
}
std::uint64_t bit_of(int descriptor) { return std::uint64_t{1} << (descriptor % kBitsPerWord); }

}  // namespace

bool own_socket(int descriptor) {
  if (!known(descriptor)) return true;
  int before = greatest.load(std::memory_order_relaxed);
  while (before < descriptor && !greatest.compare_exchange_weak(before, descriptor, std::memory_order_relaxed)) {
  }
  return (word_of(descriptor).fetch_or(bit_of(descriptor), std::memory_order_relaxed) & bit_of(descriptor)) == 0;
}

void disown_socket(int descriptor) {
  if (known(descriptor)) word_of(descriptor).fetch_and(~bit_of(descriptor), std::memory_order_relaxed);
}

bool is_own_socket(int descriptor) {
  return known(descriptor) && (word_of(descriptor).load(std::memory_order_relaxed) & bit_of(descriptor)) != 0;
}

void close_own_sockets() {
  for (int descriptor = 0; descriptor <= greatest.load(std::memory_order_relaxed); ++descriptor) {
    if (!is_own_socket(descriptor)) continue;
    disown_socket(descriptor);
    ::close(descriptor);
  }
}

}  // namespace banyan::driver
