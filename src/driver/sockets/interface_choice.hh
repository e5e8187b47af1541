// Which of this host's addresses to use: what the user wrote as an interface, an address or a network, looked up among
// the addresses that the host has.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "driver/sockets/socket.hh"

namespace banyan::driver {

struct InterfaceChoice {
  std::optional<Address> four;
  std::optional<Address> six;

  // The chosen address to use towards `peer`: of its family, and none towards loopback.
  const Address* towards(const Address& peer) const;
};

// A sentence when nothing on this host fits; it lists what there is.
std::variant<InterfaceChoice, std::string> choose_interface(const std::string& text);

}  // namespace banyan::driver
