#include "base/endpoint.hh"

#include <algorithm>
#include <cstdio>

namespace banyan {
namespace {

constexpr std::array<std::byte, 12> kMappedPrefix{std::byte{0}, std::byte{0}, std::byte{0},    std::byte{0},
                                                  std::byte{0}, std::byte{0}, std::byte{0},    std::byte{0},
                                                  std::byte{0}, std::byte{0}, std::byte{0xff}, std::byte{0xff}};

unsigned value(std::byte byte) { return std::to_integer<unsigned>(byte); }

std::string ipv6_text(const std::array<std::byte, 16>& address) {
  // RFC 5952: the longest run of zero groups (two or more) becomes "::".
  std::array<unsigned, 8> groups{};
  for (std::size_t i = 0; i < 8; ++i) groups[i] = value(address[2 * i]) << 8 | value(address[2 * i + 1]);
  std::size_t best_start = 8;
  std::size_t best_length = 1;
  for (std::size_t i = 0; i < 8;) {
    std::size_t end = i;
    while (end < 8 && groups[end] == 0) ++end;
    if (end - i > best_length) {
      best_start = i;
      best_length = end - i;
    }
    i = std::max(end, i + 1);
  }
  std::string text;
  for (std::size_t i = 0; i < 8;) {
    if (i == best_start) {
      text += "::";
      i += best_length;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    std::array<char, 8> group{};
    std::snprintf(group.data(), group.size(), "%x", groups[i]);
    text += group.data();
    ++i;
  }
  return text;
}

}  // namespace

bool Endpoint::loopback() const {
  if (family == Family::tcp4) return address[0] == std::byte{127};
  if (family != Family::tcp6) return false;
  if (std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), address.begin())) return address[12] == std::byte{127};
  return std::all_of(address.begin(), address.end() - 1, [](std::byte b) { return b == std::byte{0}; }) &&
         address[15] == std::byte{1};
}

bool Endpoint::wildcard() const {
  return known() && std::all_of(address.begin(), address.end(), [](std::byte b) { return b == std::byte{0}; });
}

std::string Endpoint::to_string() const {
  if (family == Family::tcp6) return "[" + ipv6_text(address) + "]:" + std::to_string(port);
  if (family == Family::none) return "(no address)";
  std::string text;
  for (std::size_t i = 0; i < 4; ++i) text += (i > 0 ? "." : "") + std::to_string(value(address[i]));
  return text + ":" + std::to_string(port);
}

}  // namespace banyan
