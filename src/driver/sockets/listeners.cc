#include "driver/sockets/listeners.hh"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "driver/sockets/engine_runner.hh"
#include "driver/sockets/own_sockets.hh"
#include "driver/sockets/process.hh"

namespace banyan::driver {
namespace {

Socket spare_descriptor() { return Socket(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

std::string refusal(const Address& address, int error) {
  const std::string where = address.endpoint().to_string();
  if (error == EADDRINUSE) return "address " + where + " is in use";
  if (error == EACCES) return "not allowed to listen on " + where + ": " + error_text(error);
  return "can't listen on " + where + ": " + error_text(error);
}

bool loopback(const Address& address) { return address.endpoint().loopback(); }

// All addresses of this host: both families where the system has IPv6.
Address wildcard(std::uint16_t port, bool both_families) {
  return *numeric_address(both_families ? "::" : "0.0.0.0", port);
}

OpenedSocket listen_everywhere(std::uint16_t port, bool both_families, Address& where) {
  where = wildcard(port, both_families);
  OpenedSocket opened = listening_socket(where, true);
  if (!both_families || opened.socket || opened.error == EADDRINUSE) return opened;
  where = wildcard(port, false);
  return listening_socket(where, true);
}

}  // namespace

bool inherits_rendezvous(const RankOptions& options) {
  if (!options.rendezvous_fd || is_own_socket(*options.rendezvous_fd)) return false;
  int listening = 0;
  socklen_t length = sizeof(listening);
  if (::getsockopt(*options.rendezvous_fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) != 0 || listening == 0)
    return false;
  const Endpoint where = local_endpoint(*options.rendezvous_fd);
  const auto fits = [&](const HostAndPort& target) { return target.port == 0 || target.port == where.port; };
  return where.known() && (options.rendezvous.empty() || std::ranges::any_of(options.rendezvous, fits));
}

Listeners::Listeners(Process& process) : process_(process) {}

Listeners::Opened Listeners::begin(EngineRunner& runner, node::Listener kind, Socket socket) {
  if (!spare_) spare_ = spare_descriptor();
  const Endpoint bound = on_this_host(kind) ? Endpoint{} : local_endpoint(socket.get());
  std::error_code error;
  std::optional<Descriptor> descriptor = Descriptor::make(process_.reactor, std::move(socket), error);
  if (!descriptor) return {nullptr, "can't listen: " + error_text(error.value()), {}};
  auto acceptor = std::make_shared<Acceptor>(process_, kind, bound, *std::move(descriptor));
  acceptor->add(runner);
  acceptor->begin();
  return {std::move(acceptor), {}, {}};
}

Listeners::Opened Listeners::open_local(EngineRunner& runner, node::Listener kind, const std::string& name) {
  OpenedSocket opened = listening_socket(Address::abstract(name), false);
  if (opened.socket) return begin(runner, kind, std::move(opened.socket));
  return {nullptr, opened.error == EADDRINUSE ? "in use" : error_text(opened.error), {}};
}

Listeners::Opened Listeners::open_network(EngineRunner& runner, const Endpoint& wanted, const InterfaceChoice& choice,
                                          PortRange ports) {
  Address address = wanted.known() ? Address::of(wanted) : wildcard(0, true);
  if (wanted.known()) {
    if (const Address* chosen = choice.towards(address)) address = *chosen;
  } else if (choice.four || choice.six) {
    address = choice.four ? *choice.four : *choice.six;
  }
  if (wanted.port != 0) ports = {wanted.port, wanted.port};
  const Endpoint key = address.endpoint();
  for (const Shared& shared : network_) {
    if (shared.wanted.family != key.family || shared.wanted.address != key.address) continue;
    if (shared.ports.low != ports.low || shared.ports.high != ports.high) continue;
    shared.acceptor->add(runner);
    return {shared.acceptor, {}, {}};
  }
  int error = EADDRINUSE;
  for (std::uint32_t port = ports.low; port <= ports.high && error == EADDRINUSE; ++port) {
    // Link-local addresses keep the scope that Endpoint has no room for.
    Address where = address;
    if (where.family() == AF_INET)
      reinterpret_cast<sockaddr_in&>(where.storage).sin_port = htons(static_cast<std::uint16_t>(port));
    else
      reinterpret_cast<sockaddr_in6&>(where.storage).sin6_port = htons(static_cast<std::uint16_t>(port));
    OpenedSocket opened = listening_socket(where, true);
    error = opened.error;
    if (!opened.socket) continue;
    Opened begun = begin(runner, node::Listener::network, std::move(opened.socket));
    if (begun.acceptor) network_.push_back({key, ports, begun.acceptor});
    return begun;
  }
  if (error == EADDRINUSE && ports.low < ports.high) {
    return {nullptr,
            "no port from " + std::to_string(ports.low) + " to " + std::to_string(ports.high) + " is free on " +
                address.endpoint().to_string(),
            {}};
  }
  return {nullptr, refusal(address, error), {}};
}

Listeners::Opened Listeners::adopt(EngineRunner& runner, Socket socket) {
  // Flags of a descriptor that others made.
  ::fcntl(socket.get(), F_SETFD, FD_CLOEXEC);
  ::fcntl(socket.get(), F_SETFL, ::fcntl(socket.get(), F_GETFL) | O_NONBLOCK);
  return begin(runner, node::Listener::rendezvous, std::move(socket));
}

TaskOf<Listeners::Opened> Listeners::open_rendezvous(std::shared_ptr<EngineRunner> runner) {
  const std::vector<HostAndPort>& targets = runner->options().rendezvous;
  // A job of one needs no address that others know.
  const HostAndPort target = targets.empty() ? HostAndPort{"127.0.0.1", 0} : targets.front();
  const Resolved resolved = co_await runner->resolve_patiently(runner, target);
  if (resolved.addresses.empty()) co_return Opened{nullptr, resolved.error, {}};
  co_return bind_rendezvous(*runner, target, resolved, targets.size() > 1);
}

Listeners::Opened Listeners::bind_rendezvous(EngineRunner& runner, const HostAndPort& target, const Resolved& resolved,
                                             bool several) {
  Address where = resolved.addresses.front();
  const bool local_only = resolved.literal && loopback(where);
  OpenedSocket opened;
  std::string notice;
  // Many systems let a host's own name mean 127.0.1.1: what the others resolve it to is another address.
  if (local_only || (!several && !loopback(where))) {
    opened = listening_socket(where, where.endpoint().wildcard());
    if (opened.error == EADDRNOTAVAIL) {
      notice = target.host + " is not an address of this host; rank 0 listens on all of its addresses";
      opened = listen_everywhere(target.port, where.family() == AF_INET6, where);
    }
  } else {
    opened = listen_everywhere(target.port, true, where);
  }
  if (!opened.socket) return {nullptr, refusal(where, opened.error), {}};
  Opened begun = begin(runner, node::Listener::rendezvous, std::move(opened.socket));
  begun.notice = std::move(notice);
  return begun;
}

void Listeners::release(const std::shared_ptr<Acceptor>& acceptor, EngineRunner& runner) {
  if (!acceptor->remove(runner)) return;
  acceptor->close();
  std::erase_if(network_, [&](const Shared& shared) { return shared.acceptor == acceptor; });
}

bool Listeners::accept_and_close(int listener) {
  if (!spare_) spare_ = spare_descriptor();
  if (!spare_) return false;
  spare_.reset();
  const bool accepted = static_cast<bool>(accept_one(listener).socket);
  spare_ = spare_descriptor();
  return accepted;
}

}  // namespace banyan::driver
