// Plays one scenario and judges it from outside: what the engines say is held against a reference and against what no
// engine may do, whatever happens (design rules in docs/testing.md, "The swarm").
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "sim/scenario.hh"

namespace banyan::sim {

struct Verdict {
  std::string complaint;  // empty: all is as it must be
  std::string story;      // how each rank ended, when there is a complaint
  bool succeeded = false;
  std::uint64_t digest = 0;
  // Faults that have happened, by kind and phase.
  std::array<std::array<std::uint32_t, kJobPhases>, kFaultKinds> happened{};
};

Verdict play(const Scenario& scenario);

}  // namespace banyan::sim
