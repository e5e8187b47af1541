#include "cli/calibration.hh"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include <banyan/hierarchical_bootstrap.hpp>

#include "base/random.hh"
#include "cli/descriptor.hh"
#include "cli/error.hh"
#include "session/session.hh"
#include "sim/job.hh"

namespace banyan::cli {
namespace {

// Each figure is the median of so many rounds: an interrupted one says nothing.
constexpr int kRounds = 21;
constexpr int kPerRound = 200;
// Things that a process does once are measured in processes that have not done them yet.
constexpr int kFreshProcesses = 15;
constexpr std::size_t kSmallBytes = 128;
constexpr std::size_t kLargeBytes = 64 * 1024;

std::int64_t cpu_ns(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::int64_t median(std::vector<std::int64_t> samples) {
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::nth_element(samples.begin(), middle, samples.end());
  return std::max<std::int64_t>(*middle, 0);
}

template <typename T>
T check(T result, const char* what) {
  if (result < 0) throw system_error(what);
  return result;
}

// Two steps that follow each other, each timed by the CPU time of this thread.
struct Both {
  std::int64_t first = 0;
  std::int64_t second = 0;
};
template <typename First, typename Second>
Both time_both(First first, Second second) {
  std::vector<std::int64_t> firsts;
  std::vector<std::int64_t> seconds;
  for (int round = 0; round < kRounds; ++round) {
    std::int64_t sum_of_first = 0;
    std::int64_t sum_of_second = 0;
    for (int i = 0; i < kPerRound; ++i) {
      const std::int64_t begin = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
      first();
      const std::int64_t between = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
      second();
      sum_of_first += between - begin;
      sum_of_second += cpu_ns(CLOCK_THREAD_CPUTIME_ID) - between;
    }
    firsts.push_back(sum_of_first / kPerRound);
    seconds.push_back(sum_of_second / kPerRound);
  }
  return {median(firsts), median(seconds)};
}

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

Descriptor new_socket(int family) {
  return Descriptor(check(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), "cannot make a socket"));
}

// On loopback, or under a Unix name that the kernel chooses.
std::pair<Descriptor, Address> listen_on(int family) {
  Descriptor listener = new_socket(family);
  sockaddr_in loopback{};
  loopback.sin_family = AF_INET;
  loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const sockaddr nameless{.sa_family = AF_UNIX, .sa_data = {}};
  const auto* address = family == AF_INET ? reinterpret_cast<const sockaddr*>(&loopback) : &nameless;
  const socklen_t length = family == AF_INET ? sizeof loopback : sizeof(sa_family_t);
  check(::bind(listener.get(), address, length), "cannot bind a socket");
  check(::listen(listener.get(), 128), "cannot listen");
  Address own;
  own.length = sizeof own.storage;
  check(::getsockname(listener.get(), own.get(), &own.length), "cannot ask for a socket's name");
  return {std::move(listener), own};
}

Descriptor connect_to(Address& address) {
  Descriptor caller = new_socket(address.storage.ss_family);
  check(::connect(caller.get(), address.get(), address.length), "cannot connect");
  return caller;
}

Descriptor accept_from(const Descriptor& listener) {
  return Descriptor(check(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK), "cannot accept"));
}

void set_no_delay(const Descriptor& socket) {
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // a Unix socket doesn't know it
}

void send_all(const Descriptor& to, std::size_t bytes) {
  static const std::string block(kLargeBytes, 'x');
  check(::send(to.get(), block.data(), bytes, MSG_NOSIGNAL), "cannot send");
}
void receive_all(const Descriptor& from, std::size_t bytes) {
  static std::string block(kLargeBytes, ' ');
  while (bytes > 0)
    bytes -= static_cast<std::size_t>(check(::recv(from.get(), block.data(), bytes, 0), "cannot receive"));
}

Both connect_and_accept(int family) {
  auto listening = listen_on(family);
  auto& listener = listening.first;  // names of their own: clang 14 lets a lambda capture no structured binding
  auto& address = listening.second;
  Descriptor caller;
  std::vector<Descriptor> kept;
  const Both both = time_both([&] { caller = connect_to(address); },
                              [&] {
                                kept.push_back(accept_from(listener));
                                kept.push_back(std::move(caller));
                                if (kept.size() >= 100) kept.clear();
                              });
  return both;
}

struct Ends {
  Descriptor one;
  Descriptor other;
};
Ends connected_pair(int family) {
  auto [listener, address] = listen_on(family);
  Descriptor caller = connect_to(address);
  Descriptor callee(check(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC), "cannot accept"));
  set_no_delay(caller);
  set_no_delay(callee);
  return {std::move(caller), std::move(callee)};
}

