// The options of `banyan run`, their help and their limits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace banyan::cli {

struct RunOptions {
  std::uint32_t ranks = 0;
  std::optional<std::uint32_t> ranks_per_host;
  std::optional<std::uint32_t> fan_out;
  std::optional<std::string> timeout;  // as BANYAN_TIMEOUT is written
  double kill_after_s = 5;
  std::string rendezvous = "127.0.0.1:0";
  bool computed = false;
  std::optional<std::uint32_t> listed_hosts;
  bool no_prefix = false;
  bool quiet = false;
  std::string progress = "auto";  // or "plain", "off"
  std::vector<std::string> command;
};

// Adds the subcommand; parsing fills `options`, which must live as long as the application.
CLI::App* add_run_command(CLI::App& application, RunOptions& options);

// Throws Error with a sentence on the first thing that makes no sense.
void check(const RunOptions& options);

}  // namespace banyan::cli
