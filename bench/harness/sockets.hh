// Sockets that wait. For the baselines; a peer that hangs up, or fails otherwise, is an exception.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

namespace banyan::bench {

class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Socket();

  bool open() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }
  // The caller closes it.
  int release() { return std::exchange(descriptor_, -1); }
  void close() { Socket().swap(*this); }
  void swap(Socket& other) { std::swap(descriptor_, other.descriptor_); }

  void send(const void* bytes, std::size_t size) const;
  // All of them.
  void receive(void* bytes, std::size_t size) const;
  template <typename Value>
  void send(const Value& value) const {
    send(&value, sizeof(value));
  }
  template <typename Value>
  Value receive() const {
    Value value;
    receive(&value, sizeof(value));
    return value;
  }

 private:
  int descriptor_ = -1;
};

// An IPv4 address and a port, as they stand on the wire of the baselines.
struct Address {
  std::uint32_t ip = 0;  // in network order
  std::uint16_t port = 0;
  std::uint16_t padding = 0;
};

Address address_of(const std::string& ip, int port);
// At a port that the system chooses.
std::pair<Socket, Address> listen_at(const std::string& ip);
// At a free port that the system gives to no client by itself: who closes the socket can bind the port anew.
std::pair<Socket, Address> listen_at_quiet_port(const std::string& ip);
void send_without_delay(int descriptor);
Socket accept_from(const Socket& listener);
Socket connect_to(const Address& address);

// One direction of an exchange.
struct Transfer {
  const Socket* socket;
  bool sends;
  char* bytes;
  std::size_t size;
  std::size_t done = 0;
};
// All at once, so that nobody waits for a neighbour that waits for it.
void exchange(std::span<Transfer> transfers);

}  // namespace banyan::bench
