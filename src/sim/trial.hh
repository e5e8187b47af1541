// Plays one scenario and judges it from outside: what the engines say is held against a reference and against what no
// engine may do, whatever happens (design rules in docs/testing.md, "The swarm").
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/scenario.hh"

namespace banyan::sim {

// A fault that has come about.
struct Happening {
  std::size_t fault = 0;  // its index in the scenario
  JobPhase phase{};       // of its rank at that moment: it may have moved on while the fault waited
  Time at{};
  bool in_vain = false;  // there was nothing to break
};

// How a rank ended.
struct Ending {
  bool killed = false;
  bool closed = false;
  std::optional<Failure> failure;
  std::size_t failed_calls = 0;
};

struct Verdict {
  std::string complaint;  // empty: all is as it must be
  std::string story;      // how each rank ended, when there is a complaint
  bool succeeded = false;
  std::uint64_t digest = 0;
  Time ended{};
  std::vector<Happening> happenings;
  std::vector<Ending> endings;  // by rank
  // Of ranks that were not killed.
  std::uint64_t direct_links_opened = 0;
  std::uint64_t direct_links_lost = 0;
  // Faults that have happened, by kind and phase.
  std::array<std::array<std::uint32_t, kJobPhases>, kFaultKinds> happened{};
};

Verdict play(const Scenario& scenario);

}  // namespace banyan::sim
