// The contract on listeners: where they stand, who shares them, who is let in, and what strangers cost.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <thread>
#include <tuple>

#include <gtest/gtest.h>

#include "raw_peer.hh"
#include "scripted_machine.hh"

namespace banyan::driver_test {
namespace {

using driver::HostAndPort;
using driver::RankOptions;
using engine::output::Transmit;
using node::Listener;
using node::effect::Listen;
namespace input = engine::input;

class Listening : public testing::TestWithParam<DriverKind> {
 protected:
  RankOptions options(std::uint32_t rank = 0, JobId job = job_id(1)) const {
    RankOptions result = Rig::default_options();
    result.config.rank = Rank{rank};
    result.config.world_size = 16;
    result.config.job = job;
    result.rendezvous = {{"127.0.0.1", 1}};
    return result;
  }
  // A port that was free a moment ago.
  static std::uint16_t free_port() { return RawListener(meeting(Meeting::Kind::tcp4)).where().endpoint.port; }
  // Two side by side that were, where the kernel gives none to those who ask for any.
  static std::uint16_t two_free_ports() {
    const auto can_listen = [](int port) {
      try {
        RawListener({Meeting::Kind::tcp4, loopback4(static_cast<std::uint16_t>(port)), {}});
        return true;
      } catch (const std::exception&) {
        return false;
      }
    };
    int low = 20'000 + ::getpid() % 5'000 * 2;
    while (!can_listen(low) || !can_listen(low + 1)) low += 2;
    return static_cast<std::uint16_t>(low);
  }
  static RawPeer caller(std::uint16_t port) { return RawPeer::connect({Meeting::Kind::tcp4, loopback4(port), {}}); }
  // One that has said hello to rank 0.
  static RawPeer greeter(std::uint16_t port) {
    RawPeer peer = caller(port);
    peer.send(hello(Rank{0}, job_id(1)));
    return peer;
  }
};

// --- where ---

TEST_P(Listening, a_network_listener_takes_a_free_port_and_says_which) {
  Rig rig(GetParam(), options());
  rig.order(Listen{Listener::network, loopback6(), {}});
  const auto listening = rig.script->expect<input::Listening>();
  EXPECT_EQ(listening.listener, Listener::network);
  EXPECT_EQ(listening.endpoint.address, loopback6().address);
  EXPECT_NE(listening.endpoint.port, 0);
  RawPeer::connect({Meeting::Kind::tcp6, listening.endpoint, {}});
}

TEST_P(Listening, a_port_range_is_kept_and_a_full_one_reported) {
  const std::uint16_t low = two_free_ports();
  RankOptions ranged = options();
  ranged.ports = {low, static_cast<std::uint16_t>(low + 1)};
  Rig first(GetParam(), ranged);
  Rig second(GetParam(), ranged);
  Rig third(GetParam(), ranged);
  EXPECT_EQ(first.listen(loopback4()), low);
  EXPECT_EQ(second.listen(loopback4()), low + 1);
  third.order(Listen{Listener::network, loopback4(), {}});
  const std::string reason = third.script->expect<input::ListenFailed>().reason;
  EXPECT_NE(reason.find(std::to_string(low)), std::string::npos) << reason;
}

TEST_P(Listening, the_rendezvous_stands_on_loopback_only_when_it_says_loopback) {
  const std::uint16_t port = free_port();
  RankOptions rendezvous = options();
  rendezvous.rendezvous = {{"127.0.0.1", port}};
  Rig rig(GetParam(), rendezvous);
  rig.order(Listen{Listener::rendezvous, {}, {}});
  EXPECT_EQ(rig.script->expect<input::Listening>().endpoint, loopback4(port));
}

TEST_P(Listening, a_rendezvous_at_another_hosts_address_stands_on_all_addresses_with_a_warning) {
  const std::uint16_t port = free_port();
  RankOptions rendezvous = options();
  rendezvous.rendezvous = {{"192.0.2.1", port}};
  std::atomic<int> warnings{0};
  rendezvous.on_notice = [&](const node::effect::Notice&) { ++warnings; };
  Rig rig(GetParam(), rendezvous);
  rig.order(Listen{Listener::rendezvous, {}, {}});
  EXPECT_TRUE(rig.script->expect<input::Listening>().endpoint.wildcard());
  EXPECT_EQ(warnings, 1);
  caller(port);
}

TEST_P(Listening, a_rendezvous_in_use_is_reported_with_its_address) {
  const RawListener other(meeting(Meeting::Kind::tcp4));
  RankOptions rendezvous = options();
  rendezvous.rendezvous = {{"127.0.0.1", other.where().endpoint.port}};
  Rig rig(GetParam(), rendezvous);
  rig.order(Listen{Listener::rendezvous, {}, {}});
  EXPECT_EQ(rig.script->expect<input::ListenFailed>().reason,
            "address " + other.where().endpoint.to_string() + " is in use");
}

TEST_P(Listening, an_inherited_socket_becomes_the_rendezvous) {
  driver::OpenedSocket inherited = driver::listening_socket(driver::Address::of(loopback4()), false);
  const Endpoint where = driver::local_endpoint(inherited.socket.get());
  RankOptions rendezvous = options();
  rendezvous.rendezvous = {{"127.0.0.1", where.port}};
  rendezvous.rendezvous_fd = inherited.socket.release();
  Rig rig(GetParam(), rendezvous);
  rig.order(Listen{Listener::rendezvous, {}, {}});
  EXPECT_EQ(rig.script->expect<input::Listening>().endpoint, where);
  RawPeer peer = caller(where.port);
  peer.send(hello(Rank{0}));
  EXPECT_EQ(rig.script->expect<input::Accepted>().listener, Listener::rendezvous);
}

TEST_P(Listening, a_descriptor_that_is_something_else_by_now_is_left_alone) {
  const driver::OpenedSocket elsewhere = driver::listening_socket(driver::Address::of(loopback4()), false);
  const driver::Socket file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (const int descriptor : {elsewhere.socket.get(), file.get(), 1000}) {
    RankOptions rendezvous = options();
    const std::uint16_t port = free_port();
    rendezvous.rendezvous = {{"127.0.0.1", port}};
    rendezvous.rendezvous_fd = descriptor;
    {
      Rig rig(GetParam(), rendezvous);
      rig.order(Listen{Listener::rendezvous, {}, {}});
      EXPECT_EQ(rig.script->expect<input::Listening>().endpoint, loopback4(port));
    }
    EXPECT_EQ(::fcntl(descriptor, F_GETFD) >= 0, descriptor != 1000);
  }
}

TEST_P(Listening, one_inherited_socket_serves_one_rank_at_a_time) {
  driver::OpenedSocket inherited = driver::listening_socket(driver::Address::of(loopback4()), false);
  RankOptions rendezvous = options();
  rendezvous.rendezvous = {{"127.0.0.1", driver::local_endpoint(inherited.socket.get()).port}};
  rendezvous.rendezvous_fd = inherited.socket.release();
  Rig first(GetParam(), rendezvous);
  first.order(Listen{Listener::rendezvous, {}, {}});
  first.script->expect<input::Listening>();
  {
    // It knows the number too, and finds it taken.
    Rig second(GetParam(), rendezvous);
    second.order(Listen{Listener::rendezvous, {}, {}});
    second.script->expect<input::ListenFailed>();
  }
  RawPeer peer = caller(rendezvous.rendezvous.front().port);
  peer.send(hello(Rank{0}));
  first.script->expect<input::Accepted>();
}

TEST_P(Listening, a_unix_name_in_use_is_reported_and_free_again_after_stop_listening) {
  const std::string name = meeting(Meeting::Kind::local).name;
  Rig first(GetParam(), options());
  Rig second(GetParam(), options());
  first.order(Listen{Listener::local, {}, name});
  first.script->expect<input::Listening>();
  second.order(Listen{Listener::local, {}, name});
  EXPECT_EQ(second.script->expect<input::ListenFailed>().reason, "in use");
  first.order(node::effect::StopListening{Listener::local});
  // The next input comes when what the one before it caused has been carried out.
  first.rank->poke();
  for (int call = 0; call < 3; ++call) first.script->expect<node::Call>([](const auto&) { return true; });
  second.order(Listen{Listener::local, {}, name});
  second.script->expect<input::Listening>();
}

TEST_P(Listening, a_port_can_be_used_again_right_after_a_rank_has_closed) {
  const std::uint16_t port = free_port();
  RankOptions rendezvous = options();
  rendezvous.rendezvous = {{"127.0.0.1", port}};
  for (int round = 0; round < 3; ++round) {
    Rig rig(GetParam(), rendezvous);
    rig.order(Listen{Listener::rendezvous, {}, {}});
    rig.script->expect<input::Listening>();
    RawPeer peer = caller(port);
    peer.send(hello(Rank{0}));
    rig.script->expect<input::Accepted>();
  }
}

// --- who ---

TEST_P(Listening, the_first_bytes_follow_the_adopted_connection) {
  Rig rig(GetParam(), options());
  RawPeer peer = caller(rig.listen(loopback4()));
  const std::string greeting = hello(Rank{0}, job_id(1));
  for (const char byte : greeting) peer.send(std::string_view(&byte, 1));
  const auto accepted = rig.script->expect<input::Accepted>();
  EXPECT_EQ(accepted.listener, Listener::network);
  EXPECT_TRUE(accepted.local.loopback());
  EXPECT_TRUE(accepted.remote.loopback());
  peer.send("and more");
  EXPECT_EQ(rig.script->expect_bytes(LinkId{1000}, greeting.size() + 8), greeting + "and more");
  rig.order(Transmit{LinkId{1000}, Payload::copy("welcome")});
  EXPECT_EQ(peer.receive(7), "welcome");
}

TEST_P(Listening, ranks_of_one_process_share_a_listener_and_callers_find_theirs) {
  Rig one(GetParam(), options(1));
  Rig two(one, options(2));
  Rig other_job(one, options(1, job_id(9)));
  const std::uint16_t port = one.listen(loopback4());
  EXPECT_EQ(two.listen(loopback4()), port);
  EXPECT_EQ(other_job.listen(loopback4()), port);
  RawPeer to_two = caller(port);
  to_two.send(hello(Rank{2}, job_id(1)));
  two.script->expect<input::Accepted>();
  RawPeer to_other = caller(port);
  to_other.send(hello(Rank{1}, job_id(9)));
  other_job.script->expect<input::Accepted>();
  RawPeer jobless = caller(port);
  jobless.send(hello(Rank{2}, JobId{}));
  two.script->expect<input::Accepted>();
  RawPeer to_nobody = caller(port);
  to_nobody.send(hello(Rank{3}, job_id(1)));
  EXPECT_EQ(to_nobody.receive_to_end(), "");
  EXPECT_EQ(one.rank->statistics().turned_away, 1u);
  // The listener goes on while one of them is left.
  one.rank.reset();
  RawPeer again = caller(port);
  again.send(hello(Rank{2}, job_id(1)));
  two.script->expect<input::Accepted>();
}

TEST_P(Listening, of_two_jobs_whose_ids_were_not_given_callers_find_the_one_they_name) {
  Rig older(GetParam(), options(1, JobId{}));
  Rig newer(older, options(1, JobId{}));
  older.script->job = job_id(5);  // as rank 0 told it
  const std::uint16_t port = older.listen(loopback4());
  EXPECT_EQ(newer.listen(loopback4()), port);
  RawPeer to_older = caller(port);
  to_older.send(hello(Rank{1}, job_id(5)));
  older.script->expect<input::Accepted>();
  RawPeer to_newer = caller(port);
  to_newer.send(hello(Rank{1}, job_id(6)));
  newer.script->expect<input::Accepted>();
}

// --- strangers ---

TEST_P(Listening, strangers_are_turned_away_and_counted) {
  Rig rig(GetParam(), options());
  const std::uint16_t port = rig.listen(loopback4());
  caller(port);  // connects and closes
  std::string claims_4_gib = hello(Rank{0}, job_id(1));
  claims_4_gib.replace(0, 4, "\xff\xff\xff\xff", 4);
  const std::string strangers[] = {"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                                   std::string("\x16\x03\x01\x02\x00\x01\x00\x01", 8), claims_4_gib, pattern(5000),
                                   std::string(600, '\0')};
  for (const std::string& words : strangers) {
    RawPeer stranger = caller(port);
    stranger.send(words);
    EXPECT_TRUE(stranger.ends_within(kPatience));
  }
  while (rig.rank->statistics().turned_away < 6) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(rig.rank->statistics().turned_away, 6u);
  EXPECT_TRUE(rig.script->nothing_comes<input::Accepted>(std::chrono::milliseconds(20)));
}

TEST_P(Listening, half_a_hello_is_given_up_after_the_handshake_timeout) {
  RankOptions hasty = options();
  hasty.config.limits.handshake_timeout = std::chrono::milliseconds(200);
  Rig rig(GetParam(), hasty);
  const std::uint16_t port = rig.listen(loopback4());
  RawPeer slow = caller(port);
  slow.send(hello(Rank{0}, job_id(1)).substr(0, 50));
  RawPeer silent = caller(port);
  EXPECT_FALSE(slow.ends_within(std::chrono::milliseconds(100)));
  EXPECT_TRUE(slow.ends_within(kPatience));
  EXPECT_TRUE(silent.ends_within(kPatience));
  EXPECT_EQ(rig.rank->statistics().turned_away, 2u);
}

TEST_P(Listening, a_thousand_silent_connections_delay_nobody) {
  Rig rig(GetParam(), options());
  const std::uint16_t port = rig.listen(loopback4());
  std::vector<RawPeer> silent;
  for (int i = 0; i < 1000; ++i) silent.push_back(caller(port));
  const auto begin = std::chrono::steady_clock::now();
  RawPeer honest = greeter(port);
  rig.script->expect<input::Accepted>();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
  EXPECT_FALSE(silent.front().readable_within(std::chrono::milliseconds(0)));
}

TEST_P(Listening, beyond_the_limit_the_oldest_silent_connection_makes_room) {
  RankOptions narrow = options();
  narrow.config.limits.unauthenticated_links = 10;
  Rig rig(GetParam(), narrow);
  const std::uint16_t port = rig.listen(loopback4());
  std::vector<RawPeer> silent;
  for (int i = 0; i < 15; ++i) silent.push_back(caller(port));
  for (std::size_t i = 0; i < 5; ++i) EXPECT_TRUE(silent[i].ends_within(kPatience));
  RawPeer honest = greeter(port);
  rig.script->expect<input::Accepted>();
  EXPECT_FALSE(silent.back().readable_within(std::chrono::milliseconds(20)));
}

// Turns everyone away who has said hello, with a last word.
void refuse(Script& script, const engine::Input& input) {
  const auto* bytes = std::get_if<input::BytesReceived>(&input);
  if (bytes == nullptr) return;
  script.put(Transmit{bytes->link, Payload::copy("no")});
  script.put(engine::output::Close{bytes->link, false});
}

std::size_t descriptors() {
  const auto list = std::filesystem::directory_iterator("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(list), end(list)));
}

TEST_P(Listening, refused_connections_that_their_callers_keep_open_are_bounded) {
  RankOptions narrow = options();
  narrow.config.limits.unauthenticated_links = 10;
  Rig rig(GetParam(), narrow, refuse);
  const std::uint16_t port = rig.listen(loopback4());
  const std::size_t before = descriptors();
  std::vector<RawPeer> refused;
  for (int i = 0; i < 40; ++i) {
    refused.push_back(caller(port));
    refused.back().send(hello(Rank{0}, job_id(1)));
    EXPECT_EQ(refused.back().receive_to_end(), "no");
  }
  EXPECT_LE(descriptors(), before + refused.size() + 10);
}

// --- a system without descriptors ---

// Takes all descriptors but `left`, with a limit that is quickly reached.
class Scarcity {
 public:
  explicit Scarcity(int left) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit low{512, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &low);
    for (int taken = ::open("/dev/null", O_RDONLY); taken >= 0; taken = ::dup(taken)) taken_.push_back(taken);
    for (; left > 0; --left) give_back_one();
  }
  ~Scarcity() {
    while (!taken_.empty()) give_back_one();
    ::setrlimit(RLIMIT_NOFILE, &before_);
  }
  void give_back_one() {
    ::close(taken_.back());
    taken_.pop_back();
  }

 private:
  rlimit before_{};
  std::vector<int> taken_;
};

double cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

TEST_P(Listening, without_descriptors_callers_are_sent_off_without_spinning_and_served_later) {
  Rig rig(GetParam(), options());
  const std::uint16_t port = rig.listen(loopback4());
  {
    Scarcity scarcity(1);
    RawPeer unlucky = caller(port);  // takes the last one
    EXPECT_TRUE(unlucky.ends_within(kPatience));
    const double before = cpu_seconds();
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    EXPECT_LT(cpu_seconds() - before, 0.1);
  }
  RawPeer lucky = greeter(port);
  rig.script->expect<input::Accepted>();
}

TEST_P(Listening, without_descriptors_a_silent_connection_makes_room_for_one_that_speaks) {
  Rig rig(GetParam(), options());
  const std::uint16_t port = rig.listen(loopback4());
  RawPeer silent = caller(port);
  EXPECT_FALSE(silent.readable_within(std::chrono::milliseconds(50)));
  Scarcity scarcity(1);
  RawPeer honest = greeter(port);
  rig.script->expect<input::Accepted>();
  EXPECT_TRUE(silent.ends_within(kPatience));
}

TEST_P(Listening, without_descriptors_a_refused_connection_makes_room_for_a_new_one) {
  Rig rig(GetParam(), options(), refuse);
  const std::uint16_t port = rig.listen(loopback4());
  RawPeer refused = greeter(port);
  EXPECT_EQ(refused.receive_to_end(), "no");
  Scarcity scarcity(1);
  RawPeer honest = greeter(port);
  EXPECT_EQ(honest.receive_to_end(), "no");
}

TEST_P(Listening, without_descriptors_the_engine_is_asked_for_room) {
  Rig rig(GetParam(), options(), [](Script& script, const engine::Input& input) {
    if (std::holds_alternative<input::MakeRoom>(input)) script.put(engine::output::Close{LinkId{1000}, true});
  });
  const std::uint16_t port = rig.listen(loopback4());
  RawPeer idle = greeter(port);
  rig.script->expect<input::Accepted>();
  Scarcity scarcity(1);
  RawPeer honest = greeter(port);
  rig.script->expect<input::Accepted>();
  EXPECT_TRUE(idle.ends_within(kPatience));
}

TEST_P(Listening, whoever_took_the_last_descriptor_has_time_to_speak) {
  Rig rig(GetParam(), options());
  const std::uint16_t port = rig.listen(loopback4());
  Scarcity scarcity(2);
  RawPeer slow = caller(port);
  EXPECT_FALSE(slow.readable_within(std::chrono::milliseconds(50)));
  slow.send(hello(Rank{0}, job_id(1)));
  rig.script->expect<input::Accepted>();
}

TEST_P(Listening, without_descriptors_a_connect_fails_with_a_reason) {
  Rig rig(GetParam(), options());
  const Scarcity scarcity(0);
  node::effect::Connect connect;
  connect.link = LinkId{1};
  connect.target = node::Target::endpoint;
  connect.endpoint = loopback4(1);
  rig.order(connect);
  EXPECT_FALSE(rig.script->expect<input::ConnectFailed>().reason.empty());
}

INSTANTIATE_TEST_SUITE_P(Drivers, Listening, testing::ValuesIn(all_drivers()),
                         [](const auto& parameters) { return parameters.param.name; });

}  // namespace
}  // namespace banyan::driver_test
