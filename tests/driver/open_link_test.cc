// The contract on open links: bytes in both directions, backpressure, and all ways in which a connection ends.
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <tuple>

#include <gtest/gtest.h>

#include "raw_peer.hh"
#include "scripted_machine.hh"

namespace banyan::driver_test {
namespace {

using engine::output::Close;
using engine::output::Transmit;
using node::effect::Connect;
namespace input = engine::input;

constexpr LinkId kLink{1};

class OpenLink : public testing::TestWithParam<std::tuple<DriverKind, Meeting::Kind>> {
 protected:
  OpenLink() : rig(std::get<0>(GetParam())), listener(meeting(std::get<1>(GetParam()))) {}

  Connect connect_order(LinkId link = kLink) const {
    Connect connect;
    connect.link = link;
    connect.target = local() ? node::Target::local : node::Target::endpoint;
    connect.endpoint = listener.where().endpoint;
    connect.name = listener.where().name;
    return connect;
  }
  RawPeer connect() {
    rig.order(connect_order());
    connected = rig.script->expect<input::Connected>();
    return listener.accept();
  }
  void transmit(std::string_view bytes) { rig.order(Transmit{kLink, Payload::copy(bytes)}); }
  bool local() const { return std::get<1>(GetParam()) == Meeting::Kind::local; }
  Script& script() { return *rig.script; }

