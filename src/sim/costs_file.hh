// Costs in a file: one JSON object with a member for each field of Costs, in nanoseconds ("..._ps": picoseconds), and
// whatever else says where they come from.
#pragma once

#include <string>

#include "sim/costs.hh"

namespace banyan::sim {

// Throws std::runtime_error with a sentence when the file can't be read, a cost is missing or is no number >= 0.
Costs read_costs(const std::string& path);
// The same from a text; `where` is how sentences call it.
Costs parse_costs(const std::string& text, const std::string& where);
// Those of costs/default.json, as they were when this was built.
Costs built_in_costs();
// The costs alone, in the order of Costs.
std::string to_json(const Costs& costs);

}  // namespace banyan::sim
