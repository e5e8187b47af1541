// The cryptography of the handshake: HMAC-SHA-256 under the job secret, by libsodium. What each code covers is said in
// docs/protocol.md, "Handshake". Nothing here asks the system for anything: randomness comes in as `entropy`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/bytes.hh"

namespace banyan::security {

using Key = std::array<std::byte, 32>;

// HMAC-SHA-256(secret, label || 0 || parts...). A label is used for one purpose only; parts are of fixed length or
// framed.
Key mac(Bytes secret, std::string_view label, std::initializer_list<Bytes> parts);

// In constant time.
bool equal(const Key& a, const Key& b);

// Unpredictable values from 32 bytes of entropy that the driver drew once; each call gives another.
class NonceSource {
 public:
  explicit NonceSource(const Key& entropy) : entropy_(entropy) {}
  Key next();

 private:
  Key entropy_;
  std::uint64_t count_ = 0;
};

// "banyan-" and 32 hex digits of mac(secret, label, parts): a name that a stranger can't guess.
std::string hidden_name(Bytes secret, std::string_view label, std::initializer_list<Bytes> parts);

}  // namespace banyan::security
