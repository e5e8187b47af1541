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

// Ours, the baselines, and the peers that have been built; the other peers are named in `missing`.
Implementations implementations(std::vector<Missing>& missing);

}  // namespace banyan::bench
