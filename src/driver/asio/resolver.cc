#include "driver/asio/resolver.hh"

#include <netdb.h>

#include <cstring>
#include <list>
#include <mutex>

#include "driver/asio/quiet_thread.hh"

namespace banyan::driver {

// Shared with the thread that asks.
struct Resolver::Lookup {
  std::mutex mutex;
  Loop* loop = nullptr;  // guarded; none once the resolver is gone

  // The driving thread's.
  std::list<Timer> waiting;  // a timer as a wake-up
  bool done = false;
  Resolved result;
};

namespace {

Resolved ask_system(const std::string& host) {
  Resolved result;
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &list); error != 0) {
    result.error =
        "can't resolve \"" + host + "\": " + (error == EAI_SYSTEM ? error_text(errno) : ::gai_strerror(error));
    return result;
  }
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    Address& address = result.addresses.emplace_back();
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    address.length = entry->ai_addrlen;
  }
  ::freeaddrinfo(list);
  return result;
}

void set_port(Address& address, std::uint16_t port) {
  if (address.family() == AF_INET) reinterpret_cast<sockaddr_in&>(address.storage).sin_port = htons(port);
  if (address.family() == AF_INET6) reinterpret_cast<sockaddr_in6&>(address.storage).sin6_port = htons(port);
}

}  // namespace

Resolver::~Resolver() {
  for (auto& [host, lookup] : lookups_) {
    const std::lock_guard lock(lookup->mutex);
    lookup->loop = nullptr;
    // The asking thread may outlive the loop, and the lookup with it; the loop's timers must not.
    lookup->waiting.clear();
  }
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
  std::shared_ptr<Lookup>& entry = lookups_[target.host];
  if (entry == nullptr) {
    entry = std::make_shared<Lookup>();
    entry->loop = &loop_;
    try {
      quiet_thread([lookup = entry, host = target.host] {
        Resolved answer = ask_system(host);
        const std::lock_guard lock(lookup->mutex);
        if (lookup->loop == nullptr) return;
        lookup->loop->post([lookup, answer = std::move(answer)]() mutable {
          lookup->result = std::move(answer);
          lookup->done = true;
          for (Timer& timer : lookup->waiting) timer.cancel();
        });
      }).detach();
    } catch (const std::system_error& error) {
      lookups_.erase(target.host);
      Resolved refused;
      refused.error = std::string("can't make a thread to resolve \"") + target.host + "\": " + error.what();
      co_return refused;
    }
  }
  const std::shared_ptr<Lookup> lookup = entry;
  const auto wake_up =
      lookup->waiting.emplace(lookup->waiting.end(), loop_.io(), std::chrono::steady_clock::time_point::max());
  while (!lookup->done) {
    std::error_code aborted;
    co_await wake_up->async_wait(asio::redirect_error(kUseTask, aborted));
  }
  lookup->waiting.erase(wake_up);
  // The next who asks asks anew: a name that is not there yet may be there then.
  if (const auto place = lookups_.find(target.host); place != lookups_.end() && place->second == lookup)
    lookups_.erase(place);
  Resolved result = lookup->result;
  for (Address& address : result.addresses) set_port(address, target.port);
  co_return result;
}

}  // namespace banyan::driver
