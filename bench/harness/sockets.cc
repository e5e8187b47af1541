#include "sockets.hh"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <random>
#include <stdexcept>

#include "system.hh"

namespace banyan::bench {
namespace {

sockaddr_in system_address(const Address& address) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = address.ip;
  in.sin_port = htons(address.port);
  return in;
}

[[noreturn]] void peer_left() { throw std::runtime_error("a peer closed its connection"); }

constexpr int kFirstQuietPort = 20'000;
constexpr int kLastQuietPort = 29'999;
// A socket takes as much without its reader's help, so that a plain send can't wait for a neighbour that also sends.
constexpr std::size_t kFitsIntoSocket = std::size_t{16} * 1024;

// False: nothing more can be moved at the moment.
bool move_some(Transfer& transfer) {
  char* const bytes = transfer.bytes + transfer.done;
  const std::size_t size = transfer.size - transfer.done;
  const int descriptor = transfer.socket->descriptor();
  const ssize_t moved = transfer.sends ? ::send(descriptor, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                                       : ::recv(descriptor, bytes, size, MSG_DONTWAIT);
  if (moved < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  checked(moved, transfer.sends ? "send" : "recv");
  if (moved == 0) peer_left();
  transfer.done += static_cast<std::size_t>(moved);
  return transfer.done < transfer.size;
}

}  // namespace

Socket::~Socket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void Socket::send(const void* bytes, std::size_t size) const {
  for (const auto* at = static_cast<const char*>(bytes); size > 0;) {
    const ssize_t sent = ::send(descriptor_, at, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    checked(sent, "send");
    at += sent;
    size -= static_cast<std::size_t>(sent);
  }
}

void Socket::receive(void* bytes, std::size_t size) const {
  for (auto* at = static_cast<char*>(bytes); size > 0;) {
    const ssize_t received = ::recv(descriptor_, at, size, MSG_WAITALL);
    if (received < 0 && errno == EINTR) continue;
    if (checked(received, "recv") == 0) peer_left();
    at += received;
    size -= static_cast<std::size_t>(received);
  }
}

Address address_of(const std::string& ip, int port) {
  Address address;
  in_addr binary{};
  if (::inet_pton(AF_INET, ip.c_str(), &binary) != 1) throw std::runtime_error(ip + " is no IPv4 address");
  address.ip = binary.s_addr;
  address.port = static_cast<std::uint16_t>(port);
  return address;
}

namespace {

// Not open: the port is taken.
std::pair<Socket, Address> try_to_listen(Address address) {
  sockaddr_in in = system_address(address);
  socklen_t length = sizeof(in);
  Socket listener(checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  const int bound = ::bind(listener.descriptor(), reinterpret_cast<sockaddr*>(&in), length);
  if (bound < 0 && errno == EADDRINUSE) return {};
  checked(bound, "bind");
  checked(::listen(listener.descriptor(), SOMAXCONN), "listen");
  checked(::getsockname(listener.descriptor(), reinterpret_cast<sockaddr*>(&in), &length), "getsockname");
  address.port = ntohs(in.sin_port);
  return {std::move(listener), address};
}

}  // namespace

std::pair<Socket, Address> listen_at(const std::string& ip) {
  auto found = try_to_listen(address_of(ip, 0));
  if (!found.first.open()) throw std::runtime_error("no port is free");
  return found;
}

std::pair<Socket, Address> listen_at_quiet_port(const std::string& ip) {
  std::random_device random;
  for (;;) {
    const int port = kFirstQuietPort + static_cast<int>(random() % (kLastQuietPort - kFirstQuietPort + 1));
    if (auto found = try_to_listen(address_of(ip, port)); found.first.open()) return found;
  }
}

void send_without_delay(int descriptor) {
  const int on = 1;
  checked(::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), "TCP_NODELAY");
}

Socket accept_from(const Socket& listener) {
  Socket socket(checked(::accept4(listener.descriptor(), nullptr, nullptr, SOCK_CLOEXEC), "accept4"));
  send_without_delay(socket.descriptor());
  return socket;
}

Socket connect_to(const Address& address) {
  const sockaddr_in in = system_address(address);
  Socket socket(checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  send_without_delay(socket.descriptor());
  checked(::connect(socket.descriptor(), reinterpret_cast<const sockaddr*>(&in), sizeof(in)), "connect");
  return socket;
}

void exchange(std::span<Transfer> transfers) {
  if (std::ranges::all_of(transfers, [](const Transfer& t) { return t.size <= kFitsIntoSocket; })) {
    for (const Transfer& transfer : transfers) {
      if (transfer.sends) transfer.socket->send(transfer.bytes, transfer.size);
    }
    for (const Transfer& transfer : transfers) {
      if (!transfer.sends) transfer.socket->receive(transfer.bytes, transfer.size);
    }
    return;
  }
  for (;;) {
    std::array<pollfd, 4> waiting{};
    nfds_t count = 0;
    for (Transfer& transfer : transfers) {
      if (transfer.done == transfer.size) continue;
      while (move_some(transfer)) {
      }
      if (transfer.done == transfer.size) continue;
      waiting.at(count++) = {transfer.socket->descriptor(), static_cast<short>(transfer.sends ? POLLOUT : POLLIN), 0};
    }
    if (count == 0) return;
    checked(::poll(waiting.data(), count, -1), "poll");
  }
}

}  // namespace banyan::bench
