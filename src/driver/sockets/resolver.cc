#include "driver/sockets/resolver.hh"

#include <list>

namespace banyan::driver {

struct Resolver::Lookup {
  std::list<Pause> waiting;
  bool done = false;
  Resolved result;
};

namespace {

void set_port(Address& address, std::uint16_t port) {
  if (address.family() == AF_INET) reinterpret_cast<sockaddr_in&>(address.storage).sin_port = htons(port);
  if (address.family() == AF_INET6) reinterpret_cast<sockaddr_in6&>(address.storage).sin6_port = htons(port);
}

}  // namespace

// An answer that is still to come keeps its lookup; the pauses in there are the reactor's.
Resolver::~Resolver() {
  for (auto& [host, lookup] : lookups_) lookup->waiting.clear();
}

std::optional<Resolved> Resolver::at_once(const HostAndPort& target) {
  Resolved result;
  result.literal = true;
  if (const std::optional<Address> address = numeric_address(target.host, target.port)) {
    result.addresses.push_back(*address);
    return result;
  }
  // RFC 6761, 6.3: the name means loopback, whatever a name server says.
  if (target.host == "localhost") {
    result.addresses = {*numeric_address("127.0.0.1", target.port), *numeric_address("::1", target.port)};
    return result;
  }
  return std::nullopt;
}

TaskOf<Resolved> Resolver::resolve(HostAndPort target) {
  if (std::optional<Resolved> known = at_once(target)) co_return *std::move(known);
  std::shared_ptr<Lookup> lookup = lookups_[target.host];
  if (lookup == nullptr) {
    lookups_[target.host] = lookup = std::make_shared<Lookup>();
    reactor_.look_up(target.host, [lookup](Resolved answer) {
      lookup->result = std::move(answer);
      lookup->done = true;
      for (Pause& pause : lookup->waiting) pause.end();
    });
  }
  const auto pause = lookup->waiting.emplace(lookup->waiting.end(), reactor_);
  while (!lookup->done) co_await pause->until(kNever);
  lookup->waiting.erase(pause);
  // The next who asks asks anew: a name that is not there yet may be there then.
  if (const auto place = lookups_.find(target.host); place != lookups_.end() && place->second == lookup)
    lookups_.erase(place);
  Resolved result = lookup->result;
  for (Address& address : result.addresses) set_port(address, target.port);
  co_return result;
}

}  // namespace banyan::driver
