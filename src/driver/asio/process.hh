// The Asio driver's part of a process: the loop, and what its ranks share.
#pragma once

#include "driver/asio/loop.hh"
#include "driver/sockets/process.hh"

namespace banyan::driver {

struct AsioProcess {
  AsioProcess();

  Loop loop;
  Process ranks{loop};  // belongs to the driving thread
};

}  // namespace banyan::driver
