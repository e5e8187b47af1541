// The table that the ranks of one process hold together: each receives it, and all but the first find that it is here.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "base/digest.hh"
#include "wire/table.hh"

namespace banyan::node {

// Ranks that share one are driven by one thread at a time.
class TableStore {
 public:
  // The table whose bytes `chunks` are, checked against `digest`; null if it isn't, or can't be one for `world_size`
  // ranks. Bytes that lie where those of a checked table lie (as in a simulation) need no check of their own.
  std::shared_ptr<const wire::Table> take(std::vector<Payload> chunks, const Digest& digest, std::uint32_t world_size);

 private:
  std::weak_ptr<const wire::Table> table_;
  Digest digest_{};
};

}  // namespace banyan::node
