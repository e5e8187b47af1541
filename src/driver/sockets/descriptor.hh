// A socket in the reactor. Only its readiness is awaited; reading and writing are system calls of ours.
#pragma once

#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "driver/sockets/reactor.hh"

namespace banyan::driver {

class Descriptor {
 public:
  // Hands the socket to the reactor; none (and the socket is closed) when the system refuses.
  static std::optional<Descriptor> make(Reactor& reactor, Socket socket, std::error_code& error) {
    const int number = socket.get();
    std::unique_ptr<Watch> watch = reactor.watch(std::move(socket), error);
    if (watch == nullptr) return std::nullopt;
    return Descriptor(number, std::move(watch));
  }

  // -1 once it is closed: others may have its number then.
  int get() const { return is_open() ? number_ : -1; }
  bool is_open() const { return watch_ != nullptr; }
  void close() { watch_.reset(); }

  // co_await yields whether it is still open. It stays where it is, and alive, until then.
  auto readable() { return Wait{*this, Watch::Readiness::read, {}}; }
  auto writable() { return Wait{*this, Watch::Readiness::write, {}}; }

 private:
  struct Wait {
    Descriptor& descriptor;
    Watch::Readiness readiness;
    Waiter waiter;

    bool await_ready() const noexcept { return !descriptor.is_open(); }
    void await_suspend(std::coroutine_handle<> waiting) {
      waiter.waiting = waiting;
      descriptor.watch_->wait(readiness, waiter);
    }
    bool await_resume() const noexcept { return waiter.ready && descriptor.is_open(); }
  };

  Descriptor(int number, std::unique_ptr<Watch> watch) : number_(number), watch_(std::move(watch)) {}

  int number_;
  std::unique_ptr<Watch> watch_;
};

// What one coroutine at a time waits with for a while.
class Pause final : private Alarm {
 public:
  explicit Pause(Reactor& reactor) : reactor_(reactor) {}
  ~Pause() { reactor_.clear_alarm(*this); }

  // To be awaited: until then, or until it is ended. kNever: until it is ended.
  auto until(Time due) { return Wait{*this, due}; }
  // Whoever waits goes on, later.
  void end() {
    if (waiting_) reactor_.set_alarm(*this, Time{});
  }

 private:
  struct Wait {
    Pause& pause;
    Time due;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting) {
      pause.waiting_ = waiting;
      pause.reactor_.set_alarm(pause, due);
    }
    void await_resume() const noexcept {}
  };

  void on_alarm(Time) override { std::exchange(waiting_, nullptr).resume(); }

  Reactor& reactor_;
  std::coroutine_handle<> waiting_;
};

}  // namespace banyan::driver
