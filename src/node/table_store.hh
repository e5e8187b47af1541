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
  // ranks. The digest is no proof against a peer that means harm, so a table is shared only with those who received the
  // very same bytes; where these lie in the same memory (as in a simulation), they are not even read. `checked`: the
  // leader of this host has checked these very bytes.
  std::shared_ptr<const wire::Table> take(std::vector<Payload> chunks, const Digest& digest, std::uint32_t world_size,
                                          bool checked);

 private:
  std::weak_ptr<const wire::Table> table_;
  Digest digest_{};
};

}  // namespace banyan::node