  Rig rig;
  RawListener listener;
  input::Connected connected;
};

TEST_P(OpenLink, a_connection_is_reported_with_its_link_and_local_address) {
  connect();
  EXPECT_EQ(connected.link, kLink);
  EXPECT_EQ(connected.local.known(), !local());
  if (!local()) {
    EXPECT_TRUE(connected.local.loopback());
    EXPECT_EQ(connected.local.family, listener.where().endpoint.family);
    EXPECT_NE(connected.local.port, 0);
  }
}

TEST_P(OpenLink, fragments_arrive_in_order_and_whole) {
  RawPeer peer = connect();
  const std::string all = pattern(3'000'000);
  std::mt19937 random(1);
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t count = std::min<std::size_t>(all.size() - at, std::size_t{1} << random() % 19);
    peer.send(std::string_view(all).substr(at, count));
    at += count;
  }
  EXPECT_EQ(script().expect_bytes(kLink, all.size()), all);
}

TEST_P(OpenLink, what_one_drain_hands_over_leaves_in_order) {
  RawPeer peer = connect();
  std::vector<engine::Output> outputs;
  std::string expected;
  for (int i = 0; i < 100; ++i) {
    const std::string part = pattern(static_cast<std::size_t>(i * 7)) + std::to_string(i);
    outputs.push_back(Transmit{kLink, Payload::copy(part)});
    expected += part;
  }
  rig.order(std::move(outputs));
  EXPECT_EQ(peer.receive(expected.size()), expected);
}

TEST_P(OpenLink, a_payload_of_thousands_of_slices_is_gathered) {
  RawPeer peer = connect();
  const std::string all = pattern(1'500'000);
  Payload payload;
  for (std::size_t at = 0; at < all.size(); at += 500)
    payload.append(Slice::copy(std::string_view(all).substr(at, 500)));
  ASSERT_EQ(payload.slice_count(), 3000u);
  rig.order(Transmit{kLink, payload});
  EXPECT_EQ(peer.receive(all.size()), all);
}

TEST_P(OpenLink, a_slow_reader_fills_the_queue_and_drained_tells_how_it_empties) {
  RawPeer peer = connect();
  const std::string all = pattern(12'000'000);
  transmit(all);
  // The kernel has taken what it holds; the rest waits, and nothing more is said about it.
  std::size_t queued = script().expect<input::Drained>().queued;
  EXPECT_GT(queued, 0u);
  EXPECT_LT(queued, all.size());
  EXPECT_TRUE(script().nothing_comes<input::Drained>(std::chrono::milliseconds(100)));
  EXPECT_EQ(peer.receive(all.size()), all);
  while (queued > 0) {
    const std::size_t before = queued;
    queued = script().expect<input::Drained>().queued;
    EXPECT_LT(queued, before);
  }
}

TEST_P(OpenLink, bytes_handed_over_while_others_wait_follow_them) {
  RawPeer peer = connect();
  const std::string first = pattern(8'000'000);
  transmit(first);
  script().expect<input::Drained>();
  for (int i = 0; i < 50; ++i) transmit("-" + std::to_string(i));
  std::string expected = first;
  for (int i = 0; i < 50; ++i) expected += "-" + std::to_string(i);
  EXPECT_EQ(peer.receive(expected.size()), expected);
}

TEST_P(OpenLink, both_directions_flow_at_once) {
  RawPeer peer = connect();
  const std::string all = pattern(5'000'000);
  transmit(all);
  for (std::size_t at = 0; at < all.size(); at += 50'000) {
    peer.send(std::string_view(all).substr(at, 50'000));
    EXPECT_EQ(peer.receive(50'000), all.substr(at, 50'000));
  }
  EXPECT_EQ(script().expect_bytes(kLink, all.size()), all);
}

TEST_P(OpenLink, a_paused_link_is_not_read_until_it_is_resumed) {
  RawPeer peer = connect();
  rig.order(node::effect::PauseReading{kLink});
  script().expect<node::Call>([](const node::Call&) { return true; });
  // A read may be under way when the pause comes; after the bytes of that one nothing more.
  const std::string all = pattern(1'000'000);
  std::thread sender([&] { peer.send(all); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(script().bytes_so_far(kLink), 0u);
  rig.order(node::effect::ResumeReading{kLink});
  EXPECT_EQ(script().expect_bytes(kLink, all.size()), all);
  sender.join();
}

TEST_P(OpenLink, an_end_of_the_peer_is_reported_after_its_last_bytes) {
  {
    RawPeer peer = connect();
    peer.send("last words");
  }
  const auto closed = script().expect<input::Closed>();
  EXPECT_EQ(closed.link, kLink);
  EXPECT_FALSE(closed.reason.empty());
  EXPECT_EQ(script().expect_bytes(kLink, 10), "last words");
}

TEST_P(OpenLink, a_peer_that_only_stops_sending_still_gets_what_was_handed_over) {
  RawPeer peer = connect();
  const std::string all = pattern(6'000'000);
  transmit(all);
  peer.end_sending();
  script().expect<input::Closed>();
  EXPECT_EQ(peer.receive_to_end(), all);
}

TEST_P(OpenLink, a_reset_is_reported_with_a_reason) {
  RawPeer peer = connect();
  peer.reset();
  EXPECT_FALSE(script().expect<input::Closed>().reason.empty());
}

TEST_P(OpenLink, what_the_peer_said_before_it_went_is_heard_although_writing_to_it_fails) {
  RawPeer peer = connect();
  rig.order(node::effect::PauseReading{kLink});
  script().expect<node::Call>();
  peer.send("the reason");
  { const RawPeer gone = std::move(peer); }
  for (int i = 0; i < 3; ++i) transmit(pattern(1000));
  rig.order(node::effect::ResumeReading{kLink});
  script().expect<input::Closed>();
  EXPECT_EQ(script().expect_bytes(kLink, 10), "the reason");
}

TEST_P(OpenLink, a_peer_that_dies_while_bytes_wait_is_noticed) {
  RawPeer peer = connect();
  transmit(pattern(12'000'000));
  script().expect<input::Drained>();
  peer.reset();
  script().expect<input::Closed>();
}

TEST_P(OpenLink, closing_lets_everything_leave_first) {
  RawPeer peer = connect();
  const std::string all = pattern(6'000'000);
  rig.order({Transmit{kLink, Payload::copy(all)}, Close{kLink, false}});
  EXPECT_EQ(peer.receive_to_end(), all);
  EXPECT_TRUE(script().nothing_comes<input::Closed>(std::chrono::milliseconds(50)));
}

TEST_P(OpenLink, closing_delivers_the_last_words_to_a_peer_that_keeps_talking) {
  RawPeer peer = connect();
  peer.send(pattern(100'000));
  script().expect_bytes(kLink, 1);
  rig.order({Transmit{kLink, Payload::copy("go away")}, Close{kLink, false}});
  peer.try_to_send(pattern(1000));
  EXPECT_EQ(peer.receive_to_end(), "go away");
}

TEST_P(OpenLink, closing_does_not_wait_for_a_peer_that_reads_nothing) {
  RawPeer peer = connect();
  rig.order({Transmit{kLink, Payload::copy(pattern(12'000'000))}, Close{kLink, false}});
  // The linger is bounded: the peer finds a part and then the end.
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  EXPECT_LT(peer.receive_to_end().size(), 12'000'000u);
}

TEST_P(OpenLink, abandoning_waits_for_nothing) {
  RawPeer peer = connect();
  transmit(pattern(12'000'000));
  script().expect<input::Drained>();
  rig.order(Close{kLink, true});
  EXPECT_LT(peer.receive_to_end().size(), 12'000'000u);
}

TEST_P(OpenLink, a_child_of_fork_keeps_no_connection_of_its_parent_open) {
  RawPeer peer = connect();
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(pipe[1]);
    char nothing = 0;
    ::_exit(static_cast<int>(::read(pipe[0], &nothing, 1)));  // until the parent closes its end
  }
  rig.order(Close{kLink, true});
  EXPECT_TRUE(peer.ends_within(kPatience));
  ::close(pipe[0]);
  ::close(pipe[1]);
  ::waitpid(child, nullptr, 0);
}

TEST_P(OpenLink, a_refused_connection_is_reported_with_a_reason) {
  const Connect order = connect_order();
  listener = RawListener(meeting(std::get<1>(GetParam())));  // the first one is gone
  rig.order(order);
  const auto failed = script().expect<input::ConnectFailed>();
  EXPECT_EQ(failed.link, kLink);
  EXPECT_NE(failed.reason.find("refused"), std::string::npos) << failed.reason;
}

TEST_P(OpenLink, links_of_one_rank_do_not_mix) {
  constexpr int kLinks = 50;
  std::vector<RawPeer> peers;
  for (std::uint32_t i = 1; i <= kLinks; ++i) {
    rig.order(connect_order(LinkId{i}));
    script().expect<input::Connected>();
    peers.push_back(listener.accept());
  }
  for (int i = 0; i < kLinks; ++i) peers[static_cast<std::size_t>(i)].send("peer " + std::to_string(100 + i));
  for (std::uint32_t i = 1; i <= kLinks; ++i)
    rig.order(Transmit{LinkId{i}, Payload::copy("link " + std::to_string(100 + i))});
  for (int i = 0; i < kLinks; ++i) {
    EXPECT_EQ(script().expect_bytes(LinkId{static_cast<std::uint32_t>(i + 1)}, 8), "peer " + std::to_string(100 + i));
    EXPECT_EQ(peers[static_cast<std::size_t>(i)].receive(8), "link " + std::to_string(101 + i));
  }
}

INSTANTIATE_TEST_SUITE_P(Drivers, OpenLink,
                         testing::Combine(testing::ValuesIn(all_drivers()),
                                          testing::Values(Meeting::Kind::tcp4, Meeting::Kind::tcp6,
                                                          Meeting::Kind::local)),
                         [](const auto& parameters) {
                           return std::get<0>(parameters.param).name + "_" + to_string(std::get<1>(parameters.param));
                         });

}  // namespace
}  // namespace banyan::driver_test
