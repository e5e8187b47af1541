// Accepted connections that have not said which rank they are for. Each may send kMaxUnauthenticatedFrameBytes, for a
// few seconds, and there is a greatest number of them, together with the connections that their engines have closed and
// the other side has not (Process::lingering), which may be strangers that were told so: one costs that and no more.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <vector>

#include "base/endpoint.hh"
#include "base/limits.hh"
#include "driver/sockets/alarms.hh"
#include "driver/sockets/descriptor.hh"

namespace banyan::driver {

class Acceptor;
struct Process;

// An accepted connection and where it came in.
struct Caller {
  std::shared_ptr<Acceptor> acceptor;
  Endpoint local;
  Endpoint remote;
};

class Doorstep final : private Alarm {
 public:
  explicit Doorstep(Process& process) : process_(process) {}
  ~Doorstep();

  // Several ranks may have different limits: the most generous of them hold.
  void admit_limits(const Limits& limits);

  // Takes a new connection: passes it on at once when its hello is there, else waits for it.
  void receive(Socket socket, Caller caller);
  // Gives up who will be missed least: the oldest that has been closed already, else the oldest guest. False when there
  // is none.
  bool make_room();
  // As far as it takes to stay within the limit with one more.
  void make_room_for_one();
  // Those that came in there: nobody will ask for them any more.
  void turn_away_callers_of(const Acceptor& acceptor);

 private:
  struct Guest {
    Descriptor descriptor;
    Caller caller;
    std::vector<std::byte> bytes;
    Time due;
    bool waiting = true;
    std::list<std::shared_ptr<Guest>>::iterator place;
  };

  Task wait_for_hello(std::shared_ptr<Guest> guest);
  // Reads once; true when the guest has gone, one way or the other.
  bool hear(const std::shared_ptr<Guest>& guest);
  void forget(Guest& guest);
  void turn_away(Guest& guest);
  void on_alarm(Time now) override;
  void set_alarm();

  Process& process_;
  std::list<std::shared_ptr<Guest>> guests_;  // oldest first
  Duration patience_{};
  std::size_t capacity_ = 0;
};

}  // namespace banyan::driver
