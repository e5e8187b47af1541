// The contract on opening connections: where the driver looks for the rendezvous, and on time.
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <stdexcept>

#include <gtest/gtest.h>

#include "driver/sockets/clock.hh"
#include "raw_peer.hh"
#include "scripted_machine.hh"

namespace banyan::driver_test {
namespace {

using driver::RankOptions;
using node::Target;
using node::effect::Connect;
namespace input = engine::input;

constexpr LinkId kLink{1};

Connect to_rendezvous() {
  Connect connect;
  connect.link = kLink;
  connect.target = Target::rendezvous;
  return connect;
}

class Connecting : public testing::TestWithParam<DriverKind> {
 protected:
  static RankOptions options(std::vector<driver::HostAndPort> rendezvous) {
    RankOptions result = Rig::default_options();
    result.config.rank = Rank{1};
    result.config.world_size = 2;
    result.rendezvous = std::move(rendezvous);
    return result;
  }
};

TEST_P(Connecting, the_rendezvous_is_found_by_address_and_by_name) {
  for (const char* host : {"127.0.0.1", "localhost"}) {
    RawListener listener(meeting(Meeting::Kind::tcp4));
    Rig rig(GetParam(), options({{host, listener.where().endpoint.port}}));
    rig.order(to_rendezvous());
    rig.script->expect<input::Connected>();
    listener.accept();
  }
}

TEST_P(Connecting, localhost_means_both_families) {
  RawListener listener(meeting(Meeting::Kind::tcp6));
  Rig rig(GetParam(), options({{"localhost", listener.where().endpoint.port}}));
  rig.order(to_rendezvous());
  EXPECT_EQ(rig.script->expect<input::Connected>().local.family, Endpoint::Family::tcp6);
}

TEST_P(Connecting, alternative_addresses_are_tried_in_turn) {
  RawListener listener(meeting(Meeting::Kind::tcp4));
  Rig rig(GetParam(), options({{"127.0.0.1", 1}, {"::1", 1}, {"127.0.0.1", listener.where().endpoint.port}}));
  rig.order(to_rendezvous());
  rig.script->expect<input::Connected>();
}

// A listener whose queue is full: connections to it hang.
class SilentListener {
 public:
  SilentListener() : socket_(driver::stream_socket(AF_INET).socket) {
    const driver::Address any = driver::Address::of(loopback4());
    if (::bind(socket_.get(), any.data(), any.length) != 0 || ::listen(socket_.get(), 0) != 0)
      throw std::runtime_error("can't listen");
    const driver::Address address = driver::Address::of(driver::local_endpoint(socket_.get()));
    for (driver::Socket& caller : callers_) {
      caller = driver::stream_socket(AF_INET).socket;
      ::connect(caller.get(), address.data(), address.length);
    }
  }
  std::uint16_t port() const { return driver::local_endpoint(socket_.get()).port; }

