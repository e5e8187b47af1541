// Who this process is: its host's name and key, its user, and the random numbers of one life as a rank. All from the
// system, none cached across fork().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/ids.hh"

namespace banyan::driver {

// For people; cut to kMaxHostNameBytes.
std::string host_name();
// The same for all processes that can reach each other through abstract Unix sockets: boot id, network namespace, user.
// (Network namespaces of one machine share name and boot id, but not their Unix names.)
std::string host_key();
std::uint32_t user_id();

// From the system's generator, which cryptography may use.
struct RandomNumbers {
  Incarnation incarnation{};  // never 0
  std::uint64_t seed = 0;
  std::array<std::byte, 32> entropy{};
};
RandomNumbers random_numbers();

}  // namespace banyan::driver
