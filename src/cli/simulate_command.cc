#include "cli/simulate_command.hh"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "api/parse.hh"
#include "base/limits.hh"
#include "cli/error.hh"
#include "cli/simulate_faults.hh"
#include "sim/costs_file.hh"
#include "sim/measurement.hh"
#include "sim/star_ring.hh"
#include "sim/trace.hh"

namespace banyan::cli {
namespace {

constexpr double kMaxMicroseconds = 1e9;

Duration microseconds_of(const char* option, double value) {
  if (!std::isfinite(value) || value < 0 || value > kMaxMicroseconds) {
    throw Error(kExitBadInput,
                fmt::format("{} must be 0 to {:.0f} microseconds, not {}", option, kMaxMicroseconds, value));
  }
  return Duration(std::llround(value * 1e3));
}

std::uint64_t bytes_per_second(const char* option, double gbps) {
  if (!std::isfinite(gbps) || gbps < 0 || gbps > 1e5) {
    throw Error(kExitBadInput, fmt::format("{} must be 0 (no limit) to 100000 Gb/s, not {}", option, gbps));
  }
  return static_cast<std::uint64_t>(std::llround(gbps * 1e9 / 8));
}

template <typename Number>
void check_range(const char* option, Number value, Number least, Number greatest) {
  if (value < least || value > greatest) {
    throw Error(kExitBadInput, fmt::format("{} must be {} to {}, not {}", option, least, greatest, value));
  }
}

std::uint32_t fan_out_of(const SimulateOptions& options) {
  if (options.fan_out == "auto") return tree::kDefaultFanOut;
  std::uint32_t value = 0;
  const char* end = options.fan_out.data() + options.fan_out.size();
  const auto [stop, error] = std::from_chars(options.fan_out.data(), end, value);
  if (error != std::errc{} || stop != end || value < kMinFanOut || value > kMaxFanOut) {
    throw Error(kExitBadInput,
                fmt::format("--fan-out must be auto or {} to {}, not '{}'", kMinFanOut, kMaxFanOut, options.fan_out));
  }
  return value;
}

std::uint64_t payload_bytes_of(const std::string& text) {
  const auto bytes = api::parse_bytes(text);
  if (bytes && *bytes > 0 && *bytes <= kMaxMessageBytes) return *bytes;
  throw Error(kExitBadInput, fmt::format("--payload-bytes must be 1 to 4 GiB, such as 1048576 or 64M, not '{}'", text));
}

sim::JobOptions job_of(const SimulateOptions& options) {
  if (options.ranks) check_range<std::uint32_t>("--ranks", *options.ranks, 1, kMaxWorldSize);
  check_range<std::uint32_t>("--ranks-per-host", options.ranks_per_host, 1, kMaxWorldSize);
  check_range<std::uint32_t>("--blob-bytes", options.blob_bytes, 0, kMaxBlobBytes);
  if (options.join != "rendezvous" && options.join != "computed") {
    throw Error(kExitBadInput, fmt::format("--join must be rendezvous or computed, not '{}'", options.join));
  }
  if (options.table != "eager" && options.table != "lazy")
    throw Error(kExitBadInput, fmt::format("--table must be eager or lazy, not '{}'", options.table));
  sim::JobOptions job;
  job.ranks = options.ranks.value_or(0);
  job.ranks_per_host = options.ranks_per_host;
  job.fan_out = fan_out_of(options);
  if (options.join == "computed") {
    if (options.rendezvous != 1) {
      throw Error(kExitBadInput, "with --join computed every host knows its parent: leave out --rendezvous");
    }
    job.listed_hosts = UINT32_MAX;
  } else {
    check_range<std::uint32_t>("--rendezvous", options.rendezvous, 1, kMaxWorldSize);
    job.listed_hosts = options.rendezvous;
  }
  job.blob_bytes = options.blob_bytes;
  if (!options.payload_bytes.empty()) job.payload_bytes = payload_bytes_of(options.payload_bytes);
  job.lazy_table = options.table == "lazy";
  job.arrival = microseconds_of("--arrival-ms", options.arrival_ms * 1e3);
  return job;
}

sim::ClusterOptions cluster_of(const SimulateOptions& options) {
  check_range<std::uint32_t>("--accept-queue", options.accept_queue, 1, 1u << 20);
  if (options.one_machine && options.cores_per_host == 0) {
    throw Error(kExitBadInput, "--one-machine needs --cores-per-host: the cores that all hosts share");
  }
  const SimulateOptions defaults;
  if (options.hosts_per_rack == 0 && (options.spine_latency_us != defaults.spine_latency_us ||
                                      options.rack_bandwidth_gbps != defaults.rack_bandwidth_gbps)) {
    throw Error(kExitBadInput, "--spine-latency-us and --rack-bandwidth-gbps need --hosts-per-rack");
  }
  sim::ClusterOptions cluster;
  cluster.network.latency = microseconds_of("--latency-us", options.latency_us);
  cluster.network.local_latency = microseconds_of("--local-latency-us", options.local_latency_us);
  cluster.network.jitter = microseconds_of("--jitter-us", options.jitter_us);
  cluster.network.bytes_per_second = bytes_per_second("--bandwidth-gbps", options.bandwidth_gbps);
  cluster.network.hosts_per_rack = options.hosts_per_rack;
  cluster.network.spine_latency = microseconds_of("--spine-latency-us", options.spine_latency_us);
  cluster.network.rack_bytes_per_second = bytes_per_second("--rack-bandwidth-gbps", options.rack_bandwidth_gbps);
  cluster.cores_per_host = options.cores_per_host;
  cluster.one_machine = options.one_machine;
  cluster.accept_queue = options.accept_queue;
  cluster.socket_buffer = std::size_t{4} << 20;
  try {
    cluster.costs = options.costs_file.empty() ? sim::built_in_costs() : sim::read_costs(options.costs_file);
  } catch (const std::exception& error) {
    throw Error(kExitBadInput, error.what());
  }
  return cluster;
}

double peak_rss_mib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

struct Facts {
  double wall_s = 0;
  double peak_rss_mib = 0;
};

void print_json(const sim::JobOptions& job, const sim::Measurement& found, const Facts& facts) {
  nlohmann::ordered_json levels = nlohmann::ordered_json::array();
  for (const sim::LevelTraffic& level : found.levels) {
    levels.push_back({{"level", level.name},
                      {"links", level.traffic.links},
                      {"messages", level.traffic.messages},
                      {"bytes", level.traffic.bytes}});
  }
  const nlohmann::ordered_json line{{"ranks", job.ranks},
                                    {"hosts", found.hosts},
                                    {"rendezvous", std::min(job.listed_hosts, found.hosts)},
                                    {"fan_out", job.fan_out},
                                    {"depth", found.depth},
                                    {"registered_ms", found.registered_ms},
                                    {"formed_ms", found.formed_ms},
                                    {"barrier_ms", found.barrier_ms},
                                    {"allgather_ms", found.allgather_ms},
                                    {"broadcast_ms", found.broadcast_ms},
                                    {"allreduce_ms", found.allreduce_ms},
                                    {"send_recv_ms", found.send_recv_ms},
                                    {"links_total", found.links_total},
                                    {"connections_total", found.connections_total},
                                    {"tree_links_max", found.tree_links_max},
                                    {"local_links_max", found.local_links_max},
                                    {"root_links_max", found.root_links},
                                    {"root_cpu_ms", found.root_cpu_ms},
                                    {"messages_total", found.messages_total},
                                    {"bytes_total", found.bytes_total},
                                    {"levels", levels},
                                    {"events", found.events},
                                    {"wall_s", facts.wall_s},
                                    {"peak_rss_mib", facts.peak_rss_mib},
                                    {"digest", fmt::format("{:016x}", found.digest)}};
  fmt::print("{}\n", line.dump());
}

void print_table(const sim::JobOptions& job, const sim::Measurement& found, const Facts& facts) {
  fmt::print("{} ranks on {} host{}, fan-out {}, depth {}\n\n", job.ranks, found.hosts, found.hosts == 1 ? "" : "s",
             job.fan_out, found.depth);
  fmt::print(
      "simulated time until the root knows all ranks, and until the slowest rank has the table;\n"
      "then, each from its own start, until the slowest rank is done\n");
  const auto row = [](const char* name, double ms) { fmt::print("  {:<14}{:>12.3f} ms\n", name, ms); };
  row("registered", found.registered_ms);
  row("formed", found.formed_ms);
  row("barrier", found.barrier_ms);
  row("allgather", found.allgather_ms);
  row("broadcast", found.broadcast_ms);
  if (job.payload_bytes > 0) row("allreduce", found.allreduce_ms);
  row("send and recv", found.send_recv_ms);
  fmt::print("\nlinks at one rank: at most {} in the tree, {} on its host; at the root {} in all\n",
             found.tree_links_max, found.local_links_max, found.root_links);
  fmt::print("the root computed for {:.3f} ms until it had formed\n\n", found.root_cpu_ms);
  fmt::print("  {:<10}{:>12}{:>16}{:>20}\n", "", "links", "messages", "bytes");
  for (const sim::LevelTraffic& level : found.levels) {
    fmt::print("  {:<10}{:>12}{:>16}{:>20}\n", level.name, level.traffic.links, level.traffic.messages,
               level.traffic.bytes);
  }
  fmt::print("local: without what ranks of a host share in memory; closed: connections that only asked for a place\n");
  fmt::print("\nsimulated {} events in {:.2f} s with {:.0f} MiB; digest {:016x}\n", found.events, facts.wall_s,
             facts.peak_rss_mib, found.digest);
}

}  // namespace

namespace {

struct Scheme {
  const char* name;
  sim::StarRing star_ring;
};
constexpr std::array kSchemes{Scheme{"star-ring", {.sleeps = true, .bidirectional = false}},
                              Scheme{"star-ring-bidirectional", {.sleeps = true, .bidirectional = true}},
                              Scheme{"star-ring-no-sleep", {.sleeps = false, .bidirectional = false}}};

void print_star_ring(const SimulateOptions& options, const sim::JobOptions& job, const sim::StarRingMeasurement& found,
                     const Facts& facts) {
  if (!options.json && found.kept_out > 0) {
    fmt::print(
        "{} ranks on {} hosts never form by {}: the root's accept queue of {} stays full, and {} ranks give up\n",
        job.ranks, job.hosts(), options.scheme, options.accept_queue, found.kept_out);
    return;
  }
  if (!options.json) {
    fmt::print("{} ranks on {} hosts bootstrap by {}\n\n", job.ranks, job.hosts(), options.scheme);
    fmt::print(
        "simulated time until the slowest rank holds all addresses\n  formed {:.3f} ms: {:.3f} ms by the root, {:.3f} "
        "ms "
        "around the ring\n",
        found.formed_ms, found.star_ms, found.ring_ms);
    fmt::print("the root computed for {:.3f} ms; its full accept queue dropped {} calls\n", found.root_cpu_ms,
               found.repeated_syns);
    return;
  }
  // Null: never.
  const nlohmann::ordered_json formed =
      found.kept_out > 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(found.formed_ms);
  const nlohmann::ordered_json line{{"scheme", options.scheme},
                                    {"ranks", job.ranks},
                                    {"hosts", job.hosts()},
                                    {"formed_ms", formed},
                                    {"star_ms", found.star_ms},
                                    {"ring_ms", found.ring_ms},
                                    {"root_cpu_ms", found.root_cpu_ms},
                                    {"root_links_max", found.root_links},
                                    {"connections_total", found.connections_total},
                                    {"messages_total", found.messages_total},
                                    {"bytes_total", found.bytes_total},
                                    {"repeated_syns", found.repeated_syns},
                                    {"kept_out", found.kept_out},
                                    {"wall_s", facts.wall_s},
                                    {"peak_rss_mib", facts.peak_rss_mib}};
  fmt::print("{}\n", line.dump());
}

const Scheme* scheme_of(const SimulateOptions& options) {
  if (options.scheme == "banyan") return nullptr;
  const auto* found = std::find_if(kSchemes.begin(), kSchemes.end(),
                                   [&](const Scheme& scheme) { return scheme.name == options.scheme; });
  if (found != kSchemes.end()) return found;
  std::string known = "banyan";
  for (const Scheme& scheme : kSchemes) known += fmt::format(", {}", scheme.name);
  throw Error(kExitBadInput, fmt::format("--scheme must be one of {}, not '{}'", known, options.scheme));
}

sim::TraceFile trace_file_of(const SimulateOptions& options) {
  try {
    return sim::TraceFile(options.trace_file);
  } catch (const std::exception& error) {
    throw Error(kExitBadInput, error.what());
  }
}

// The trace's file is made before the job begins, so that a bad name costs no time; it is written however the job ends.
sim::Measurement measure_with_trace(const SimulateOptions& options, const sim::JobOptions& job,
                                    const sim::ClusterOptions& cluster) {
  const auto phase = [](const char*) {};
  if (options.trace_file.empty()) return sim::measure(job, cluster, options.seed, phase);
  sim::TraceFile file = trace_file_of(options);
  sim::Trace trace(job);
  try {
    sim::Measurement found = sim::measure(job, cluster, options.seed, phase, &trace);
    trace.write(file);
    return found;
  } catch (const sim::Unfinished&) {
    trace.write(file);
    throw;
  }
}

}  // namespace

CLI::App* add_simulate_command(CLI::App& application, SimulateOptions& options) {
  CLI::App* simulate =
      application.add_subcommand("simulate", "Run a whole job of the real engine on a virtual clock and network");
  simulate->add_option("-n,--ranks", options.ranks, "Number of ranks")->type_name("N");
  simulate->add_option("--ranks-per-host", options.ranks_per_host, "Ranks on each host")
      ->type_name("R")
      ->capture_default_str();
  simulate
      ->add_option("--scheme", options.scheme,
                   "What to simulate: banyan, or with the same costs and network star-ring (mscclpp's way), "
                   "star-ring-bidirectional (NCCL's), star-ring-no-sleep")
      ->type_name("SCHEME")
      ->capture_default_str();
  simulate->add_option("--fan-out", options.fan_out, "Children of each host in the tree, or auto")
      ->type_name("K")
      ->capture_default_str();
  simulate->add_option("--join", options.join, "How a host finds its parent")
      ->type_name("rendezvous|computed")
      ->capture_default_str();
  simulate
      ->add_option("--rendezvous", options.rendezvous,
                   "So many hosts are known to all, and the others ask one of them, as with banyan run --listed-hosts")
      ->type_name("M")
      ->capture_default_str();
  simulate->add_option("--latency-us", options.latency_us, "One way between hosts")
      ->type_name("US")
      ->capture_default_str();
  simulate->add_option("--local-latency-us", options.local_latency_us, "One way within a host, beside the CPU costs")
      ->type_name("US")
      ->capture_default_str();
  simulate->add_option("--jitter-us", options.jitter_us, "Up to this much more for each burst of bytes")
      ->type_name("US")
      ->capture_default_str();
  simulate->add_option("--bandwidth-gbps", options.bandwidth_gbps, "Of each host, each way; 0: no limit")
      ->type_name("GBPS")
      ->capture_default_str();
  simulate->add_option("--hosts-per-rack", options.hosts_per_rack, "Hosts of one rack; 0: all in one")
      ->type_name("H")
      ->capture_default_str();
  simulate->add_option("--spine-latency-us", options.spine_latency_us, "More, one way, between racks")
      ->type_name("US")
      ->capture_default_str();
  simulate
      ->add_option("--rack-bandwidth-gbps", options.rack_bandwidth_gbps,
                   "Of a rack's link to the spine, each way; 0: no limit")
      ->type_name("GBPS")
      ->capture_default_str();
  simulate->add_option("--cores-per-host", options.cores_per_host, "Cores that a host's ranks share; 0: one for each")
      ->type_name("C")
      ->capture_default_str();
  simulate->add_flag("--one-machine", options.one_machine,
                     "All hosts share those cores, as with banyan run --ranks-per-host");
  simulate->add_option("--accept-queue", options.accept_queue, "Connections that may wait to be accepted")
      ->type_name("Q")
      ->capture_default_str();
  simulate->add_option("--arrival-ms", options.arrival_ms, "The ranks start evenly within this time")
      ->type_name("MS")
      ->capture_default_str();
  simulate->add_option("--blob-bytes", options.blob_bytes, "Of each rank's blob, and of what collectives carry")
      ->type_name("B")
      ->capture_default_str();
  simulate
      ->add_option(
          "--payload-bytes", options.payload_bytes,
          "What each rank gives to allgather, broadcast and allreduce, e.g. 64M; else --blob-bytes, and no allreduce")
      ->type_name("B");
  simulate
      ->add_option("--table", options.table, "Whether all ranks are given all blobs, or ask for those that they want")
      ->type_name("eager|lazy")
      ->capture_default_str();
  simulate->add_option("--seed", options.seed, "Of everything random")->type_name("S")->capture_default_str();
  simulate->add_option("--costs", options.costs_file, "CPU costs as `banyan calibrate` writes them; else built-in ones")
      ->type_name("FILE");
  simulate
      ->add_option("--faults", options.faults,
                   "Play the job with what goes wrong in it, and judge how it ends: a file with lines such as 'crash "
                   "rank 17 running after 200us' (docs/testing.md), or 'random': up to three faults by --seed")
      ->type_name("FILE|random");
  simulate->add_flag("--json", options.json, "Print one line of JSON");
  simulate
      ->add_option("--trace", options.trace_file,
                   "Write what each rank does, and when, for ui.perfetto.dev; of more than 256 ranks some")
      ->type_name("FILE");
  return simulate;
}

int simulate_command(const SimulateOptions& options) {
  const sim::JobOptions job = job_of(options);
  const sim::ClusterOptions cluster = cluster_of(options);
  if (!options.faults.empty()) {
    if (!options.trace_file.empty()) throw Error(kExitBadInput, "--trace shows jobs without --faults");
    return simulate_faults(options, job, cluster);
  }
  if (!options.ranks) throw Error(kExitBadInput, "--ranks is required");
  const auto begin = std::chrono::steady_clock::now();
  const auto facts = [&] {
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
    return Facts{wall.count(), peak_rss_mib()};
  };
  if (const Scheme* scheme = scheme_of(options)) {
    if (!options.trace_file.empty()) throw Error(kExitBadInput, "--trace shows --scheme banyan alone");
    const SimulateOptions defaults;
    if (options.fan_out != defaults.fan_out || options.join != defaults.join ||
        options.rendezvous != defaults.rendezvous || options.table != defaults.table ||
        !options.payload_bytes.empty()) {
      throw Error(kExitBadInput,
                  "--fan-out, --join, --rendezvous, --table and --payload-bytes are for --scheme banyan alone");
    }
    const auto found = sim::measure(scheme->star_ring, job, cluster, options.seed);
    print_star_ring(options, job, found, facts());
    return 0;
  }
  try {
    const sim::Measurement found = measure_with_trace(options, job, cluster);
    options.json ? print_json(job, found, facts()) : print_table(job, found, facts());
  } catch (const sim::Unfinished& error) {
    throw Error(1, fmt::format("{} (seed {})", error.what(), options.seed));
  }
  return 0;
}

}  // namespace banyan::cli
