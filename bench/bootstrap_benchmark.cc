// How long N processes take until each holds every other's blob, and what that costs: Banyan, the bare floor, the
// protocols in use and, where they are installed, real peers. `--help` says how; docs/benchmarks.md what the figures
// mean.
//
// Ranks are processes, forked once for each number of ranks, and started together at a barrier in shared memory. One
// repetition goes through all implementations before the next begins, so that a slow minute hits all of them.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <exception>
#include <fstream>
#include <iostream>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "harness/group.hh"
#include "harness/results.hh"
#include "implementations.hh"

namespace {

using namespace banyan::bench;
using Clock = std::chrono::steady_clock;

// What every rank tells about itself, as NCCL and its kin do: the size of a socket address, rounded up.
constexpr std::size_t kBlobBytes = 128;
// A start that takes longer is repeated this often only.
constexpr double kLongMs = 10'000;
constexpr int kRepetitionsOfLong = 3;
// One cold, one warm.
constexpr int kLeastRepetitions = 2;
// More ranks are repeated less often.
constexpr int kManyRanks = 128;

struct Settings {
  std::vector<std::string> implementations;
  std::vector<int> ranks{8, 64, 512, 1024};
  std::vector<int> ranks_per_host{0};  // 0: all on one
  int repetitions = 10;
  int repetitions_of_many = 0;  // 0: a third
  int rounds = 1;
  std::size_t blob_bytes = kBlobBytes;
  std::size_t most_bytes = std::size_t{8} * 1024 * 1024;
  int repetitions_with_calls = 3;
  int timeout_s = 60;
  double minutes = 0;  // 0: as long as it takes
  std::string network;
  std::string json;
  std::string csv;
  std::string report;
  bool list = false;
};

// Network namespaces that stand for hosts, as bench/delaying_relay.cc prints them.
struct Network {
  std::vector<std::string> addresses;
  std::vector<std::string> namespaces;
};

// Each host has an address of its own, so that all of them may listen at the same port.
std::string loopback_address(int host) { return fmt::format("127.{}.{}.1", 1 + host / 256, host % 256); }

void write(const std::string& file, const std::string& text) {
  if (file.empty()) return;
  std::ofstream output(file);
  output << text;
  if (!output.flush()) throw std::runtime_error("cannot write " + file);
}

class Benchmark {
 public:
  Benchmark(const Settings& settings, Implementations all, std::vector<std::size_t> chosen, Network network)
      : settings_(settings),
        all_(std::move(all)),
        chosen_(std::move(chosen)),
        network_(std::move(network)),
        results_(machine(), json_of_settings()) {
    for (const std::size_t index : chosen_) results_.describe(*all_[index]);
  }

  void missing(const Missing& peer) { results_.gap(peer.name, 0, 0, peer.reason); }
  nlohmann::ordered_json json() const { return results_.json(); }

  void run() {
    const auto begin = Clock::now();
    std::vector<Shape> shapes;
    std::set<std::pair<int, int>> seen;  // 8 ranks on hosts of 8 are 8 ranks on one host
    for (const int ranks : settings_.ranks) {
      for (const int ranks_per_host : settings_.ranks_per_host) {
        Shape shape = shape_of(ranks, ranks_per_host);
        if (seen.emplace(ranks, shape.ranks_per_host).second) shapes.push_back(std::move(shape));
      }
    }
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      // What is left of the time is divided evenly; what small jobs don't need is for larger ones.
      std::optional<Clock::time_point> until;
      if (settings_.minutes > 0) {
        const auto end = begin + std::chrono::duration_cast<Clock::duration>(
                                     std::chrono::duration<double, std::ratio<60>>(settings_.minutes));
        until = Clock::now() + (end - Clock::now()) / static_cast<int>(shapes.size() - i);
      }
      measure(shapes[i], until);
      write_results();
    }
    show("");
  }

  // After each number of ranks, so that whatever ends the program leaves what has been measured.
  void write_results() const {
    const nlohmann::ordered_json json = results_.json();
    write(settings_.json, text(json));
    write(settings_.csv, csv(json));
  }

