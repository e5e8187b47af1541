// How long bytes take from one host to another: distance, jitter, and what else the two hosts' links carry.
#pragma once

#include <cstdint>
#include <vector>

#include "base/random.hh"
#include "base/time.hh"

namespace banyan::sim {

struct NetworkOptions {
  Duration latency{};                // one way, between hosts
  Duration spine_latency{};          // more, between hosts of different racks
  std::uint32_t hosts_per_rack = 0;  // 0: all in one
  Duration local_latency{};          // within a host
  // Evenly up to this much more for each burst of bytes; and one burst in `slow_one_in` (0: none) takes up to `slow`
  // more. Bytes of one connection never overtake each other.
  Duration jitter{};
  std::uint32_t slow_one_in = 0;
  Duration slow{};
  // Of each host's link, each way; 0: without limit.
  std::uint64_t bytes_per_second = 0;
  // What a rack's link to the spine carries, each way; 0: as much as its hosts.
  std::uint64_t rack_bytes_per_second = 0;
};

class Network {
 public:
  using Host = std::uint32_t;

  Network(const NetworkOptions& options, Random& random) : options_(options), random_(random) {}

  // When bytes that leave at `now` have arrived, if nothing on the same connection is before them.
  Time arrival(Time now, Host from, Host to, std::size_t bytes);
  // A packet without bytes, one way.
  Time trip(Time now, Host from, Host to);
  // What an operating system takes its time for.
  Duration hesitation() { return jitter(); }

 private:
  // Of a link that carries one thing after the other: until when it is busy, each way.
  struct Port {
    Time out{};
    Time in{};
  };
  Duration jitter();
  Duration distance(Host from, Host to) const;
  std::uint32_t rack(Host host) const { return options_.hosts_per_rack == 0 ? 0 : host / options_.hosts_per_rack; }
  static Port& at(std::vector<Port>& ports, std::uint32_t index);
  static Time carry(Time& busy_until, Time from, std::size_t bytes, std::uint64_t bytes_per_second);

  const NetworkOptions options_;
  Random& random_;
  std::vector<Port> hosts_;
  std::vector<Port> racks_;
};

}  // namespace banyan::sim
