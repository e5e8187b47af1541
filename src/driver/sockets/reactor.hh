// What the code about sockets needs of the event loop that it runs in: to hear when a descriptor is ready, when time
// has passed, and what a name means. Each driver has one. Belongs to the driving thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "base/time.hh"
#include "driver/sockets/alarms.hh"
#include "driver/sockets/socket.hh"
#include "driver/sockets/task.hh"

namespace banyan::driver {

// A coroutine that waits for a descriptor.
struct Waiter {
  std::coroutine_handle<> waiting;
  bool ready = false;
  void resume(bool is_ready) {
    ready = is_ready;
    waiting.resume();
  }
};

// A descriptor's place in the reactor, which owns it from then on.
class Watch {
 public:
  enum class Readiness : std::uint8_t { read, write };

  Watch() = default;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  // Closes the descriptor. Those who wait are resumed later, not ready.
  virtual ~Watch() = default;
  // Resumes `waiter` when the descriptor is ready, at the end of its stream, or broken: later, never within the call.
  // At most one for each readiness at a time.
  virtual void wait(Readiness readiness, Waiter& waiter) = 0;
};

// What a name means.
struct Resolved {
  std::vector<Address> addresses;  // in the order to try
  std::string error;               // when there are none
  bool literal = false;            // it was an address or "localhost"
};

class Reactor {
 public:
  virtual ~Reactor() = default;
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // Does the work behind what is ready now; in the order of the calls.
  virtual void run_later(std::function<void()> work) = 0;
  // None when the system refuses; the socket is closed then.
  virtual std::unique_ptr<Watch> watch(Socket socket, std::error_code& error) = 0;
  // Asks the system's resolver; `answer` is called with addresses without ports or an error, within the call or later,
  // unless the reactor is gone by then.
  virtual void look_up(const std::string& host, std::function<void(Resolved)> answer) = 0;

  void set_alarm(Alarm& alarm, Time due) {
    alarms_.set(alarm, due);
    if (alarms_.earliest() < armed_) arm(armed_ = alarms_.earliest());
  }
  void clear_alarm(Alarm& alarm) { alarms_.clear(alarm); }

  Tasks& tasks() { return tasks_; }

 protected:
  Reactor() = default;
  // Has ring() called at `due`, in place of the time that was said before.
  virtual void arm(Time due) = 0;
  void ring(Time now) {
    armed_ = kNever;
    if (const Time next = alarms_.ring(now); next < armed_) arm(armed_ = next);
  }

 private:
  Alarms alarms_;
  Time armed_ = kNever;
  Tasks tasks_;
};

inline void spawn(Reactor& reactor, Task task) { spawn(reactor.tasks(), std::move(task)); }

}  // namespace banyan::driver
