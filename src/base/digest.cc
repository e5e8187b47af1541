#include "base/digest.hh"

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

}  // namespace banyan