Both write_and_read(int family, std::size_t bytes) {
  const Ends ends = connected_pair(family);
  return time_both([&] { send_all(ends.one, bytes); }, [&] { receive_all(ends.other, bytes); });
}

// One process answers another: each waits with epoll, is woken up, reads and writes. CPU time of one such step.
std::int64_t ping_pong_step() {
  const Ends ends = connected_pair(AF_UNIX);
  const pid_t child = check(::fork(), "cannot fork");
  const Descriptor& own = child == 0 ? ends.other : ends.one;
  const Descriptor poll(check(::epoll_create1(EPOLL_CLOEXEC), "cannot make an epoll descriptor"));
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {}};
  check(::epoll_ctl(poll.get(), EPOLL_CTL_ADD, own.get(), &event), "cannot wait for a socket");
  const auto answer = [&] {
    check(::epoll_wait(poll.get(), &event, 1, 10'000), "cannot wait");
    receive_all(own, kSmallBytes);
    send_all(own, kSmallBytes);
  };
  if (child == 0) {
    for (int i = 0; i < kRounds * kPerRound; ++i) answer();
    ::_exit(0);
  }
  std::vector<std::int64_t> samples;
  send_all(own, kSmallBytes);
  for (int round = 0; round < kRounds; ++round) {
    const std::int64_t begin = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < kPerRound; ++i) answer();
    samples.push_back((cpu_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / kPerRound);
  }
  ::waitpid(child, nullptr, 0);
  return median(samples);
}

// What a process that has never used Banyan spends on getting ready, and on what follows the table.
Both start_and_formed() {
  std::vector<std::int64_t> starts;
  std::vector<std::int64_t> formed;
  for (int i = 0; i < kFreshProcesses; ++i) {
    const Pipe pipe = make_pipe();
    const pid_t child = check(::fork(), "cannot fork");
    if (child == 0) {
      const std::int64_t begin = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
      HierarchicalBootstrap job;
      job.init(0, 1, "127.0.0.1", 0);
      const std::int64_t ready = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
      job.start();
      const std::array<std::int64_t, 2> found{ready - begin, cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - ready};
      ::_exit(::write(pipe.write_end.get(), found.data(), sizeof found) == sizeof found ? 0 : 1);
    }
    std::array<std::int64_t, 2> found{};
    const ssize_t got = ::read(pipe.read_end.get(), found.data(), sizeof found);
    ::waitpid(child, nullptr, 0);
    if (got != sizeof found) throw Error(kExitOwnFailure, "a process that was to start a job of one rank has failed");
    starts.push_back(found[0]);
    formed.push_back(found[1]);
  }
  return {median(starts), median(formed)};
}

session::Identity identity(std::uint32_t rank) {
  session::Identity identity;
  identity.rank = Rank{rank};
  identity.world_size = 2;
  identity.job.bytes.fill(std::byte{1});
  identity.incarnation = Incarnation{rank + 1};
  identity.secret = "a secret of thirty-two characters";
  return identity;
}

// One side of a handshake.
std::int64_t authentication() {
  const session::Identity one = identity(0);
  const session::Identity two = identity(1);
  const auto handshake = [&] {
    session::Session caller = session::Session::initiate(one, wire::Role::child, Rank{1}, {});
    session::Session callee = session::Session::respond(two, {});
    const auto pass = [](session::Session& from, session::Session& to) {
      to.push(from.take_output().flatten());
      to.poll();
    };
    pass(caller, callee);
    pass(callee, caller);
    pass(caller, callee);
    if (!callee.authenticated()) throw Error(kExitOwnFailure, "a handshake has failed");
  };
  return time_both(handshake, [] {}).first / 2;
}

// The engine's own work for an input, as a job of many ranks spends it; the simulation's work is part of it.
std::int64_t engine_input() {
  sim::JobOptions job;
  job.ranks = 512;
  job.secret = false;
  std::vector<std::int64_t> samples;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    sim::Cluster cluster({}, seed);
    sim::add_job(cluster, job);
    const std::int64_t begin = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
    cluster.run([&] { return cluster[job.ranks - 1].table != nullptr; }, after(cluster.now(), std::chrono::hours(1)));
    samples.push_back((cpu_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / static_cast<std::int64_t>(cluster.inputs()));
  }
  return median(samples);
}

// A memory file that one process makes, and another maps and begins to read.
Both enclose_and_map(std::size_t bytes) {
  const std::string block(bytes, 'x');
  Descriptor file;
  volatile char first = 0;
  return time_both(
      [&] {
        file =
            Descriptor(check(::memfd_create("banyan", MFD_CLOEXEC | MFD_ALLOW_SEALING), "cannot make a memory file"));
        check(::write(file.get(), block.data(), bytes), "cannot write to a memory file");
        check(::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
              "cannot seal a memory file");
      },
      [&] {
        check(::fcntl(file.get(), F_GET_SEALS), "cannot ask for the seals of a memory file");
        void* start = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.get(), 0);
        if (start == MAP_FAILED) throw system_error("cannot map a memory file");
        first = *static_cast<const char*>(start);
        ::munmap(start, bytes);
        file.reset();
      });
}

