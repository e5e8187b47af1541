// Measures what this machine charges for each thing that the simulation counts.
#pragma once

#include <functional>

#include "sim/costs.hh"

namespace banyan::cli {

// Takes a few seconds; `step` hears what is measured next. Forks. Throws Error when the system refuses something.
sim::Costs measure_costs(const std::function<void(const char*)>& step);

}  // namespace banyan::cli
