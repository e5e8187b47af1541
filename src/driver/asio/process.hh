// What the ranks of one process share: the loop, the listeners, the callers that have not said who they are, and counts.
// Belongs to the driving thread, but for the loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/ids.hh"
#include "driver/asio/doorstep.hh"
#include "driver/asio/listeners.hh"
#include "driver/asio/loop.hh"
#include "driver/asio/receive_buffer.hh"
#include "driver/asio/resolver.hh"

namespace banyan::driver {

class EngineRunner;

// How long a closed connection may take to hand over what was written before: a peer on the same network needs
// milliseconds, and the process must be able to end.
inline constexpr std::chrono::seconds kCloseLinger{1};

struct Process {
  Process();

  Loop loop;
  Resolver resolver{loop};
  Doorstep doorstep{*this};
  Listeners listeners{*this};
  ReceiveBlock shared_block;
  std::vector<std::shared_ptr<EngineRunner>> runners;  // not closed yet
  std::size_t unwritten_links = 0;  // closed by their engines, with bytes that the kernel has not taken yet
  // Connections that no engine got to see: strangers, other users, hellos for ranks that are not here.
  std::uint64_t turned_away = 0;
  AcceptToken last_token{};
};

}  // namespace banyan::driver
