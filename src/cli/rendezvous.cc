#include "cli/rendezvous.hh"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "cli/error.hh"

namespace banyan::cli {
namespace {

// Every rank of a job may knock before rank 0 accepts its first; the kernel cuts this to net.core.somaxconn.
constexpr int kBacklog = 4096;

std::uint16_t port_of(const Descriptor& socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw system_error("read the port of a socket");
  }
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

Error cannot_listen(const driver::HostAndPort& host_port, const std::string& why) {
  return Error(kExitOwnFailure, fmt::format("cannot listen on {}: {}", host_port.to_string(), why));
}

TakenPort bind_to(const driver::HostAndPort& host_port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* answer = nullptr;
  const int error = ::getaddrinfo(host_port.host.c_str(), std::to_string(host_port.port).c_str(), &hints, &answer);
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
  taken.address = driver::HostAndPort{host_port.host, port_of(taken.socket)}.to_string();
  return taken;
}

}  // namespace

driver::HostAndPort parse_host_port(const std::string& text) {
  if (auto host_port = driver::HostAndPort::parse(text)) return *std::move(host_port);
  throw Error(
      kExitBadInput,
      fmt::format("'{}' is not HOST:PORT; a port is at most 65535, and an IPv6 address stands in brackets", text));
}

TakenPort listen_on(const driver::HostAndPort& host_port) {
  TakenPort taken = bind_to(host_port);
  if (::listen(taken.socket.get(), kBacklog) != 0) throw cannot_listen(host_port, std::strerror(errno));
  return taken;
}

TakenPort hold_port(const std::string& host) { return bind_to({host, 0}); }

}  // namespace banyan::cli
