// Names to addresses. Numeric addresses and "localhost" need no question; for others a thread of its own asks the
// system's resolver, which blocks. All that ask for one name while it is being looked up share that thread; it is never
// waited for, so that a dead name server can't keep a process from ending.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "driver/asio/rank_options.hh"
#include "driver/asio/tasks.hh"

namespace banyan::driver {

struct Resolved {
  std::vector<Address> addresses;  // in the order to try
  std::string error;               // when there are none
  bool literal = false;            // `host` was an address or "localhost"
};

class Resolver {
 public:
  explicit Resolver(Loop& loop) : loop_(loop) {}
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // The answer when it needs no question.
  static std::optional<Resolved> at_once(const HostAndPort& target);
  TaskOf<Resolved> resolve(HostAndPort target);

 private:
  struct Lookup;

  Loop& loop_;
  std::map<std::string, std::shared_ptr<Lookup>> lookups_;
};

}  // namespace banyan::driver
