// How far one process goes: all ranks of a job live in it, with real sockets between them, as if on many hosts. They
// form, gather everybody's 128 bytes everywhere, check them and close.
//
//   many_ranks [RANKS [HOSTS [FAN_OUT]]]        4096 ranks on 512 hosts with fan-out 8 when nothing is said
//
// Prints one line of JSON: how long each part took on the slowest rank, and the most descriptors and memory that were
// ever in use. Both ends of each connection stand here, so the descriptors are twice those of a job on real hosts.
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <banyan/hierarchical_bootstrap.hpp>

#include "harness/sockets.hh"

namespace {

using banyan::Handle;
using banyan::HierarchicalBootstrap;
using banyan::Options;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{120};
constexpr std::size_t kBlobBytes = 128;

struct Shape {
  int ranks = 4096;
  int hosts = 512;
  int fan_out = 8;

  int host_of(int rank) const { return static_cast<int>(static_cast<long>(rank) * hosts / ranks); }
  int first_rank(int host) const { return static_cast<int>((static_cast<long>(host) * ranks + hosts - 1) / hosts); }
};

struct Figures {
  int depth = 0;
  double start_ms = 0;
  double allgather_ms = 0;
  double close_ms = 0;
};

double milliseconds_since(Clock::time_point began) {
  return std::chrono::duration<double, std::milli>(Clock::now() - began).count();
}

std::size_t open_descriptors() {
  const auto entries = std::filesystem::directory_iterator("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries))) - 1;  // without the directory's own
}

// The most descriptors that were open at once, as seen ten times a second and whenever someone asks.
class DescriptorWatch {
 public:
  DescriptorWatch() : thread_([this] { watch(); }) {}
  ~DescriptorWatch() {
    stop_ = true;
    thread_.join();
  }
  DescriptorWatch(const DescriptorWatch&) = delete;
  DescriptorWatch& operator=(const DescriptorWatch&) = delete;

  void look() {
    const std::size_t now = open_descriptors();
    std::size_t most = most_;
    while (most < now && !most_.compare_exchange_weak(most, now)) {
    }
  }
  std::size_t most() const { return most_; }

 private:
  void watch() {
    while (!stop_) {
      look();
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }

  std::atomic<std::size_t> most_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

std::vector<HierarchicalBootstrap> initialised(const Shape& shape) {
  auto [listener, address] = banyan::bench::listen_at("127.0.0.1");
  std::vector<HierarchicalBootstrap> job(static_cast<std::size_t>(shape.ranks));
  for (int rank = 0; rank < shape.ranks; ++rank) {
    const int host = shape.host_of(rank);
    Options options;
    options.rank = rank;
    options.world_size = shape.ranks;
    options.rendezvous = "127.0.0.1:" + std::to_string(address.port);
    options.rendezvous_fd = rank == 0 ? listener.release() : -1;
    options.secret = "many ranks";
    options.host_id = "host-" + std::to_string(host);
    options.host_name = options.host_id;
    options.local_rank = rank - shape.first_rank(host);
    options.local_size = shape.first_rank(host + 1) - shape.first_rank(host);
    options.fan_out = shape.fan_out;
    options.start_timeout = options.call_timeout = kPatience;
    job[static_cast<std::size_t>(rank)].init(std::move(options));
  }
  return job;
}

std::string bytes_of(std::size_t rank) {
  std::string bytes(kBlobBytes, static_cast<char>('a' + rank % 26));
  return bytes.replace(0, 8, std::to_string(10'000'000 + rank));
}

// Throws at the first rank that holds something else than everybody's bytes.
void check(const Handle& gathered, std::size_t ranks) {
  if (gathered.message_count() != ranks) throw std::runtime_error("an all-gather brought too few messages");
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    if (gathered.message(rank) != bytes_of(rank)) {
      throw std::runtime_error("an all-gather brought other bytes than those of rank " + std::to_string(rank));
    }
  }
}

double start(std::vector<HierarchicalBootstrap>& job) {
  const auto began = Clock::now();
  std::vector<Handle> handles;
  for (HierarchicalBootstrap& rank : job) handles.push_back(rank.begin_start());
  for (const Handle& handle : handles) handle.wait();
  return milliseconds_since(began);
}

double allgather(std::vector<HierarchicalBootstrap>& job) {
  const auto began = Clock::now();
  std::vector<Handle> handles;
  for (std::size_t rank = 0; rank < job.size(); ++rank) handles.push_back(job[rank].begin_allgather(bytes_of(rank)));
  for (const Handle& handle : handles) handle.wait();
  const double taken = milliseconds_since(began);
  for (Handle& handle : handles) check(std::exchange(handle, {}), job.size());  // what was checked is let go
  return taken;
}

// close() of a rank that passes messages on waits for those below it, so each host has a thread that closes this rank
// last.
double close(std::vector<HierarchicalBootstrap>& job, const Shape& shape) {
  const auto began = Clock::now();
  std::vector<std::thread> hosts;
  for (int host = 0; host < shape.hosts; ++host) {
    hosts.emplace_back([&, host] {
      HierarchicalBootstrap* leader = nullptr;
      for (int rank = shape.first_rank(host); rank < shape.first_rank(host + 1); ++rank) {
        HierarchicalBootstrap& each = job[static_cast<std::size_t>(rank)];
        if (leader == nullptr && each.statistics().tree_links > 0) {
          leader = &each;
        } else {
          each.close();
        }
      }
      if (leader != nullptr) leader->close();
    });
  }
  for (std::thread& host : hosts) host.join();
  return milliseconds_since(began);
}

void run(const Shape& shape) {
  DescriptorWatch descriptors;
  Figures figures;
  std::vector<HierarchicalBootstrap> job = initialised(shape);
  figures.start_ms = start(job);
  descriptors.look();
  figures.depth = job.front().statistics().depth;
  const bool as_asked = job.front().statistics().hosts == shape.hosts;
  figures.allgather_ms = allgather(job);
  descriptors.look();
  figures.close_ms = close(job, shape);

  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  std::printf(R"({"ranks":%d,"hosts":%d,"fan_out":%d,"depth":%d,"start_ms":%.1f,"allgather_ms":%.1f,"close_ms":%.1f,)"
              R"("cpu_s":%.1f,"peak_descriptors":%zu,"peak_rss_mib":%ld,"ok":%s})"
              "\n",
              shape.ranks, shape.hosts, shape.fan_out, figures.depth, figures.start_ms, figures.allgather_ms,
              figures.close_ms, seconds(usage.ru_utime) + seconds(usage.ru_stime), descriptors.most(),
              usage.ru_maxrss / 1024, as_asked ? "true" : "false");
  if (!as_asked) throw std::runtime_error("the job has another number of hosts than it was asked to have");
}

}  // namespace

int main(int argument_count, char** arguments) {
  Shape shape;
  if (argument_count > 1) shape.ranks = std::atoi(arguments[1]);
  shape.hosts = argument_count > 2 ? std::atoi(arguments[2]) : std::max(1, shape.ranks / 8);
  if (argument_count > 3) shape.fan_out = std::atoi(arguments[3]);
  if (shape.ranks < 1 || shape.hosts < 1 || shape.hosts > shape.ranks) {
    std::cerr << "many_ranks [RANKS [HOSTS [FAN_OUT]]]: at least one rank for each host" << std::endl;
    return EXIT_FAILURE;
  }
  try {
    run(shape);
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return EXIT_FAILURE;
  }
}
