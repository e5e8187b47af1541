// The ports a job will listen on, taken before any rank starts and never let go in between: a port that is picked and
// closed again can be somebody else's by the time a rank binds it.
#pragma once

#include <string>

#include "cli/descriptor.hh"
#include "driver/sockets/rank_options.hh"

namespace banyan::cli {

// "10.0.0.1:4242", "[fe80::1]:4242", "node7:0". Throws Error with 2 when it is none.
driver::HostAndPort parse_host_port(const std::string& text);

struct TakenPort {
  Descriptor socket;
  std::string address;  // HOST:PORT, with the port that was given
};

// A listening socket for rank 0 to inherit. Connections queue in it from now on, before rank 0 even runs.
TakenPort listen_on(const driver::HostAndPort& host_port);

// A port of that host which is held, and not listened on. While the socket stays open the kernel gives the port to
// nobody who asks for any port, and a leader that asks for this one with SO_REUSEADDR gets it.
TakenPort hold_port(const std::string& host);

}  // namespace banyan::cli
