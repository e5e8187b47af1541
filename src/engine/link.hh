// One link as the engine keeps it: its session, what waits to be sent on it, and who must wait for that.
#pragma once

#include <algorithm>
#include <deque>
#include <set>

#include "base/bytes.hh"
#include "base/endpoint.hh"
#include "base/time.hh"
#include "session/session.hh"

namespace banyan::engine {

// While so much is with the driver and not yet with the kernel, no data frame is handed over: enough to keep a link
// busy, little enough that control frames, which are handed over at once, don't wait long behind them.
inline constexpr std::size_t kDriverWindowBytes = 256 * 1024;

// What this rank itself may have on its way to a peer in control frames: answers, mostly, to one that asks and does not
// read. Beyond it that peer is not read either.
inline constexpr std::size_t kMostOwnControl = 4 * 1024 * 1024;

struct Link {
  struct Queued {
    Payload frame;
    LinkId feeder = kNoLink;
    wire::Enclosure enclosure{};
  };

  session::Session session;
  bool accepted = false;
  bool open = false;     // false: the driver is still connecting
  bool closing = false;  // the node has let go; what is queued goes out first
  Endpoint local;
  std::deque<Queued> data{};
  std::size_t own_bytes = 0;  // of `data`, by where they come from: this rank, or another link
  std::size_t fed_bytes = 0;
  std::size_t with_driver = 0;
  Time stalled_at = kNever;         // while feeders are held: when the peer will have taken nothing for too long
  std::set<LinkId> held_feeders{};  // links that are not read from because this one is full
  std::uint32_t held_by = 0;        // how many full links keep this one from being read

  std::size_t& bytes_of(LinkId feeder) { return feeder == kNoLink ? own_bytes : fed_bytes; }
  // What others have brought to wait here: of what the driver has, data fill the window and a frame, more is control.
  std::size_t waiting() const {
    return fed_bytes + with_driver - std::min(with_driver, kDriverWindowBytes + kMaxStreamFrameBytes);
  }
};

}  // namespace banyan::engine
