// A fast 128-bit digest that detects accidents, not attacks (those are the handshake's concern): XXH3 by Y. Collet.
#pragma once

#include <array>
#include <cstddef>

#include "base/bytes.hh"

namespace banyan {

using Digest = std::array<std::byte, 16>;

Digest digest_of(const Payload& bytes);

}  // namespace banyan
