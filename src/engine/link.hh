// One link as the engine keeps it: its session, what waits to be sent on it, and who must wait for that.
#pragma once

#include <deque>
#include <set>

#include "base/bytes.hh"
#include "base/endpoint.hh"
#include "session/session.hh"

namespace banyan::engine {

// Data frames handed to the driver and not yet with the kernel: enough to keep a link busy, little enough that control
// frames, which are handed over at once, don't wait long behind them.
inline constexpr std::size_t kDriverWindowBytes = 256 * 1024;

struct Link {
  struct Queued {
    Payload frame;
    LinkId feeder = kNoLink;
  };

  session::Session session;
  bool accepted = false;
  bool open = false;     // false: the driver is still connecting
  bool closing = false;  // the node has let go; what is queued goes out first
  Endpoint local;
  std::deque<Queued> data;
  std::size_t data_bytes = 0;
  std::size_t with_driver = 0;
  std::set<LinkId> held_feeders;  // links that are not read from because this one is full
  std::uint32_t held_by = 0;      // how many full links keep this one from being read
};

}  // namespace banyan::engine
