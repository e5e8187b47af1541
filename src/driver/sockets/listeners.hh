// All listening sockets of the process. A network listener is shared by the engines that want the same address; the
// rendezvous and a host's Unix name belong to one engine each.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "driver/sockets/acceptor.hh"
#include "driver/sockets/interface_choice.hh"
#include "driver/sockets/rank_options.hh"
#include "driver/sockets/resolver.hh"

namespace banyan::driver {

// Whether the descriptor that the options name is a socket that listens at the rendezvous and is no rank's yet.
bool inherits_rendezvous(const RankOptions& options);

class Listeners {
 public:
  explicit Listeners(Process& process);

  struct Opened {
    std::shared_ptr<Acceptor> acceptor;
    std::string error;   // when there is none
    std::string notice;  // worth telling the user although it worked
  };
  Opened open_local(EngineRunner& runner, node::Listener kind, const std::string& name);
  // On the chosen interface, else at `wanted`'s address, else on all. `wanted`'s port, else one of `ports`.
  Opened open_network(EngineRunner& runner, const Endpoint& wanted, const InterfaceChoice& choice, PortRange ports);
  // Where everybody expects rank 0.
  TaskOf<Opened> open_rendezvous(std::shared_ptr<EngineRunner> runner);
  // The same on a socket that listens already, as inherits_rendezvous() says.
  Opened adopt(EngineRunner& runner, Socket socket);

  void release(const std::shared_ptr<Acceptor>& acceptor, EngineRunner& runner);

  // With no descriptor left: uses one that is kept for this to take a caller from the queue and send it off. False when
  // that is not possible either.
  bool accept_and_close(int listener);

 private:
  struct Shared {
    Endpoint wanted;
    PortRange ports;
    std::shared_ptr<Acceptor> acceptor;
  };

  Opened begin(EngineRunner& runner, node::Listener kind, Socket socket);
  Opened bind_rendezvous(EngineRunner& runner, const HostAndPort& target, const Resolved& resolved, bool several);

  Process& process_;
  std::vector<Shared> network_;
  Socket spare_;
};

}  // namespace banyan::driver
