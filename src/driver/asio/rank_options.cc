#include "driver/asio/rank_options.hh"

#include <charconv>

namespace banyan::driver {

std::string HostAndPort::to_string() const {
  const bool bare_six = host.find(':') != std::string::npos;
  return (bare_six ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::optional<HostAndPort> HostAndPort::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;  // "fe80::1:4242" could be read in two ways
  }
  HostAndPort result{std::string(host), 0};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), result.port);
  if (host.empty() || digits.empty() || error != std::errc() || end != digits.data() + digits.size())
    return std::nullopt;
  return result;
}

}  // namespace banyan::driver
