// What direct links cost and bring, under a launcher:
//
//   banyan run -n 1024 -- direct_links --peers 4       every rank sends to so many others, chosen at random
//
// First ranks 1 and N-1 exchange messages, routed and then over a link of their own (unless they are neighbours in the
// tree: on one host, if either leads it). Then all talk to their
// peers. Rank 0 prints one line of JSON: half a round trip of each way, and how many connections the job has, as its
// ranks count them and as the kernel does (all of this machine that have come since the program began).
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <limits>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <banyan/hierarchical_bootstrap.hpp>

#include "harness/counters.hh"
#include "harness/statistics.hh"

namespace {

using banyan::HierarchicalBootstrap;
using banyan::Options;
using banyan::Reduction;
using Clock = std::chrono::steady_clock;

struct Settings {
  int peers = 4;
  int messages = 1000;
  int bytes = 64;
  std::uint64_t seed = 1;
};

int first_of(int ranks) { return std::min(1, ranks - 2); }

// Half the median round trip between the two ends, in microseconds.
double exchange(HierarchicalBootstrap& job, const Settings& settings) {
  job.barrier();
  const int first = first_of(job.world_size());
  const int last = job.world_size() - 1;
  if (job.rank() != first && job.rank() != last) return job.allreduce(0.0, Reduction::max);
  const std::string message(static_cast<std::size_t>(settings.bytes), 'x');
  std::vector<double> times;
  for (int i = 0; i < settings.messages; ++i) {
    if (job.rank() == last) {
      job.send(first, job.recv(first), 1);
      continue;
    }
    const auto begin = Clock::now();
    job.send(last, message);
    job.recv(last, 1);
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count() / 2);
  }
  return job.allreduce(times.empty() ? 0.0 : banyan::bench::statistics(times).median, Reduction::max);
}

std::set<int> peers_of(int rank, int ranks, const Settings& settings) {
  // Quick to begin: each rank does so for all others, and while it does the others' connections wait for this machine.
  std::minstd_rand random(
      static_cast<std::minstd_rand::result_type>(settings.seed * 1'000'003 + static_cast<std::uint64_t>(rank) + 1));
  random.discard(10);
  std::set<int> peers;
  while (static_cast<int>(peers.size()) < std::min(settings.peers, ranks - 1)) {
    const int peer = std::uniform_int_distribution<int>(0, ranks - 1)(random);
    if (peer != rank) peers.insert(peer);
  }
  return peers;
}

// Sends to this rank's peers, and receives from all whose peer it is. How many of these there are.
int talk(HierarchicalBootstrap& job, const Settings& settings) {
  const std::string message(static_cast<std::size_t>(settings.bytes), 'y');
  const int ranks = job.world_size();
  std::vector<int> callers;
  for (int other = 0; other < ranks; ++other) {
    if (other != job.rank() && peers_of(other, ranks, settings).contains(job.rank())) callers.push_back(other);
  }
  job.barrier();
  const std::set<int> peers = peers_of(job.rank(), ranks, settings);
  // One after the other: with all at once on a machine of few cores some would get their answer too late.
  for (const int peer : peers) job.connect(peer);
  std::vector<banyan::Handle> calls;
  for (const int peer : peers) calls.push_back(job.begin_send(peer, message, 2));
  for (const int caller : callers) calls.push_back(job.begin_recv(caller, 2));
  for (const banyan::Handle& call : calls) call.wait();
  return static_cast<int>(callers.size());
}

std::int64_t connections_now() {
  const banyan::bench::Counters now = banyan::bench::counters({::getpid()});
  return now.unix_connections + now.tcp_established;
}

nlohmann::ordered_json run(Options options, const Settings& settings) {
  // Only what is asked for by connect(): the first exchange is to be routed.
  options.direct_messages = std::numeric_limits<int>::max();
  options.direct_links = 10'000;
  // Before any rank has one: rank 0 comes first, all others need it.
  const std::int64_t before = options.rank == 0 ? connections_now() : 0;
  HierarchicalBootstrap job;
  job.init(options);
  job.start();
  if (job.world_size() < 2) throw std::runtime_error("direct_links needs two ranks at least: banyan run -n 8");
  const double routed_us = exchange(job, settings);
  const auto begin = Clock::now();
  if (job.rank() == first_of(job.world_size())) job.connect(job.world_size() - 1);
  const std::chrono::duration<double, std::micro> took = Clock::now() - begin;
  const double connect_us = job.allreduce(took.count(), Reduction::max);
  const int between_ends = job.allreduce(job.statistics().direct_links, Reduction::sum) / 2;
  const double direct_us = exchange(job, settings);

  const int callers = talk(job, settings);
  job.barrier();
  const banyan::Statistics own = job.statistics();
  // Its tree and local links, its peers, its callers, and the link of the two ends.
  const int most = own.tree_links + own.local_links + settings.peers + callers + 1;
  const int links = own.tree_links + own.local_links + own.direct_links;
  const int beyond = job.allreduce(links > most ? 1 : 0, Reduction::sum);
  const int all_links = job.allreduce(links, Reduction::sum);
  const int direct_links = job.allreduce(own.direct_links, Reduction::sum);
  const int most_direct = job.allreduce(own.direct_links, Reduction::max);
  const std::int64_t after = options.rank == 0 ? connections_now() : 0;
  job.barrier();
  const std::int64_t ranks = job.world_size();
  job.close();
  if (options.rank != 0) return {};
  return {{"ranks", ranks},
          {"hosts", own.hosts},
          {"bytes", settings.bytes},
          {"neighbours", between_ends == 0},
          {"routed_us", routed_us},
          {"connect_us", connect_us},
          {"direct_us", direct_us},
          {"peers", settings.peers},
          {"connections", all_links / 2},
          {"connections_by_the_kernel", after - before},
          {"of_them_direct", direct_links / 2},
          {"at_most", ranks - 1 + settings.peers * ranks + 1},
          {"a_full_mesh", ranks * (ranks - 1) / 2},
          {"direct_links_max", most_direct},
          {"ranks_with_more_than_they_should", beyond}};
}

}  // namespace

int main(int argument_count, char** arguments) {
  Settings settings;
  CLI::App app{
      "Measures messages that are routed and direct, and counts the connections of ranks that talk to a few others."};
  app.add_option("--peers", settings.peers, "to how many others each rank sends")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  app.add_option("--messages", settings.messages, "round trips between ranks 1 and N-1")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--bytes", settings.bytes, "of each message")->check(CLI::Range(0, 1 << 30))->capture_default_str();
  app.add_option("--seed", settings.seed, "of the choice of peers")->capture_default_str();
  CLI11_PARSE(app, argument_count, arguments);
  try {
    const Options options = Options::from_environment();
    const nlohmann::ordered_json result = run(options, settings);
    if (options.rank == 0) std::cout << result.dump() << std::endl;
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return 1;
  }
}
