#include "security/mac.hh"

#include <sodium/crypto_auth_hmacsha256.h>
#include <sodium/utils.h>

namespace banyan::security {
namespace {

// libsodium takes no null pointer, not even for no bytes.
const unsigned char* unsigned_data(Bytes bytes) {
  static constexpr unsigned char kNothing = 0;
  return bytes.empty() ? &kNothing : reinterpret_cast<const unsigned char*>(bytes.data());
}

}  // namespace

static_assert(sizeof(Key) == crypto_auth_hmacsha256_BYTES);

Key mac(Bytes secret, std::string_view label, std::initializer_list<Bytes> parts) {
  constexpr std::byte kEndOfLabel{0};
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, unsigned_data(secret), secret.size());
  crypto_auth_hmacsha256_update(&state, unsigned_data(as_byte_span(label)), label.size());
  crypto_auth_hmacsha256_update(&state, unsigned_data(Bytes(&kEndOfLabel, 1)), 1);
  for (const Bytes part : parts) crypto_auth_hmacsha256_update(&state, unsigned_data(part), part.size());
  Key result;
  crypto_auth_hmacsha256_final(&state, reinterpret_cast<unsigned char*>(result.data()));
  return result;
}

bool equal(const Key& a, const Key& b) { return sodium_memcmp(a.data(), b.data(), a.size()) == 0; }

Key NonceSource::next() {
  ++count_;
  return mac(entropy_, "banyan nonce", {std::as_bytes(std::span(&count_, 1))});
}

std::string hidden_name(Bytes secret, std::string_view label, std::initializer_list<Bytes> parts) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const Key code = mac(secret, label, parts);
  std::string name = "banyan-";
  for (std::size_t i = 0; i < 16; ++i) {
    name += kDigits[std::to_integer<std::size_t>(code[i] >> 4)];
    name += kDigits[std::to_integer<std::size_t>(code[i] & std::byte{15})];
  }
  return name;
}

}  // namespace banyan::security
