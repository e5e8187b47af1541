// All that can be measured here.
#pragma once

#include <string>
#include <vector>

#include "harness/implementation.hh"

namespace banyan::bench {

struct Missing {
  std::string name;
  std::string reason;
};

// Ours, the baselines, and those peers that are `wanted` (all, if it is empty) and have been built; the other ones that
// are wanted stand in `missing`. What is not wanted is not loaded: processes fork slowly that have libtorch in them.
Implementations implementations(const std::vector<std::string>& wanted, std::vector<Missing>& missing);

}  // namespace banyan::bench
