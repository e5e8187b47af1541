// A fast 128-bit digest that detects accidents, not attacks (those are the handshake's concern): XXH3 by Y. Collet.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.hh"

namespace banyan {

using Digest = std::array<std::byte, 16>;

Digest digest_of(const Payload& bytes);
// The first 8 bytes of it as a number, where few bits are enough.
std::uint64_t short_digest_of(const Payload& bytes);

}  // namespace banyan