 private:
  // One implementation with one number of ranks.
  struct Cell {
    std::size_t index = 0;
    int done = 0;
    bool is_long = false;
    bool over = false;
  };

  nlohmann::ordered_json json_of_settings() const {
    return {{"ranks_per_host", settings_.ranks_per_host},
            {"repetitions", settings_.repetitions},
            {"rounds", settings_.rounds},
            {"blob_bytes", settings_.blob_bytes},
            {"timeout_s", settings_.timeout_s},
            {"network", settings_.network}};
  }

  int repetitions_of(int ranks) const {
    if (ranks <= kManyRanks) return settings_.repetitions;
    return settings_.repetitions_of_many > 0 ? settings_.repetitions_of_many : (settings_.repetitions + 2) / 3;
  }

  // Repetitions that are begun even when time is up. A cold start says little of warm ones, and those of one group cost
  // little; what a launcher starts is always cold, and takes seconds.
  int least_of(const Shape& shape, const Cell& cell) const {
    const bool launched = !all_[cell.index]->launcher(shape.ranks).empty();
    return launched || cell.is_long ? 1 : kLeastRepetitions;
  }

  Shape shape_of(int ranks, int ranks_per_host) const {
    Shape shape;
    shape.ranks = ranks;
    shape.ranks_per_host = ranks_per_host == 0 ? ranks : std::min(ranks_per_host, ranks);
    shape.blob_bytes = settings_.blob_bytes;
    shape.most_bytes = settings_.most_bytes;
    for (int host = 0; host < shape.host_count(); ++host) {
      shape.hosts.push_back(!network_.addresses.empty() ? network_.addresses.at(static_cast<std::size_t>(host))
                            : shape.host_count() == 1   ? "127.0.0.1"
                                                        : loopback_address(host));
    }
    return shape;
  }

  // What is worth a try with so many ranks.
  std::vector<Cell> cells_of(const Shape& shape) {
    std::vector<Cell> cells;
    for (const std::size_t index : chosen_) {
      if (shape.host_count() > 1 && !all_[index]->crosses_hosts()) continue;
      if (const auto at = too_slow_.find(index); at != too_slow_.end() && at->second < shape.ranks) {
        results_.gap(all_[index]->name(), shape.ranks, shape.host_count(),
                     fmt::format("not tried, since it was not done in time with {} ranks", at->second));
        continue;
      }
      cells.push_back({index});
    }
    return cells;
  }

