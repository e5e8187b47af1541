#include "driver/sockets/interface_choice.hh"

#include <ifaddrs.h>
#include <net/if.h>

#include <charconv>
#include <cstring>
#include <memory>
#include <vector>

namespace banyan::driver {
namespace {

struct LocalAddress {
  std::string interface;
  Address address;

  std::string to_string() const {
    std::string text = address.endpoint().to_string();
    return interface + " " + text.substr(0, text.rfind(':'));
  }
};

std::vector<LocalAddress> local_addresses() {
  std::vector<LocalAddress> result;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return result;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || (entry->ifa_flags & IFF_UP) == 0) continue;
    const int family = entry->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    LocalAddress& found = result.emplace_back();
    found.interface = entry->ifa_name;
    found.address.length = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    std::memcpy(&found.address.storage, entry->ifa_addr, found.address.length);
  }
  return result;
}

bool link_local(const Address& address) {
  return address.family() == AF_INET6 &&
         IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_addr);
}

// The first of each family; an address that only holds on one wire is the last choice.
void adopt(InterfaceChoice& choice, const Address& address) {
  std::optional<Address>& place = address.family() == AF_INET ? choice.four : choice.six;
  if (!place || (link_local(*place) && !link_local(address))) place = address;
}

bool in_network(const Endpoint& address, const Endpoint& network, unsigned prefix) {
  if (address.family != network.family) return false;
  for (unsigned i = 0; i < prefix; ++i) {
    const auto bit = std::byte{0x80} >> (i % 8);
    if ((address.address[i / 8] & bit) != (network.address[i / 8] & bit)) return false;
  }
  return true;
}

struct Network {
  Endpoint base;
  unsigned prefix = 0;
};

std::optional<Network> parse_network(const std::string& text) {
  const std::size_t slash = text.find('/');
  const std::optional<Address> base = numeric_address(std::string_view(text).substr(0, slash), 0);
  if (!base) return std::nullopt;
  Network network{base->endpoint(), base->family() == AF_INET ? 32u : 128u};
  if (slash == std::string::npos) return network;
  const char* first = text.data() + slash + 1;
  const char* last = text.data() + text.size();
  unsigned prefix = 0;
  const auto [end, error] = std::from_chars(first, last, prefix);
  if (error != std::errc() || end != last || prefix > network.prefix) return std::nullopt;
  network.prefix = prefix;
  return network;
}

}  // namespace

const Address* InterfaceChoice::towards(const Address& peer) const {
  if (peer.endpoint().loopback()) return nullptr;
  const std::optional<Address>& choice = peer.family() == AF_INET ? four : six;
  return choice ? &*choice : nullptr;
}

std::variant<InterfaceChoice, std::string> choose_interface(const std::string& text) {
  const std::vector<LocalAddress> all = local_addresses();
  const std::optional<Network> network = parse_network(text);
  InterfaceChoice choice;
  for (const LocalAddress& local : all) {
    const bool fits =
        network ? in_network(local.address.endpoint(), network->base, network->prefix) : local.interface == text;
    if (fits) adopt(choice, local.address);
  }
  if (choice.four || choice.six) return choice;
  std::string have;
  for (const LocalAddress& local : all) have += (have.empty() ? "" : ", ") + local.to_string();
  return "no interface or address of this host fits \"" + text + "\"; it has: " + (have.empty() ? "none" : have);
}

}  // namespace banyan::driver
