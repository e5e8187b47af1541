// What the protocol machine asks of the world outside; the engine passes these on to the driver as they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "base/endpoint.hh"
#include "base/failure.hh"
#include "base/ids.hh"
#include "base/rank_set.hh"

namespace banyan::wire {
class Table;
}

namespace banyan::node {

// A process has at most one listener of each kind for one engine; network listeners may be shared between engines.
enum class Listener : std::uint8_t {
  rendezvous,  // rank 0: the address that everybody knows
  network,     // a leader: where its children connect; any rank: for direct links from other hosts
  local,       // a leader: the host's abstract Unix name
  direct,      // any rank: its own abstract Unix name, for direct links on its host
};
inline constexpr std::size_t kListeners = 4;
// Unix names, which only processes of this host can reach.
constexpr bool on_this_host(Listener listener) { return listener == Listener::local || listener == Listener::direct; }

enum class Target : std::uint8_t {
  rendezvous,  // the driver knows the address and resolves it anew each time
  host,        // a listed host, as a parent or to ask: entry `host_index` of Config::hosts, resolved by the driver
  endpoint,    // `endpoint`
  local,       // the abstract Unix name `name`
};

namespace effect {

// Open a connection as `link`. Answered by Connected or ConnectFailed.
struct Connect {
  LinkId link{};
  Target target{};
  Endpoint endpoint;
  std::uint32_t host_index = 0;
  std::string name;
};
// Answered by Listening or ListenFailed. `name` for local and direct. For network: bind to `endpoint`'s address (port
// 0: the configured port or range), share the process's listener when there is one that fits; with a `name` (computed
// parents): resolve and bind to that "host:port", this host's entry of Config::hosts. A name that does not resolve gets
// no answer until it does: the start's deadline is the node's.
struct Listen {
  Listener listener{};
  Endpoint endpoint;
  std::string name;
};
struct StopListening {
  Listener listener{};
};
// Don't read from the link until ResumeReading: what it brings can't be passed on fast enough.
struct PauseReading {
  LinkId link{};
};
struct ResumeReading {
  LinkId link{};
};
// The rank holds the table: start() is done. Calls may follow.
struct Formed {
  std::shared_ptr<const wire::Table> table;
};
// The job is over for this rank, for this reason; pending calls have been completed with it.
struct Failed {
  Failure failure;
};
// For people, logs and progress lines; changes nothing.
struct Notice {
  enum class Level : std::uint8_t { info, warning };
  Level level = Level::info;
  std::string text;
  bool progress = false;  // a "waiting for ..." line of the root that replaces the one before
};

}  // namespace effect
}  // namespace banyan::node
