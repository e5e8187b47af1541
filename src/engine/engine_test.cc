// What one engine does by itself. Whole jobs of engines: sim/job_test.cc.
#include "engine/engine.hh"

#include <optional>
#include <vector>

#include <gtest/gtest.h>

namespace banyan::engine {
namespace {

TEST(Engine, when_the_driver_needs_room_the_oldest_that_proved_nothing_goes) {
  node::Config config;
  config.rank = kRootRank;
  config.world_size = 2;
  config.fan_out = 2;
  config.rendezvous = "host-0:4242";
  Engine engine(config);
  std::vector<LinkId> adopted, closed;
  const auto feed = [&](Input input) {
    engine.handle(Time{}, std::move(input));
    for (Output output = engine.poll(); !std::holds_alternative<output::Wait>(output); output = engine.poll()) {
      if (const auto* adopt = std::get_if<output::Adopt>(&output)) adopted.push_back(adopt->link);
      if (const auto* close = std::get_if<output::Close>(&output)) {
        EXPECT_TRUE(close->abandon);
        closed.push_back(close->link);
      }
    }
  };
  feed(input::Start{});
  feed(input::MakeRoom{});
  EXPECT_TRUE(closed.empty());
  for (const std::uint32_t token : {1u, 2u, 3u})
    feed(input::Accepted{AcceptToken{token}, node::Listener::rendezvous, {}, {}});
  feed(input::MakeRoom{});
  EXPECT_EQ(closed, std::vector{adopted.at(0)});
  feed(input::MakeRoom{});
  EXPECT_EQ(closed, (std::vector{adopted.at(0), adopted.at(1)}));
  EXPECT_EQ(engine.statistics().turned_away, 2u);
}

// What an engine says that was told nothing of its listener until its deadline.
Failure failure_without_a_listener(const node::Config& config) {
  Engine engine(config);
  std::optional<Failure> failed;
  const auto feed = [&](Time now, Input input) {
    engine.handle(now, std::move(input));
    for (Output output = engine.poll(); !std::holds_alternative<output::Wait>(output); output = engine.poll()) {
      if (const auto* failure = std::get_if<node::effect::Failed>(&output)) failed = failure->failure;
    }
  };
  feed(Time{}, input::Start{});
  feed(Time{config.start_timeout}, input::Tick{});
  return failed.value_or(Failure{});
}

TEST(Engine, a_rank_whose_address_never_resolved_says_which_variable_to_check) {
  node::Config config;
  config.world_size = 2;
  config.rendezvous = "pod-0.svc:4242";
  config.host_name = "pod-0";
  const Failure root = failure_without_a_listener(config);
  EXPECT_EQ(root.code, FailureCode::bad_address);
  EXPECT_EQ(root.phase, Phase::setup);
  EXPECT_EQ(root.ranks, RankSet::single(kRootRank));
  EXPECT_EQ(root.text,
            "can't listen at pod-0.svc:4242: this host's resolver does not know the name after 30 s; check "
            "BANYAN_RENDEZVOUS");

  config.rank = Rank{1};
  config.hosts = {"pod-0.svc:4242", "pod-1.svc:4243"};
  config.host_index = 1;
  config.use_local_links = false;
  const Failure leader = failure_without_a_listener(config);
  EXPECT_EQ(leader.code, FailureCode::bad_address);
  EXPECT_EQ(leader.ranks, RankSet::single(Rank{1}));
  EXPECT_NE(leader.text.find("pod-1.svc:4243"), std::string::npos) << leader.text;
  EXPECT_NE(leader.text.find("check BANYAN_HOSTS"), std::string::npos) << leader.text;
}

}  // namespace
}  // namespace banyan::engine
