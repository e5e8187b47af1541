// Who watches a cluster: hears of everything that passes between its processes and their kernels, in the order in which
// the simulation comes to it, each with the time on the process's own clock. Watching changes nothing: no digest, no
// figure. Processes are named by their numbers in the cluster.
#pragma once

#include <cstdint>

#include "base/bytes.hh"
#include "base/failure.hh"
#include "base/ids.hh"
#include "base/time.hh"
#include "node/calls.hh"
#include "node/io.hh"

namespace banyan::sim {

// Someone who is no process of the cluster.
inline constexpr std::uint32_t kStranger = UINT32_MAX;

class Observer {
 public:
  virtual ~Observer() = default;

  virtual void on_start(Time, std::uint32_t /*process*/) {}
  virtual void on_kill(Time, std::uint32_t /*process*/) {}

  // It asks for a connection. `to` is who listens there now; a stranger if nobody does.
  virtual void on_connect(Time, std::uint32_t /*process*/, const node::effect::Connect&, std::uint32_t /*to*/) {}
  virtual void on_refused(Time, std::uint32_t /*process*/, LinkId) {}
  // It closes a connection. `to` is a stranger too if that was not open yet.
  virtual void on_close(Time, std::uint32_t /*process*/, LinkId, std::uint32_t /*to*/) {}
  // It reads that the other side, or the network, has closed one.
  virtual void on_closed(Time, std::uint32_t /*process*/, std::uint32_t /*by*/) {}

  // Whole frames leave in one piece and will arrive, if their connection is still there. What has nowhere to go, since
  // the other side has closed or is a stranger, is not sent.
  struct Sent {
    Time departs;
    Time arrives;
    std::uint32_t from;
    std::uint32_t to;
  };
  virtual void on_send(const Sent&, const Payload& /*frames*/) {}

  virtual void on_formed(Time, std::uint32_t /*process*/) {}
  virtual void on_failed(Time, std::uint32_t /*process*/, const Failure&) {}
  virtual void on_call(Time, std::uint32_t /*process*/, const node::Call&) {}
  virtual void on_completion(Time, std::uint32_t /*process*/, const node::Completion&) {}
};

}  // namespace banyan::sim
