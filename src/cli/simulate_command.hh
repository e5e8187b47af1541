// `banyan simulate`: a whole job of the real engine on a virtual clock and network.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace CLI {
class App;
}

namespace banyan::cli {

struct SimulateOptions {
  std::optional<std::uint32_t> ranks;  // a file of faults may say it instead
  std::uint32_t ranks_per_host = 8;
  std::string scheme = "banyan";  // or one of those of sim/star_ring.hh
  std::string fan_out = "auto";
  std::string join = "rendezvous";  // or "computed"
  std::uint32_t rendezvous = 1;
  double latency_us = 25;
  double local_latency_us = 0;
  double jitter_us = 0;
  double bandwidth_gbps = 25;
  std::uint32_t hosts_per_rack = 0;
  double spine_latency_us = 5;
  double rack_bandwidth_gbps = 0;
  std::uint32_t cores_per_host = 0;
  bool one_machine = false;
  std::uint32_t accept_queue = 4096;
  double arrival_ms = 0;
  std::uint32_t blob_bytes = 128;
  std::string payload_bytes;
  std::string table = "eager";  // or "lazy"
  std::uint64_t seed = 1;
  std::string costs_file;
  std::string faults;  // a file, or "random"
  bool json = false;
  std::string trace_file;  // none if empty
};

// Adds the subcommand; parsing fills `options`, which must live as long as the application.
CLI::App* add_simulate_command(CLI::App& application, SimulateOptions& options);

// Returns the exit code.
int simulate_command(const SimulateOptions& options);

}  // namespace banyan::cli
