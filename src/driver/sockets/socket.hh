// System calls on sockets as values and outcomes: what Asio does not do (credentials, abstract names, scatter-gather
// without allocation) and what the driver does at once instead of waiting for readiness first.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/endpoint.hh"

namespace banyan::driver {

// Owns a descriptor, which children of fork() close (own_sockets.hh).
class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor) { reset(descriptor); }
  ~Socket() { reset(); }
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    reset(std::exchange(other.descriptor_, -1));
    return *this;
  }
  explicit operator bool() const { return descriptor_ >= 0; }
  int get() const { return descriptor_; }
  int release();
  void reset(int descriptor = -1);

 private:
  int descriptor_ = -1;
};

// A socket, or why there is none (errno).
struct OpenedSocket {
  Socket socket;
  int error = 0;
};

// An IP address with port, or an abstract Unix name.
struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;

  static Address of(const Endpoint& endpoint);
  static Address abstract(std::string_view name);  // at most kMaxAbstractName bytes
  const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* data() { return reinterpret_cast<sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  // None for a Unix name. An IPv4 address in IPv6's clothes comes out as IPv4.
  Endpoint endpoint() const;
};
inline constexpr std::size_t kMaxAbstractName = 107;

// A numeric address: none when `text` is a name. IPv6 may carry a scope ("fe80::1%eth0").
std::optional<Address> numeric_address(std::string_view text, std::uint16_t port);

// Streams: non-blocking, closed on exec.
OpenedSocket stream_socket(int family);
// Bound and listening; ready for accept_one.
OpenedSocket listening_socket(const Address& address, bool dual_stack);

struct AcceptedSocket {
  Socket socket;
  Address remote;
  int error = 0;
};
AcceptedSocket accept_one(int listener);

Endpoint local_endpoint(int socket);
// Small frames leave at once, and on an idle connection a peer whose host is gone is noticed after kPeerGoneAfter.
inline constexpr std::chrono::seconds kPeerGoneAfter{20};
void keep_alive_and_no_delay(int socket, bool loopback);
// The uid at the other end of a Unix socket; none when the system does not say.
std::optional<uid_t> peer_uid(int socket);
// True when the other end of a Unix socket is this process's own user.
bool same_user(int socket);

// "connection refused": strerror in lower case, thread-safe.
std::string error_text(int error);

// Raises this process's soft limit of descriptors to its hard limit: a leader of 1,024 ranks needs more than 1,024.
void raise_descriptor_limit();

}  // namespace banyan::driver
