#include "driver/sockets/socket.hh"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>

#include "driver/sockets/own_sockets.hh"

namespace banyan::driver {
namespace {

// The kernel cuts this down to net.core.somaxconn. Deep, since all ranks of a job may come within a millisecond.
constexpr int kAcceptBacklog = 4096;
// An idle connection is probed; when so many probes in a row are not answered, the peer's host is gone. A process that
// stands still (in a debugger, on a busy machine) answers, by its kernel: TCP_USER_TIMEOUT would count against it that
// it takes no data. With data on its way a lost host is noticed by the kernel's own retries alone, after about 15
// minutes.
constexpr std::chrono::seconds kProbeInterval{5};
constexpr int kProbes = 3;
static_assert(kProbeInterval * (1 + kProbes) == kPeerGoneAfter);

void set_option(int socket, int level, int name, int value) {
  ::setsockopt(socket, level, name, &value, sizeof(value));
}

}  // namespace

int Socket::release() {
  disown_socket(descriptor_);
  return std::exchange(descriptor_, -1);
}

void Socket::reset(int descriptor) {
  if (const int before = release(); before >= 0) ::close(before);
  descriptor_ = descriptor;
  own_socket(descriptor);
}

Address Address::of(const Endpoint& endpoint) {
  Address address;
  if (endpoint.family == Endpoint::Family::tcp4) {
    auto& ip = reinterpret_cast<sockaddr_in&>(address.storage);
    ip.sin_family = AF_INET;
    ip.sin_port = htons(endpoint.port);
    std::memcpy(&ip.sin_addr, endpoint.address.data(), sizeof(ip.sin_addr));
    address.length = sizeof(ip);
  } else if (endpoint.family == Endpoint::Family::tcp6) {
    auto& ip = reinterpret_cast<sockaddr_in6&>(address.storage);
    ip.sin6_family = AF_INET6;
    ip.sin6_port = htons(endpoint.port);
    std::memcpy(&ip.sin6_addr, endpoint.address.data(), sizeof(ip.sin6_addr));
    address.length = sizeof(ip);
  }
  return address;
}

Address Address::abstract(std::string_view name) {
  Address address;
  auto& local = reinterpret_cast<sockaddr_un&>(address.storage);
  local.sun_family = AF_UNIX;
  name = name.substr(0, kMaxAbstractName);
  // The leading NUL makes it a name of the network namespace instead of a file.
  std::memcpy(local.sun_path + 1, name.data(), name.size());
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return address;
}

Endpoint Address::endpoint() const {
  Endpoint result;
  if (storage.ss_family == AF_INET) {
    const auto& ip = reinterpret_cast<const sockaddr_in&>(storage);
    result.family = Endpoint::Family::tcp4;
    result.port = ntohs(ip.sin_port);
    std::memcpy(result.address.data(), &ip.sin_addr, sizeof(ip.sin_addr));
  } else if (storage.ss_family == AF_INET6) {
    const auto& ip = reinterpret_cast<const sockaddr_in6&>(storage);
    result.port = ntohs(ip.sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&ip.sin6_addr)) {
      result.family = Endpoint::Family::tcp4;
      std::memcpy(result.address.data(), ip.sin6_addr.s6_addr + 12, 4);
    } else {
      result.family = Endpoint::Family::tcp6;
      std::memcpy(result.address.data(), &ip.sin6_addr, sizeof(ip.sin6_addr));
    }
  }
  return result;
}

std::optional<Address> numeric_address(std::string_view text, std::uint16_t port) {
  const std::size_t percent = text.find('%');
  const std::string bare(text.substr(0, percent));
  Address address;
  auto& four = reinterpret_cast<sockaddr_in&>(address.storage);
  if (percent == std::string_view::npos && ::inet_pton(AF_INET, bare.c_str(), &four.sin_addr) == 1) {
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    address.length = sizeof(four);
    return address;
  }
  address = {};
  auto& six = reinterpret_cast<sockaddr_in6&>(address.storage);
  if (::inet_pton(AF_INET6, bare.c_str(), &six.sin6_addr) != 1) return std::nullopt;
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  if (percent != std::string_view::npos) {
    six.sin6_scope_id = ::if_nametoindex(std::string(text.substr(percent + 1)).c_str());
    if (six.sin6_scope_id == 0) return std::nullopt;
  }
  address.length = sizeof(six);
  return address;
}

OpenedSocket stream_socket(int family) {
  Socket socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int error = socket ? 0 : errno;
  return {std::move(socket), error};
}

OpenedSocket listening_socket(const Address& address, bool dual_stack) {
  OpenedSocket opened = stream_socket(address.family());
  if (!opened.socket) return opened;
  const int socket = opened.socket.get();
  if (address.family() != AF_UNIX) {
    // So that a job can start again while connections of the last one are still in TIME_WAIT.
    set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1);
    if (address.family() == AF_INET6) set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, dual_stack ? 0 : 1);
  }
  if (::bind(socket, address.data(), address.length) != 0 || ::listen(socket, kAcceptBacklog) != 0) {
    opened.error = errno;
    opened.socket.reset();
  }
  return opened;
}

AcceptedSocket accept_one(int listener) {
  AcceptedSocket accepted;
  accepted.remote.length = sizeof(accepted.remote.storage);
  accepted.socket =
      Socket(::accept4(listener, accepted.remote.data(), &accepted.remote.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!accepted.socket) {
    accepted.error = errno;
  } else if (accepted.remote.family() != AF_UNIX) {
    // Not inherited from the listener: others may have made it, and callers may have come before it was ours.
    keep_alive_and_no_delay(accepted.socket.get(), accepted.remote.endpoint().loopback());
  }
  return accepted;
}

Endpoint local_endpoint(int socket) {
  Address address;
  address.length = sizeof(address.storage);
  if (::getsockname(socket, address.data(), &address.length) != 0) return {};
  return address.endpoint();
}

void keep_alive_and_no_delay(int socket, bool loopback) {
  set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  if (loopback) return;  // this host is not going away without us
  set_option(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(socket, IPPROTO_TCP, TCP_KEEPIDLE, static_cast<int>(kProbeInterval.count()));
  set_option(socket, IPPROTO_TCP, TCP_KEEPINTVL, static_cast<int>(kProbeInterval.count()));
  set_option(socket, IPPROTO_TCP, TCP_KEEPCNT, kProbes);
}

std::optional<uid_t> peer_uid(int socket) {
  ucred credentials{};
  socklen_t length = sizeof(credentials);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return std::nullopt;
  return credentials.uid;
}

bool same_user(int socket) { return peer_uid(socket) == ::geteuid(); }

std::string error_text(int error) {
  std::string text = std::generic_category().message(error);
  if (!text.empty()) text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return text;
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace banyan::driver
