// One try of an engine to open a connection: finds the addresses, tries them in turn, and tells the runner how it ended.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "driver/asio/rank_options.hh"
#include "driver/asio/tasks.hh"
#include "node/io.hh"

namespace banyan::driver {

class EngineRunner;
struct Process;

class ConnectAttempt final : public std::enable_shared_from_this<ConnectAttempt> {
 public:
  ConnectAttempt(Process& process, EngineRunner& runner, node::effect::Connect order);

  // May end at once, within the call.
  void begin();
  // The runner wants to hear no more of it.
  void cancel();

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
  std::optional<Descriptor> descriptor_;
  std::string reason_;
};

}  // namespace banyan::driver