  void measure(const Shape& shape, std::optional<Clock::time_point> until) {
    std::vector<Cell> cells = cells_of(shape);
    if (cells.empty()) return;
    std::vector<std::size_t> order(cells.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const int repetitions = repetitions_of(shape.ranks);
    for (int round = 0; round < settings_.rounds; ++round) {
      std::unique_ptr<Group> group;
      std::set<std::size_t> known;  // to the processes of this group
      for (int repetition = 0; repetition < repetitions; ++repetition) {
        // Another one begins each time, so that none always follows the same.
        std::ranges::rotate(order, order.begin() + 1);
        for (const std::size_t place : order) {
          Cell& cell = cells[place];
          if (cell.over || (cell.is_long && cell.done >= kRepetitionsOfLong)) continue;
          if (until && cell.done >= least_of(shape, cell) && Clock::now() > *until) continue;
          show(fmt::format("{} ranks{}, repetition {} of {}, {}", shape.ranks,
                           shape.host_count() == 1 ? "" : fmt::format(" on {} hosts", shape.host_count()),
                           round * repetitions + repetition + 1, settings_.rounds * repetitions,
                           all_[cell.index]->name()));
          // Starts come before calls, which take longer: when time is up, rather starts have been measured.
          const bool last = repetition >= repetitions - settings_.repetitions_with_calls;
          const bool with_calls = last || (cell.is_long && settings_.repetitions_with_calls > 0);
          start(shape, cell, with_calls, group, known);
        }
      }
    }
    for (const Cell& cell : cells) {
      if (cell.over || cell.done == settings_.rounds * repetitions) continue;
      results_.gap(all_[cell.index]->name(), shape.ranks, shape.host_count(),
                   fmt::format("{} of {} repetitions, {}", cell.done, settings_.rounds * repetitions,
                               cell.is_long ? "since one takes over 10 s" : "then time was up"));
    }
  }

  void start(const Shape& shape, Cell& cell, bool with_calls, std::unique_ptr<Group>& group,
             std::set<std::size_t>& known) {
    const Implementation& implementation = *all_[cell.index];
    const std::chrono::seconds patience(settings_.timeout_s);
    const bool launched = !implementation.launcher(shape.ranks).empty();
    const auto begin = Clock::now();
    try {
      std::vector<Found> found;
      if (launched) {
        found = Group(shape, all_, cell.index, patience).start(cell.index, !with_calls);
      } else {
        if (group == nullptr) {
          known.clear();
          group = std::make_unique<Group>(shape, all_, network_.namespaces, patience);
        }
        found = group->start(cell.index, !with_calls);
      }
      results_.add(implementation, shape, found, launched || known.insert(cell.index).second);
      const std::chrono::duration<double, std::milli> took = Clock::now() - begin;
      // What starts processes takes longer than what they do then.
      cell.is_long = cell.is_long || (launched ? took.count() : found.front().slowest_ms) > kLongMs;
      ++cell.done;
    } catch (const Interrupted&) {
      group.reset();
      write_results();
      throw;
    } catch (const std::exception& failure) {
      if (!launched) group.reset();
      cell.over = true;
      const auto* const start_failed = dynamic_cast<const StartFailed*>(&failure);
      if (start_failed != nullptr && start_failed->time_was_up) too_slow_.emplace(cell.index, shape.ranks);
      show("");
      std::cerr << fmt::format("{} with {} ranks failed: {}\n", implementation.name(), shape.ranks, failure.what());
      results_.gap(implementation.name(), shape.ranks, shape.host_count(),
                   fmt::format("failed after {} good repetitions: {}", cell.done, failure.what()));
    }
  }

  // In place of what was shown last.
  static void show(const std::string& progress) {
    if (::isatty(STDERR_FILENO) == 1) std::cerr << "\r\x1b[K" << progress << std::flush;
  }

  const Settings settings_;
  const Implementations all_;
  const std::vector<std::size_t> chosen_;
  const Network network_;
  std::map<std::size_t, int> too_slow_;  // with so many ranks, or more
  Results results_;
};

Network read_network(const std::string& file) {
  Network network;
  if (file.empty()) return network;
  std::ifstream input(file);
  const auto json = nlohmann::json::parse(input);
  for (const auto& host : json.at("hosts")) {
    network.addresses.push_back(host.at("address"));
    network.namespaces.push_back(host.at("namespace"));
  }
  return network;
}

// The places in `all` of those that are named; of all, where none are.
std::vector<std::size_t> choose(const Implementations& all, const std::vector<std::string>& names,
                                const std::vector<Missing>& missing) {
  std::vector<std::size_t> chosen;
  for (const std::string& name : names) {
    const auto at = std::ranges::find_if(all, [&](const auto& one) { return one->name() == name; });
    if (at != all.end()) {
      chosen.push_back(static_cast<std::size_t>(at - all.begin()));
      continue;
    }
    const auto absent = std::ranges::find_if(missing, [&](const Missing& one) { return one.name == name; });
    if (absent != missing.end()) throw std::runtime_error(name + ": " + absent->reason);
    throw std::runtime_error("there is no implementation " + name + "; --list names all");
  }
  if (names.empty()) {
    for (std::size_t index = 0; index < all.size(); ++index) chosen.push_back(index);
  }
  return chosen;
}

void list(const Implementations& all, const std::vector<Missing>& missing) {
  for (const auto& one : all) {
    const std::string version = one->version();
    std::cout << fmt::format("{:24} {}{}\n", one->name(), one->what(), version.empty() ? "" : " (" + version + ")");
  }
  for (const Missing& peer : missing) std::cout << fmt::format("{:24} {}\n", peer.name, peer.reason);
}

Settings parse(int argument_count, char** arguments) {
  Settings settings;
  CLI::App app(
      "Measures how long N processes of this machine take to know each other: Banyan, the floor, baselines, peers.",
      "bootstrap_benchmark");
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);  // make's ARGS come last
  app.add_option("--impl", settings.implementations, "which, with commas between them (default: all that --list names)")
      ->delimiter(',');
  app.add_option("--ranks", settings.ranks, "numbers of ranks")
      ->delimiter(',')
      ->check(CLI::Range(1, 8192))
      ->capture_default_str();
  app.add_option(
         "--ranks-per-host", settings.ranks_per_host,
         "R: ranks h*R .. h*R+R-1 play host h and reach others over TCP; 0: all on one; several: one after the other")
      ->delimiter(',')
      ->check(CLI::Range(0, 8192))
      ->capture_default_str();
  app.add_option("--reps", settings.repetitions, "starts of each implementation; three where one takes over 10 s")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--large-reps", settings.repetitions_of_many,
                 "the same with more than 128 ranks; 0: a third of --reps")
      ->check(CLI::Range(0, 100'000))
      ->capture_default_str();
  app.add_option("--rounds", settings.rounds, "so many times all of it, each with new processes: more cold starts")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--blob-bytes", settings.blob_bytes, "what each rank tells about itself")
      ->check(CLI::Range(1, 32'768))
      ->capture_default_str();
  app.add_option("--most-bytes", settings.most_bytes, "an allgather that gives more to each rank is left out")
      ->capture_default_str();
  app.add_option("--call-reps", settings.repetitions_with_calls,
                 "after the last so many starts of a round, barriers, collectives and messages; they take longer")
      ->check(CLI::Range(0, 100'000))
      ->capture_default_str();
  app.add_flag_callback(
      "--start-only", [&settings] { settings.repetitions_with_calls = 0; }, "the same as --call-reps 0");
  app.add_option("--timeout", settings.timeout_s, "seconds that a start, or the calls of one kind after it, may take")
      ->check(CLI::Range(1, 86'400))
      ->capture_default_str();
  app.add_option("--minutes", settings.minutes,
                 fmt::format("when this time is up, begin no more repetitions, but the first of each, and {} of what "
                             "needs no launcher; 0: no limit",
                             kLeastRepetitions))
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--network", settings.network,
                 "network namespaces that are the hosts: the first line of delaying_relay")
      ->check(CLI::ExistingFile);
  app.add_option("--json", settings.json, "write the results, samples included, to this file");
  app.add_option("--csv", settings.csv, "write the results to this file");
  app.add_option("--report", settings.report, "print the tables of this JSON file, and measure nothing")
      ->check(CLI::ExistingFile);
  app.add_flag("--list", settings.list, "say what can be measured, and measure nothing");
  try {
    app.parse(argument_count, arguments);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  if (!settings.network.empty() && std::ranges::count(settings.ranks_per_host, 0) > 0) {
    throw std::runtime_error("--network: say with --ranks-per-host how many ranks each host has");
  }
  return settings;
}

int run(const Settings& settings) {
  if (!settings.report.empty()) {
    std::ifstream input(settings.report);
    std::cout << tables(nlohmann::ordered_json::parse(input));
    return 0;
  }
  std::vector<Missing> missing;
  Implementations all = implementations(settings.implementations, missing);
  if (settings.list) {
    list(all, missing);
    return 0;
  }
  std::vector<std::size_t> chosen = choose(all, settings.implementations, missing);
  Benchmark benchmark(settings, std::move(all), std::move(chosen), read_network(settings.network));
  if (settings.implementations.empty()) {
    for (const Missing& peer : missing) benchmark.missing(peer);
  }
  heed_interrupts();
  benchmark.run();
  std::cout << tables(benchmark.json());
  return 0;
}

}  // namespace

int main(int argument_count, char** arguments) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return run(parse(argument_count, arguments));
  } catch (const std::exception& error) {
    std::cerr << "bootstrap_benchmark: " << error.what() << std::endl;
    return EXIT_FAILURE;
  }
}
