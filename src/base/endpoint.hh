// A resolved address that a process can be reached at, as the protocol carries it.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>

namespace banyan {

struct Endpoint {
  enum class Family : std::uint8_t { none = 0, tcp4 = 4, tcp6 = 6 };

  Family family = Family::none;
  std::uint16_t port = 0;
  std::array<std::byte, 16> address{};  // network byte order; IPv4 uses the first four bytes

  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
  bool known() const { return family != Family::none; }
  bool loopback() const;          // 127.0.0.0/8, ::1 and ::ffff:127.0.0.0/104
  bool wildcard() const;          // 0.0.0.0 or ::, not an unknown address
  std::string to_string() const;  // "10.0.0.1:4242", "[fe80::1]:4242"
};

}  // namespace banyan
