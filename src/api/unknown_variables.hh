// Variables that look like Banyan's and that nobody reads: mostly a misspelt name, whose value then silently counts for
// nothing.
#pragma once

#include <string>
#include <vector>

#include "api/environment.hh"

namespace banyan::api {

// A sentence on each: names that begin with BANYAN_ and mean nothing, with the known one that is nearly the same, and a
// BANYAN_HOST_INDEX without the list that it points into. `names`: of all variables that are set.
std::vector<std::string> remarks_on(const Environment& environment, const std::vector<std::string>& names);

// Warns of those of this process, once in its life.
void warn_of_unknown_variables(LogLevel level);

}  // namespace banyan::api
