#include "driver/sockets/connect_attempt.hh"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "driver/sockets/engine_runner.hh"
#include "driver/sockets/process.hh"

namespace banyan::driver {

ConnectAttempt::ConnectAttempt(Process& process, EngineRunner& runner, node::effect::Connect order, AddressPlace first)
    : process_(process), runner_(&runner), order_(std::move(order)), next_(first) {}

void ConnectAttempt::begin() {
  if (order_.target == node::Target::local) {
    connect_local();
  } else {
    spawn(process_.reactor, connect_network(shared_from_this()));
  }
}

void ConnectAttempt::cancel() {
  runner_ = nullptr;
  if (descriptor_) descriptor_->close();
}

std::optional<LeftOff> ConnectAttempt::left_off() const {
  if (order_.target != node::Target::rendezvous && order_.target != node::Target::host) return std::nullopt;
  return LeftOff{order_.target, order_.host_index, next_};
}

void ConnectAttempt::connect_local() {
  OpenedSocket opened = stream_socket(AF_UNIX);
  const Address address = Address::abstract(order_.name);
  if (!opened.socket) {
    reason_ = "can't make a socket: " + error_text(opened.error);
  } else if (::connect(opened.socket.get(), address.data(), address.length) != 0) {
    // A Unix socket connects at once or not at all.
    reason_ = errno == EAGAIN ? "its accept queue is full" : error_text(errno);
  } else if (!same_user(opened.socket.get())) {
    reason_ = "held by another user";
  } else {
    std::error_code error;
    descriptor_ = Descriptor::make(process_.reactor, std::move(opened.socket), error);
    if (descriptor_) return succeed({});
    reason_ = error_text(error.value());
  }
  fail();
}

std::vector<HostAndPort> ConnectAttempt::targets() const {
  if (order_.target == node::Target::rendezvous) return runner_->options().rendezvous;
  const node::HostList& hosts = runner_->config().hosts;
  if (order_.host_index >= hosts.size()) return {};
  const std::optional<HostAndPort> host = HostAndPort::parse(hosts[order_.host_index]);
  return host ? std::vector{*host} : std::vector<HostAndPort>{};
}

Task ConnectAttempt::connect_network([[maybe_unused]] std::shared_ptr<ConnectAttempt> self) {
  if (order_.target == node::Target::endpoint) {
    const bool connected = co_await try_address(Address::of(order_.endpoint));
    if (!connected) fail();
    co_return;
  }
  reason_ = "no address is known";
  const std::vector<HostAndPort> alternatives = targets();
  const AddressPlace first = next_;
  // Where the search begins within a target's addresses, that target comes again at the end for those before.
  const std::size_t steps = alternatives.empty() ? 0 : alternatives.size() + (first.address > 0 ? 1 : 0);
  for (std::size_t step = 0; step < steps; ++step) {
    const std::size_t target = (first.target + step) % alternatives.size();
    next_ = {target + 1, 0};
    const Resolved resolved = co_await process_.resolver.resolve(alternatives[target]);
    if (runner_ == nullptr) co_return;
    if (resolved.addresses.empty()) reason_ = resolved.error;
    const std::size_t begin = step == 0 ? first.address : 0;
    const std::size_t end =
        step < alternatives.size() ? resolved.addresses.size() : std::min(first.address, resolved.addresses.size());
    for (std::size_t address = begin; address < end; ++address) {
      next_ = {target, address + 1};
      const bool connected = co_await try_address(resolved.addresses[address]);
      if (connected || runner_ == nullptr) co_return;
    }
  }
  fail();
}

TaskOf<bool> ConnectAttempt::try_address(Address address) {
  const Endpoint remote = address.endpoint();
  const auto failed = [&](int error) {
    reason_ = remote.to_string() + ": " + error_text(error);
    descriptor_.reset();
    return false;
  };
  OpenedSocket opened = stream_socket(address.family());
  if (!opened.socket) co_return failed(opened.error);
  const int socket = opened.socket.get();
  keep_alive_and_no_delay(socket, remote.loopback());
  if (!bind_source(socket, address)) co_return failed(errno);
  const bool connected = ::connect(socket, address.data(), address.length) == 0;
  if (!connected && errno != EINPROGRESS) co_return failed(errno);
  std::error_code error;
  descriptor_ = Descriptor::make(process_.reactor, std::move(opened.socket), error);
  if (!descriptor_) co_return failed(error.value());
  if (!connected) {
    co_await descriptor_->writable();
    if (runner_ == nullptr) co_return false;
    int outcome = 0;
    socklen_t length = sizeof(outcome);
    ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &outcome, &length);
    if (outcome != 0) co_return failed(outcome);
  }
  const Endpoint local = local_endpoint(socket);
  if (local == remote) {
    // On one host the system may choose the very port it connects to, while nobody listens there, and join the socket
    // to itself.
    co_return failed(ECONNREFUSED);
  }
  succeed(local);
  co_return true;
}

bool ConnectAttempt::bind_source(int socket, const Address& peer) {
  const Address* source = runner_->interface_choice().towards(peer);
  if (source == nullptr) return true;
  // The port is chosen when the peer is known: then one port serves connections to many peers.
  const int late = 1;
  ::setsockopt(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof(late));
  return ::bind(socket, source->data(), source->length) == 0;
}

void ConnectAttempt::succeed(const Endpoint& local) {
  std::exchange(runner_, nullptr)->connected(*this, *std::move(descriptor_), local);
}

void ConnectAttempt::fail() {
  if (runner_ != nullptr) std::exchange(runner_, nullptr)->connect_failed(order_.link, std::move(reason_));
}

}  // namespace banyan::driver
