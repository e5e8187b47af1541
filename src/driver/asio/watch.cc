#include "driver/asio/watch.hh"

#include <asio/posix/stream_descriptor.hpp>

#include "driver/sockets/own_sockets.hh"

namespace banyan::driver {
namespace {

// With the io_context's own executor instead of a type-erased one.
using StreamDescriptor = asio::posix::basic_stream_descriptor<asio::io_context::executor_type>;

class AsioWatch final : public Watch {
 public:
  explicit AsioWatch(StreamDescriptor descriptor) : descriptor_(std::move(descriptor)) {
    own_socket(descriptor_.native_handle());
  }
  ~AsioWatch() override { disown_socket(descriptor_.native_handle()); }

  void wait(Readiness readiness, Waiter& waiter) override {
    const auto which = readiness == Readiness::read ? StreamDescriptor::wait_read : StreamDescriptor::wait_write;
    descriptor_.async_wait(which, [&waiter](const std::error_code& error) { waiter.resume(!error); });
  }

 private:
  StreamDescriptor descriptor_;
};

}  // namespace

std::unique_ptr<Watch> watch_with_asio(asio::io_context& io, Socket socket, std::error_code& error) {
  StreamDescriptor descriptor(io);
  descriptor.assign(socket.get(), error);
  if (error) return nullptr;
  socket.release();
  return std::make_unique<AsioWatch>(std::move(descriptor));
}

}  // namespace banyan::driver
