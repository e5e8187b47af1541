// Runtime::open with the real engine; apart from runtime.cc, so that what tests the driver alone links no engine.
#include "driver/asio/runtime.hh"
#include "engine/engine.hh"

namespace banyan::driver {

std::variant<std::unique_ptr<RankHandle>, Failure> Runtime::open(RankOptions options) {
  return open(std::move(options), [](const node::Config& config) { return std::make_unique<engine::Engine>(config); });
}

}  // namespace banyan::driver
