// Shard::open with the real engine; apart from shard.cc, so that what tests the driver alone links no engine.
#include "driver/seastar/shard.hh"
#include "engine/engine.hh"

namespace banyan::driver {

std::variant<std::unique_ptr<ShardRank>, Failure> Shard::open(RankOptions options) {
  return open(std::move(options), [](const node::Config& config) { return std::make_unique<engine::Engine>(config); });
}

}  // namespace banyan::driver
