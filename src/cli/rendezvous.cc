#include "cli/rendezvous.hh"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "cli/error.hh"

namespace banyan::cli {
namespace {

// Every rank of a job may knock before rank 0 accepts its first; the kernel cuts this to net.core.somaxconn.
constexpr int kBacklog = 4096;

std::string join(const std::string& host, unsigned port) {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

unsigned port_of(const Descriptor& socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw system_error("read the port of a socket");
  }
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

Error cannot_listen(const HostPort& host_port, const std::string& why) {
  return Error(kExitOwnFailure, fmt::format("cannot listen on {}:{}: {}", host_port.host, host_port.port, why));
}

TakenPort bind_to(const HostPort& host_port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* answer = nullptr;
  const int error = ::getaddrinfo(host_port.host.c_str(), host_port.port.c_str(), &hints, &answer);
  if (error != 0) throw cannot_listen(host_port, ::gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(answer, &::freeaddrinfo);

  TakenPort taken{Descriptor(::socket(answer->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0)), {}};
  if (!taken.socket) throw system_error("make a socket");
  const int yes = 1;
  ::setsockopt(taken.socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (::bind(taken.socket.get(), answer->ai_addr, answer->ai_addrlen) != 0) {
    const bool elsewhere = errno == EADDRNOTAVAIL;
    throw cannot_listen(host_port,
                        std::strerror(errno) + std::string(elsewhere ? " (rank 0 runs on this machine)" : ""));
  }
  taken.address = join(host_port.host, port_of(taken.socket));
  return taken;
}

}  // namespace

HostPort parse_host_port(const std::string& text) {
  const auto bad = [&] { return Error(kExitBadInput, fmt::format("'{}' is not HOST:PORT", text)); };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) throw bad();
  HostPort host_port{text.substr(0, colon), text.substr(colon + 1)};
  if (host_port.host.starts_with('[') && host_port.host.ends_with(']')) {
    host_port.host = host_port.host.substr(1, host_port.host.size() - 2);
  } else if (host_port.host.find(':') != std::string::npos) {
    throw Error(kExitBadInput, fmt::format("'{}' is not HOST:PORT: an IPv6 address stands in brackets", text));
  }
  const bool digits = !host_port.port.empty() && host_port.port.size() <= 5 &&
                      std::ranges::all_of(host_port.port, [](char c) { return c >= '0' && c <= '9'; });
  if (host_port.host.empty() || !digits || std::stoul(host_port.port) > 65535) throw bad();
  return host_port;
}

TakenPort listen_on(const HostPort& host_port) {
  TakenPort taken = bind_to(host_port);
  if (::listen(taken.socket.get(), kBacklog) != 0) throw cannot_listen(host_port, std::strerror(errno));
  return taken;
}

TakenPort hold_port(const std::string& host) { return bind_to({host, "0"}); }

}  // namespace banyan::cli
