// The shapes that Asio has in this driver: its io_context's own executor instead of a type-erased one, and coroutines
// that are begun and left to themselves.
#pragma once

#include <exception>
#include <optional>
#include <system_error>
#include <utility>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include "driver/asio/loop.hh"
#include "driver/asio/own_sockets.hh"
#include "driver/asio/socket.hh"

namespace banyan::driver {

using Executor = Loop::Executor;
template <typename Value>
using TaskOf = asio::awaitable<Value, Executor>;
using Task = TaskOf<void>;
inline constexpr asio::use_awaitable_t<Executor> kUseTask{};

// A socket in the loop. Only its readiness is awaited; reading and writing are system calls of ours.
class Descriptor : public asio::posix::basic_stream_descriptor<Executor> {
  using Base = asio::posix::basic_stream_descriptor<Executor>;

 public:
  using Base::Base;
  Descriptor(Descriptor&&) = default;
  Descriptor& operator=(Descriptor&& other) {
    disown_socket(native_handle());
    Base::operator=(std::move(other));
    return *this;
  }
  ~Descriptor() { disown_socket(native_handle()); }
  void close(std::error_code& error) {
    disown_socket(native_handle());
    Base::close(error);
  }
};
using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;

// Runs the task up to its first wait at once; what it needs it must own.
inline void spawn(Loop& loop, Task task) {
  asio::co_spawn(loop.io(), std::move(task), [](std::exception_ptr exception) {
    if (exception) std::terminate();
  });
}

// Hands the socket to the loop; none (and the socket is closed) when the system refuses.
inline std::optional<Descriptor> make_descriptor(Loop& loop, Socket socket, std::error_code& error) {
  std::optional<Descriptor> descriptor(std::in_place, loop.io());
  descriptor->assign(socket.get(), error);
  if (error) return std::nullopt;
  own_socket(socket.release());
  return descriptor;
}

}  // namespace banyan::driver
