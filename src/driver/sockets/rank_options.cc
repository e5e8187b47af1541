#include "driver/sockets/rank_options.hh"

#include <charconv>

#include <fmt/format.h>

namespace banyan::driver {

std::string join_host_and_port(std::string_view host, int port) {
  const bool bare_six = host.find(':') != std::string_view::npos && !host.starts_with('[');
  return bare_six ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
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
