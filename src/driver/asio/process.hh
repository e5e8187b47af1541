// What the ranks of one process share: the loop, the listeners, the callers that have not said who they are, and
// counts. Belongs to the driving thread, but for the loop.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <vector>

#include "base/ids.hh"
#include "driver/asio/doorstep.hh"
#include "driver/asio/listeners.hh"
#include "driver/asio/loop.hh"
#include "driver/asio/receive_buffer.hh"
#include "driver/asio/resolver.hh"
#include "driver/asio/shared_memory.hh"
#include "node/table_store.hh"

namespace banyan::driver {

class EngineRunner;
class Link;

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
  MemoryFiles memory_files;
  std::atomic<std::size_t> open_ranks{0};              // counted as soon as they are made, by any thread
  std::vector<std::shared_ptr<EngineRunner>> runners;  // those of them that the driving thread knows
  std::size_t unwritten_links = 0;  // closed by their engines, with bytes that the kernel has not taken yet
  std::list<Link*> lingering;       // closed, and waiting for the other side to do the same; the oldest first
  // Connections that no engine got to see: strangers, other users, hellos for ranks that are not here.
  std::uint64_t turned_away = 0;
  AcceptToken last_token{};
  const std::shared_ptr<node::TableStore> tables = std::make_shared<node::TableStore>();
};

}  // namespace banyan::driver
