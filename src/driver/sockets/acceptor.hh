// One listening socket and the engines that share it.
#pragma once

#include <memory>
#include <vector>

#include "base/endpoint.hh"
#include "driver/sockets/descriptor.hh"
#include "node/io.hh"
#include "wire/handshake.hh"

namespace banyan::driver {

class EngineRunner;
struct Process;

class Acceptor final : public std::enable_shared_from_this<Acceptor> {
 public:
  // `bound`: where it listens, none for a Unix name.
  Acceptor(Process& process, node::Listener kind, Endpoint bound, Descriptor descriptor);

  node::Listener kind() const { return kind_; }
  const Endpoint& bound() const { return bound_; }
  void add(EngineRunner& runner);
  // True when no engine is left; then close() it.
  bool remove(EngineRunner& runner);
  void begin();
  void close();

  // Whom a caller wants, when several share the socket: by rank and job; a caller that does not know the job yet is for
  // the rank of any.
  EngineRunner* runner_for(const wire::HelloAddress& hello) const;

 private:
  Task accept_loop(std::shared_ptr<Acceptor> self);
  // Accepts until nobody waits; false when the system refuses and time must pass.
  bool accept_all();
  bool engines_make_room();
  void receive(AcceptedSocket accepted);

  Process& process_;
  const node::Listener kind_;
  const Endpoint bound_;
  Descriptor descriptor_;
  Pause pause_;
  std::vector<EngineRunner*> runners_;
};

}  // namespace banyan::driver
