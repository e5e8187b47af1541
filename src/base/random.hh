// A seeded generator with its own integer distributions, so that one seed gives one run on every
// machine and compiler. Not for secrets (those come from security/). Source: Blackman and Vigna, "xoshiro256**",
// seeded by Steele, Lea and Flood's SplitMix64.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace banyan {

class Random {
 public:
  explicit Random(std::uint64_t seed) {
    for (auto& word : state_) {
      seed += 0x9e37'79b9'7f4a'7c15u;
      std::uint64_t mixed = seed;
      mixed = (mixed ^ (mixed >> 30)) * 0xbf58'476d'1ce4'e5b9u;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d0'49bb'1331'11ebu;
      word = mixed ^ (mixed >> 31);
    }
  }
  std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }
  // Evenly in [0, bound); bound > 0. The bias of the modulus is below 2^-32 for bounds below 2^32.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  // Evenly in [low, high].
  std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + below(high - low + 1); }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace banyan
