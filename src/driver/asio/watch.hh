// A descriptor in Asio's reactor.
#pragma once

#include <memory>
#include <system_error>

#include <asio/io_context.hpp>

#include "driver/sockets/reactor.hh"

namespace banyan::driver {

std::unique_ptr<Watch> watch_with_asio(asio::io_context& io, Socket socket, std::error_code& error);

}  // namespace banyan::driver
