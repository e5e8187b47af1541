#include "raw_peer.hh"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <gtest/gtest.h>

#include "scripted_machine.hh"
#include "wire/handshake.hh"

namespace banyan::driver_test {
namespace {

driver::Address address_of(const Meeting& where) {
  return where.kind == Meeting::Kind::local ? driver::Address::abstract(where.name)
                                            : driver::Address::of(where.endpoint);
}

void make_blocking(int socket) { ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) & ~O_NONBLOCK); }

[[noreturn]] void give_up(const std::string& what) {
  throw std::runtime_error(what + ": " + driver::error_text(errno));
}

}  // namespace

const char* to_string(Meeting::Kind kind) {
  return kind == Meeting::Kind::tcp4 ? "tcp4" : kind == Meeting::Kind::tcp6 ? "tcp6" : "local";
}

Endpoint loopback4(std::uint16_t port) { return driver::numeric_address("127.0.0.1", port)->endpoint(); }
Endpoint loopback6(std::uint16_t port) { return driver::numeric_address("::1", port)->endpoint(); }

Meeting meeting(Meeting::Kind kind) {
  static std::atomic<int> count{0};
  Meeting where;
  where.kind = kind;
  if (kind == Meeting::Kind::tcp4) where.endpoint = loopback4();
  if (kind == Meeting::Kind::tcp6) where.endpoint = loopback6();
  if (kind == Meeting::Kind::local)
    where.name = "banyan-test-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
  return where;
}

RawPeer::RawPeer(driver::Socket socket) : socket_(std::move(socket)) { make_blocking(socket_.get()); }

RawPeer RawPeer::connect(const Meeting& where) {
  const driver::Address address = address_of(where);
  driver::Socket socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket || ::connect(socket.get(), address.data(), address.length) != 0) give_up("can't connect");
  return RawPeer(std::move(socket));
}

void RawPeer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) give_up("can't send");
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void RawPeer::try_to_send(std::string_view bytes) {
  [[maybe_unused]] const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

bool RawPeer::readable_within(std::chrono::milliseconds time) {
  pollfd entry{socket_.get(), POLLIN, 0};
  return ::poll(&entry, 1, static_cast<int>(time.count())) == 1;
}

std::string RawPeer::receive(std::size_t count) {
  std::string bytes(count, '\0');
  std::size_t have = 0;
  while (have < count) {
    if (!readable_within(kPatience)) give_up("only " + std::to_string(have) + " bytes came");
    const ssize_t received = ::recv(socket_.get(), bytes.data() + have, count - have, 0);
    if (received <= 0) give_up("the end after " + std::to_string(have) + " bytes");
    have += static_cast<std::size_t>(received);
  }
  return bytes;
}

std::string RawPeer::receive_to_end() {
  std::string bytes;
  std::array<char, 65536> buffer;
  for (;;) {
    if (!readable_within(kPatience)) give_up("no end came");
    const ssize_t received = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (received <= 0) return bytes;
    bytes.append(buffer.data(), static_cast<std::size_t>(received));
  }
}

bool RawPeer::ends_within(std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  std::array<char, 4096> buffer;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() < 0 || !readable_within(left)) return false;
    if (::recv(socket_.get(), buffer.data(), buffer.size(), 0) <= 0) return true;
  }
}

void RawPeer::end_sending() { ::shutdown(socket_.get(), SHUT_WR); }

void RawPeer::reset() {
  const linger at_once{1, 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  socket_.reset();
}

RawListener::RawListener(Meeting where) : where_(std::move(where)) {
  driver::OpenedSocket opened = driver::listening_socket(address_of(where_), false);
  errno = opened.error;
  if (!opened.socket) give_up("can't listen");
  socket_ = std::move(opened.socket);
  make_blocking(socket_.get());
  if (where_.kind != Meeting::Kind::local) where_.endpoint = driver::local_endpoint(socket_.get());
}

RawPeer RawListener::accept() {
  pollfd entry{socket_.get(), POLLIN, 0};
  if (::poll(&entry, 1, static_cast<int>(std::chrono::milliseconds(kPatience).count())) != 1)
    give_up("nobody connects");
  return RawPeer(std::move(driver::accept_one(socket_.get()).socket));
}

std::string hello(Rank to, JobId job, Rank from) {
  wire::Hello message;
  message.role = wire::Role::child;
  message.job = job;
  message.world_size = 16;
  message.from = from;
  message.to = to;
  return wire::encode(message, Epoch{}).to_string();
}

JobId job_id(unsigned char fill) {
  JobId job;
  job.bytes.fill(std::byte{fill});
  return job;
}

std::string pattern(std::size_t count) {
  std::string bytes(count, '\0');
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<char>((i * 2654435761u) >> 13);
  return bytes;
}

}  // namespace banyan::driver_test
