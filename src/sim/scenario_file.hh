// A scenario as a small text that a person writes and a failing swarm prints. One thing a line; `#` begins a comment:
//
//   ranks 64                                  settings: what they don't say is as the reader had it before
//   jitter 100us
//   crash rank 17 running after 200us         faults: KIND rank R PHASE [after TIME] [for TIME]
//   partition rank 3 joining for 20ms
//
// KIND and PHASE are those of FaultKind and JobPhase (`host-loss` in one word). TIME is a whole number and its unit:
// ns, us, ms, s. `after` counts from the moment when the rank has come to the phase; `for` belongs to what lasts, and
// to that alone.
#pragma once

#include <string>

#include "sim/scenario.hh"

namespace banyan::sim {

inline constexpr std::size_t kMostFaults = 1000;
// A fault that begins or lasts for longer was meant in another unit.
inline constexpr Duration kLongestFaultTime = std::chrono::hours(1);

// `scenario` with what the file says instead. Throws std::runtime_error with a sentence that begins with the file's
// name and, where one is to blame, the number of the line.
Scenario read_scenario(const std::string& path, Scenario scenario);
// The same from a text; `where` is how sentences call it.
Scenario parse_scenario(const std::string& text, const std::string& where, Scenario scenario);

// All settings and all faults: what is read from it plays the same.
std::string to_file(const Scenario& scenario);
// A fault's line, without its end.
std::string to_line(const Fault& fault);

}  // namespace banyan::sim
