// What the driver is told about one rank, beside what its engine is told.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/failure.hh"
#include "node/config.hh"
#include "node/io.hh"

namespace banyan::driver {

// "node1:4242", "[::1]:4242": brackets are put around an IPv6 address that has none. Any number is written as it is.
std::string join_host_and_port(std::string_view host, int port);

struct HostAndPort {
  std::string host;  // a name or a numeric address, IPv6 without brackets
  std::uint16_t port = 0;

  std::string to_string() const { return join_host_and_port(host, port); }
  // Reads "host:port" and "[v6]:port"; none when it is neither. "v6:port" is refused.
  static std::optional<HostAndPort> parse(std::string_view text);
};

// Ports that network listeners may use, both ends included; 0-0: the system chooses.
struct PortRange {
  std::uint16_t low = 0;
  std::uint16_t high = 0;
  bool any() const { return low == 0 && high == 0; }
};

struct RankOptions {
  // host_name, host_key, incarnation, seed and entropy are filled in by Runtime::open where they are empty or 0; uid
  // always.
  node::Config config;

  // Where rank 0 is to be found. Several entries are alternative addresses of the one rendezvous: they are tried in
  // turn. Rank 0 listens there; with several entries it listens on all its addresses.
  std::vector<HostAndPort> rendezvous;
  // A listening socket that rank 0 inherited (BANYAN_RENDEZVOUS_FD). The driver takes it over and closes it. A number
  // that means anything else by now (an earlier rank of the process had it) is left alone, and the rendezvous is bound.
  std::optional<int> rendezvous_fd;

  // Which network to use: an interface ("eth0"), one of this host's addresses, or a network in CIDR notation
  // ("10.0.0.0/8"). Network listeners are bound to it and connections leave from it. Empty: the system's choice.
  std::string interface;
  PortRange ports;

  // Both are called by whichever thread drives the runtime just then, one at a time; they must not block, and may call
  // any function of RankHandle but those that wait.
  std::function<void(const node::effect::Notice&)> on_notice;
  // The job is over for this rank; at most once, also when start() fails. Pending operations end with the same failure.
  std::function<void(const Failure&)> on_failed;
};

}  // namespace banyan::driver
