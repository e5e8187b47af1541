// What the ranks of one reactor share: the listeners, the callers that have not said who they are, and counts. Belongs
// to the driving thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <vector>

#include "base/ids.hh"
#include "driver/sockets/doorstep.hh"
#include "driver/sockets/listeners.hh"
#include "driver/sockets/reactor.hh"
#include "driver/sockets/receive_buffer.hh"
#include "driver/sockets/resolver.hh"
#include "driver/sockets/shared_memory.hh"
#include "node/table_store.hh"

namespace banyan::driver {

class EngineRunner;
class Link;

// How long a closed connection may take to hand over what was written before: a peer on the same network needs
// milliseconds, and the process must be able to end.
inline constexpr std::chrono::seconds kCloseLinger{1};

struct Process {
  explicit Process(Reactor& its_reactor) : reactor(its_reactor) {}
  // What waits still refers to all of this.
  ~Process() { reactor.tasks().destroy_all(); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  Reactor& reactor;
  Resolver resolver{reactor};
  Doorstep doorstep{*this};
  Listeners listeners{*this};
  ReceiveBlock shared_block;
  MemoryFiles memory_files;
  std::atomic<std::size_t> open_ranks{0};              // counted as soon as they are made, by any thread
  std::vector<std::shared_ptr<EngineRunner>> runners;  // those of them that the driving thread knows
  std::size_t started_ranks = 0;                       // of those, and not closed
  std::size_t unwritten_links = 0;  // closed by their engines, with bytes that the kernel has not taken yet
  std::list<Link*> lingering;       // closed, and waiting for the other side to do the same; the oldest first
  // Connections that no engine got to see: strangers, other users, hellos for ranks that are not here.
  std::uint64_t turned_away = 0;
  AcceptToken last_token{};
  const std::shared_ptr<node::TableStore> tables = std::make_shared<node::TableStore>();
};

}  // namespace banyan::driver
