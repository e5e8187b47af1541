// One try of an engine to open a connection: finds the addresses, tries them in turn, and tells the runner how it
// ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "driver/sockets/descriptor.hh"
#include "driver/sockets/rank_options.hh"
#include "node/io.hh"

namespace banyan::driver {

class EngineRunner;
struct Process;

// A place among the addresses of a search: the target in the list of alternatives, and one of what it resolves to.
struct AddressPlace {
  std::size_t target = 0;
  std::size_t address = 0;
};

// A search that the engine gave up, and where the next one for the same begins: behind the address that let it wait, so
// that a silent one hides no other.
struct LeftOff {
  node::Target target{};
  std::uint32_t host_index = 0;
  AddressPlace next;
  bool concerns(const node::effect::Connect& order) const {
    return target == order.target && host_index == order.host_index;
  }
};

class ConnectAttempt final : public std::enable_shared_from_this<ConnectAttempt> {
 public:
  // `first`: where it begins to search; then come all others.
  ConnectAttempt(Process& process, EngineRunner& runner, node::effect::Connect order, AddressPlace first);

  // May end at once, within the call.
  void begin();
  // The runner wants to hear no more of it.
  void cancel();
  const node::effect::Connect& order() const { return order_; }
  // None where there was nothing to search.
  std::optional<LeftOff> left_off() const;

 private:
  void connect_local();
  Task connect_network(std::shared_ptr<ConnectAttempt> self);
  // Tries one address; true when it is connected, else `reason_` says why not.
  TaskOf<bool> try_address(Address address);
  std::vector<HostAndPort> targets() const;
  bool bind_source(int socket, const Address& peer);
  void succeed(const Endpoint& local);
  void fail();

  Process& process_;
  EngineRunner* runner_;  // none: cancelled
  const node::effect::Connect order_;
  AddressPlace next_;  // behind the one that is being tried
  std::optional<Descriptor> descriptor_;
  std::string reason_;
};

}  // namespace banyan::driver
