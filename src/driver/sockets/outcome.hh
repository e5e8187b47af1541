// What comes of the things that a rank is asked for, and who is told.
#pragma once

#include <memory>
#include <variant>
#include <vector>

#include "base/bytes.hh"
#include "base/failure.hh"
#include "base/ids.hh"

namespace banyan::wire {
class Table;
}

namespace banyan::driver {

// start() yields the table, a call its bytes (node::Completion), each may fail instead.
using Outcome = std::variant<Payload, std::vector<Payload>, std::shared_ptr<const wire::Table>, Failure>;

// What stands under a future; each driver has its own.
class Promise {
 public:
  virtual ~Promise() = default;
  // Ends it, on the driving thread. The first outcome counts. `source`: whose message it brought, or found
  // (node::Completion); kNoRank: nobody's.
  virtual void complete(Outcome outcome, Rank source = kNoRank) = 0;

 protected:
  Promise() = default;
  Promise(const Promise&) = delete;
  Promise& operator=(const Promise&) = delete;
};

}  // namespace banyan::driver