std::int64_t per_byte_ps(std::int64_t large, std::int64_t small) {
  return std::max<std::int64_t>(large - small, 0) * 1000 / static_cast<std::int64_t>(kLargeBytes - kSmallBytes);
}

}  // namespace

sim::Costs measure_costs(const std::function<void(const char*)>& step) {
  sim::Costs costs;
  step("starting");
  const Both own = start_and_formed();
  costs.start = own.first;
  costs.formed = own.second;
  step("listening and closing");
  Descriptor listener;
  const Both listening = time_both([&] { listener = listen_on(AF_INET).first; }, [&] { listener.reset(); });
  costs.listen = listening.first;
  costs.close = listening.second;
  step("connecting");
  const Both tcp = connect_and_accept(AF_INET);
  const Both local = connect_and_accept(AF_UNIX);
  costs.connect_tcp = tcp.first;
  costs.accept_tcp = tcp.second;
  costs.connect_local = local.first;
  costs.accept_local = local.second;
  step("reading and writing");
  const Both small_tcp = write_and_read(AF_INET, kSmallBytes);
  const Both small_local = write_and_read(AF_UNIX, kSmallBytes);
  const Both large_local = write_and_read(AF_UNIX, kLargeBytes);
  costs.write_tcp = small_tcp.first;
  costs.read_tcp = small_tcp.second;
  costs.write_local = small_local.first;
  costs.read_local = small_local.second;
  costs.write_byte_ps = per_byte_ps(large_local.first, small_local.first);
  costs.read_byte_ps = per_byte_ps(large_local.second, small_local.second);
  step("sharing memory");
  const Both small_file = enclose_and_map(kSmallBytes);
  const Both large_file = enclose_and_map(kLargeBytes);
  costs.enclose = small_file.first;
  costs.map = large_file.second;
  costs.enclose_byte_ps = per_byte_ps(large_file.first, small_file.first);
  step("waking up");
  costs.wake = std::max<std::int64_t>(ping_pong_step() - costs.read_local - costs.write_local, 0);
  step("cryptography and the engine");
  costs.authenticate = authentication();
  costs.input = engine_input();
  return costs;
}

}  // namespace banyan::cli