 private:
  driver::Socket socket_;
  std::array<driver::Socket, 4> callers_;
};

Connect again_to_rendezvous() {
  Connect connect = to_rendezvous();
  connect.link = LinkId{2};
  return connect;
}

TEST_P(Connecting, behind_an_address_that_kept_a_try_waiting_the_next_one_begins) {
  const SilentListener silent;
  RawListener listener(meeting(Meeting::Kind::tcp4));
  Rig rig(GetParam(), options({{"127.0.0.1", silent.port()}, {"127.0.0.1", listener.where().endpoint.port}}));
  rig.order(to_rendezvous());
  EXPECT_TRUE(rig.script->nothing_comes<input::Connected>(std::chrono::milliseconds(50)));
  rig.order({engine::output::Close{kLink, false}, again_to_rendezvous()});
  EXPECT_EQ(rig.script->expect<input::Connected>().link, LinkId{2});
  listener.accept();
}

TEST_P(Connecting, behind_an_address_that_answers_nothing_the_next_try_begins) {
  RawListener mute(meeting(Meeting::Kind::tcp4));
  RawListener listener(meeting(Meeting::Kind::tcp4));
  Rig rig(GetParam(),
          options({{"127.0.0.1", mute.where().endpoint.port}, {"127.0.0.1", listener.where().endpoint.port}}));
  rig.order(to_rendezvous());
  rig.script->expect<input::Connected>();
  rig.order({engine::output::Close{kLink, false}, again_to_rendezvous()});
  EXPECT_EQ(rig.script->expect<input::Connected>().link, LinkId{2});
  listener.accept();
}

TEST_P(Connecting, after_the_last_address_comes_the_first) {
  RawListener listener(meeting(Meeting::Kind::tcp4));
  const SilentListener silent;
  Rig rig(GetParam(), options({{"127.0.0.1", 1}, {"127.0.0.1", silent.port()}}));
  rig.order(to_rendezvous());
  EXPECT_TRUE(rig.script->nothing_comes<input::ConnectFailed>(std::chrono::milliseconds(50)));
  // Port 1 refuses at once, then the silent one is tried again: no failure is reported, nor an end of the list.
  rig.order({engine::output::Close{kLink, false}, again_to_rendezvous()});
  EXPECT_TRUE(rig.script->nothing_comes<input::ConnectFailed>(std::chrono::milliseconds(50)));
}

TEST_P(Connecting, a_name_that_does_not_resolve_is_reported_and_can_be_tried_again) {
  Rig rig(GetParam(), options({{"no-such-host.invalid", 4242}}));
  for (std::uint32_t i = 1; i <= 2; ++i) {
    Connect connect = to_rendezvous();
    connect.link = LinkId{i};
    rig.order(connect);
    const auto failed = rig.script->expect<input::ConnectFailed>();
    EXPECT_EQ(failed.link, LinkId{i});
    EXPECT_NE(failed.reason.find("no-such-host.invalid"), std::string::npos) << failed.reason;
  }
}

TEST_P(Connecting, a_listed_host_is_found_by_its_index) {
  RawListener listener(meeting(Meeting::Kind::tcp4));
  RankOptions listed = options({});
  listed.config.hosts = {"127.0.0.1:1", "127.0.0.1:" + std::to_string(listener.where().endpoint.port)};
  Rig rig(GetParam(), listed);
  Connect connect;
  connect.link = kLink;
  connect.target = Target::host;
  connect.host_index = 1;
  rig.order(connect);
  rig.script->expect<input::Connected>();
}

TEST_P(Connecting, a_try_that_the_engine_gives_up_is_heard_of_no_more) {
  // RFC 5737: nobody answers there. Where the system refuses at once, that may come before the close.
  Rig rig(GetParam(), options({{"192.0.2.1", 4242}}));
  rig.order({to_rendezvous(), engine::output::Close{kLink, false}});
  EXPECT_TRUE(rig.script->nothing_comes<input::Connected>(std::chrono::milliseconds(50)));
}

TEST_P(Connecting, an_interface_binds_the_source_address) {
  RawListener listener(meeting(Meeting::Kind::tcp4));
  RankOptions with = options({{"127.0.0.1", listener.where().endpoint.port}});
  with.interface = "lo";
  Rig rig(GetParam(), with);
  rig.order(to_rendezvous());
  EXPECT_TRUE(rig.script->expect<input::Connected>().local.loopback());
}

TEST_P(Connecting, an_interface_that_is_not_there_is_refused_with_a_list_of_those_that_are) {
  for (const char* wrong : {"nosuch0", "198.51.100.0/24", "198.51.100.7"}) {
    RankOptions with = options({{"127.0.0.1", 1}});
    with.interface = wrong;
    try {
      Rig rig(GetParam(), with);
      ADD_FAILURE() << "opened with " << wrong;
    } catch (const std::runtime_error& error) {
      EXPECT_NE(std::string(error.what()).find(wrong), std::string::npos);
      EXPECT_NE(std::string(error.what()).find("lo 127.0.0.1"), std::string::npos) << error.what();
    }
  }
}

// --- time ---

TEST_P(Connecting, a_tick_comes_when_the_deadline_has_passed_and_not_before) {
  std::atomic<std::int64_t> ticked_at{0};
  Rig rig(GetParam(), Rig::default_options(), [&](Script& script, const engine::Input& input) {
    if (!std::holds_alternative<input::Tick>(input)) return;
    ticked_at = driver::now().time_since_epoch().count();
    script.set_deadline(kNever);
  });
  const Time deadline = driver::now() + std::chrono::milliseconds(50);
  rig.script->set_deadline(deadline);
  rig.rank->poke();
  rig.script->expect<input::Tick>();
  EXPECT_GE(ticked_at, deadline.time_since_epoch().count());
  EXPECT_LT(ticked_at, (deadline + std::chrono::seconds(2)).time_since_epoch().count());
  EXPECT_TRUE(rig.script->nothing_comes<input::Tick>(std::chrono::milliseconds(50)));
}

TEST_P(Connecting, a_deadline_can_move_both_ways) {
  Rig rig(GetParam(), Rig::default_options(), [](Script& script, const engine::Input& input) {
    if (std::holds_alternative<input::Tick>(input)) script.set_deadline(kNever);
  });
  rig.script->set_deadline(driver::now() + std::chrono::hours(1));
  rig.rank->poke();
  rig.script->expect<node::Call>();
  rig.script->set_deadline(driver::now() + std::chrono::milliseconds(20));
  rig.rank->poke();
  rig.script->expect<input::Tick>();
  rig.script->set_deadline(driver::now() + std::chrono::milliseconds(20));
  rig.rank->poke();
  rig.script->set_deadline(driver::now() + std::chrono::hours(1));
  rig.rank->poke();
  EXPECT_TRUE(rig.script->nothing_comes<input::Tick>(std::chrono::milliseconds(60)));
}

TEST_P(Connecting, a_deadline_that_has_passed_brings_a_tick_at_once) {
  Rig rig(GetParam(), Rig::default_options(), [](Script& script, const engine::Input& input) {
    if (std::holds_alternative<input::Tick>(input)) script.set_deadline(kNever);
  });
  rig.script->set_deadline(Time{});
  rig.rank->poke();
  rig.script->expect<input::Tick>();
}

INSTANTIATE_TEST_SUITE_P(Drivers, Connecting, testing::ValuesIn(all_drivers()),
                         [](const auto& parameters) { return parameters.param.name; });

}  // namespace
}  // namespace banyan::driver_test
