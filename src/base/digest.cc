#include "base/digest.hh"

#include <cstring>
#include <memory>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace banyan {

Digest digest_of(const Payload& bytes) {
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  for (std::size_t i = 0; i < bytes.slice_count(); ++i) {
    XXH3_128bits_update(&state, bytes.slice(i).data(), bytes.slice(i).size());
  }
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state));
  Digest digest;
  std::memcpy(digest.data(), canonical.digest, digest.size());
  return digest;
}

std::uint64_t short_digest_of(const Payload& bytes) {
  const Digest digest = digest_of(bytes);
  std::uint64_t number = 0;
  std::memcpy(&number, digest.data(), sizeof number);
  return number;
}

}  // namespace banyan
