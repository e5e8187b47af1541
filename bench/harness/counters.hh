// The kernel's own counts of connections and bytes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace banyan::bench {

struct Counters {
  std::int64_t tcp_connections = 0;   // ever begun
  std::int64_t tcp_established = 0;   // open now, with both ends here
  std::int64_t unix_connections = 0;  // open now
  std::int64_t ip_bytes = 0;          // ever sent, headers included; Unix sockets are not counted
};

// Of the network namespaces that these processes live in, one of each.
Counters counters(const std::vector<pid_t>& processes);
Counters operator-(const Counters& after, const Counters& before);

}  // namespace banyan::bench
