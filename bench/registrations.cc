// See registrations.hh. Built into the root's programs; with the Asio driver's root it is a program itself.
#include "registrations.hh"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <banyan/hierarchical_bootstrap.hpp>

#include "harness/sockets.hh"

namespace banyan::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kClients = 2;
constexpr std::chrono::seconds kPatience{120};

double milliseconds(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

double cpu_ms() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
  };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

struct Shape {
  int registrations = 10'000;
  int fan_out = 16;
};

Options options_of(const Shape& shape, int rank, int port) {
  Options options;
  options.rank = rank;
  options.world_size = shape.registrations + 1;
  options.rendezvous = "127.0.0.1:" + std::to_string(port);
  options.job_id = "registrations";
  options.secret = "registrations";
  options.host_name = options.host_id = "host-" + std::to_string(rank);
  options.local_size = 1;
  options.fan_out = shape.fan_out;
  options.start_timeout = kPatience;
  return options;
}

// A process with its part of the ranks, which waits to be told when.
class Client {
 public:
  Client(const Shape& shape, int first, int last, int port) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw std::runtime_error("no socket pair");
    process_ = ::fork();
    if (process_ < 0) throw std::runtime_error("can't make a process");
    (process_ == 0 ? theirs_ : ours_) = Socket(ends[process_ == 0 ? 1 : 0]);
    ::close(ends[process_ == 0 ? 0 : 1]);
    if (process_ == 0) std::_Exit(run(shape, first, last, port));
  }
  ~Client() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void expect_word() const { ours_.receive<char>(); }
  void say_go() const { ours_.send('g'); }

 private:
  int run(const Shape& shape, int first, int last, int port) try {
    std::vector<HierarchicalBootstrap> ranks(static_cast<std::size_t>(last - first));
    for (int rank = first; rank < last; ++rank)
      ranks[static_cast<std::size_t>(rank - first)].init(options_of(shape, rank, port));
    theirs_.send('r');
    theirs_.receive<char>();
    std::vector<Handle> starts;
    for (HierarchicalBootstrap& rank : ranks) starts.push_back(rank.begin_start());
    for (const Handle& start : starts) start.wait();
    theirs_.send('f');
    for (;;) ::pause();  // until the root has been measured
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return EXIT_FAILURE;
  }

  pid_t process_ = -1;
  Socket ours_;
  Socket theirs_;
};

void measure(const Shape& shape, Root& root) {
  auto [listener, address] = listen_at("127.0.0.1");
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < kClients; ++i) {
    const int first = 1 + shape.registrations * i / kClients;
    const int last = 1 + shape.registrations * (i + 1) / kClients;
    clients.push_back(std::make_unique<Client>(shape, first, last, address.port));
  }
  Options options = options_of(shape, 0, address.port);
  options.rendezvous_fd = listener.release();
  root.begin(options);
  for (const auto& client : clients) client->expect_word();

  const double cpu_before = cpu_ms();
  const auto began = Clock::now();
  for (const auto& client : clients) client->say_go();
  root.wait();
  const double root_ms = milliseconds(Clock::now() - began);
  for (const auto& client : clients) client->expect_word();
  const double all_ms = milliseconds(Clock::now() - began);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::printf(R"({"driver":"%s","registrations":%d,"fan_out":%d,"root_ms":%.1f,"all_ms":%.1f,"root_cpu_ms":%.1f,)"
              R"("root_peak_mib":%.1f})"
              "\n",
              root.driver().c_str(), shape.registrations, shape.fan_out, root_ms, all_ms, cpu_ms() - cpu_before,
              static_cast<double>(usage.ru_maxrss) / 1024);
  std::fflush(stdout);  // _Exit does not
}

}  // namespace

int measure_registrations(int argument_count, char** arguments, Root& root) {
  Shape shape;
  if (argument_count > 1) shape.registrations = std::atoi(arguments[1]);
  if (argument_count > 2) shape.fan_out = std::atoi(arguments[2]);
  if (shape.registrations < kClients || shape.fan_out < 2) {
    std::cerr << "usage: " << arguments[0] << " [REGISTRATIONS (10000) [FAN_OUT (16)]]" << std::endl;
    return EXIT_FAILURE;
  }
  try {
    measure(shape, root);
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return EXIT_FAILURE;
  }
}

}  // namespace banyan::bench
