// Names to addresses. Numeric addresses and "localhost" need no question; for others the reactor asks. All that ask for
// one name while it is being looked up share an answer.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "driver/sockets/descriptor.hh"
#include "driver/sockets/rank_options.hh"

namespace banyan::driver {

class Resolver {
 public:
  explicit Resolver(Reactor& reactor) : reactor_(reactor) {}
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // The answer when it needs no question.
  static std::optional<Resolved> at_once(const HostAndPort& target);
  TaskOf<Resolved> resolve(HostAndPort target);

 private:
  struct Lookup;

  Reactor& reactor_;
  std::map<std::string, std::shared_ptr<Lookup>> lookups_;
};

}  // namespace banyan::driver
