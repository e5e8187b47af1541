// The engine's two doors as an interface, so that a driver can be tested against a scripted machine. The contract
// between driver and engine stands in engine.hh.
#pragma once

#include "engine/io.hh"
#include "node/calls.hh"

namespace banyan::engine {

class Machine {
 public:
  virtual ~Machine() = default;
  virtual void handle(Time now, Input input) = 0;
  virtual Output poll() = 0;
  virtual node::Statistics statistics() const = 0;
  // The job that this rank belongs to, as far as it knows by now: rank 0 may have invented the id, others adopt it.
  virtual JobId job() const = 0;

 protected:
  Machine() = default;
  Machine(const Machine&) = default;
  Machine(Machine&&) = default;
  Machine& operator=(const Machine&) = default;
  Machine& operator=(Machine&&) = default;
};

}  // namespace banyan::engine
