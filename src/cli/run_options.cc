#include "cli/run_options.hh"

#include <chrono>
#include <cmath>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <banyan/options.hpp>

#include "api/parse.hh"
#include "base/limits.hh"
#include "cli/error.hh"
#include "cli/rendezvous.hh"

namespace banyan::cli {
namespace {

// A week: what is longer was meant as something else, and would overflow before long.
constexpr double kMaxSeconds = 7.0 * 24 * 3600;

constexpr const char* kFooter = R"(
What each rank finds in its environment:
  BANYAN_RANK, BANYAN_WORLD_SIZE          who it is, of how many
  BANYAN_LOCAL_RANK, BANYAN_LOCAL_SIZE    the same within its host
  BANYAN_RENDEZVOUS                       where the ranks meet, HOST:PORT
  BANYAN_JOB_ID, BANYAN_SECRET            new random ones for every job
  BANYAN_HOST_ID                          with --ranks-per-host: host-0, host-1, ...
  BANYAN_HOSTS, BANYAN_HOST_INDEX         with --computed, --listed-hosts: hosts' addresses, and which host it is
  BANYAN_TIMEOUT, BANYAN_FAN_OUT          with --timeout, --fan-out
and rank 0 alone, as numbers of descriptors that it inherits:
  BANYAN_RENDEZVOUS_FD                    a socket that already listens on BANYAN_RENDEZVOUS
  BANYAN_PROGRESS_FD                      where to write one line for each step of the start, when it is shown
Other BANYAN_* variables pass through, but none of those above that comes from outside, nor BANYAN_SECRET_FILE; only
BANYAN_HOST_ID, BANYAN_TIMEOUT and BANYAN_FAN_OUT do where no option sets them.

Exit code: that of the first rank that failed, or 128 + the signal that killed it; 2 for a wrong command line,
125 when the launcher itself failed, 126 and 127 when the command can't be executed or found.

Rank 0 reads the launcher's input, the others /dev/null. Signals are passed on to all ranks; a second interrupt kills
them. Whatever the ranks have started ends with them, even if the launcher is killed.)";

void check_timeout(const std::string& text) {
  const auto duration = api::parse_duration(text);
  if (duration && *duration > std::chrono::nanoseconds::zero()) return;
  throw Error(kExitBadInput,
              fmt::format("--timeout must be more than 0, as seconds or like 500ms, 2m or none, not '{}'", text));
}

void check_kill_after(double seconds) {
  if (std::isfinite(seconds) && seconds >= 0 && seconds <= kMaxSeconds) return;
  throw Error(kExitBadInput,
              fmt::format("--kill-after must be at least 0 and at most {} seconds, not {}", kMaxSeconds, seconds));
}

}  // namespace

CLI::App* add_run_command(CLI::App& application, RunOptions& options) {
  CLI::App* run =
      application.add_subcommand("run", "Start N ranks of a program on this machine: banyan run -n N -- COMMAND...");
  run->footer(kFooter);
  run->prefix_command();  // from the first word that is no option on, all belongs to the command
  run->add_option("-n,--ranks", options.ranks, "Number of ranks")->required()->type_name("N");
  run->add_option("--timeout", options.timeout,
                  "Time in which the ranks must have found each other: 30 or 30s, 500ms, 2m, 1h, none; default 30")
      ->type_name("DURATION");
  run->add_option("--ranks-per-host", options.ranks_per_host, "Let every R ranks play a host of their own")
      ->type_name("R");
  run->add_option("--fan-out", options.fan_out,
                  fmt::format("Children of each host in the tree, {} to {}; default {}", kMinFanOut, kMaxFanOut,
                              Options().fan_out))
      ->type_name("K");
  run->add_option("--rendezvous", options.rendezvous, "Where rank 0 listens; port 0 takes a free one")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  run->add_flag("--computed", options.computed, "Give each host a known address, so that it computes its parent");
  run->add_option("--listed-hosts", options.listed_hosts,
                  "The same for the first M hosts (see --ranks-per-host); the others ask one of them for their place")
      ->type_name("M");
  run->add_option("--kill-after", options.kill_after_s,
                  "Seconds the others have to end after one has failed, and again between SIGTERM and SIGKILL")
      ->type_name("S")
      ->capture_default_str();
  run->add_flag("--no-prefix", options.no_prefix, "Let ranks write to the launcher's own stdout and stderr");
  run->add_option("--progress", options.progress,
                  "Who is missing while the ranks join: one line on a terminal and else nothing, or plain lines")
      ->type_name("auto|plain|off")
      ->capture_default_str();
  run->add_flag("-q,--quiet", options.quiet, "Show neither progress nor how the ranks ended");
  return run;
}

void check(const RunOptions& options) {
  if (options.ranks < 1 || options.ranks > kMaxWorldSize) {
    throw Error(kExitBadInput, fmt::format("-n must be 1 to {}, not {}", kMaxWorldSize, options.ranks));
  }
  if (options.ranks_per_host && (*options.ranks_per_host < 1 || *options.ranks_per_host > options.ranks)) {
    throw Error(kExitBadInput, fmt::format("--ranks-per-host must be 1 to {} (the number of ranks), not {}",
                                           options.ranks, *options.ranks_per_host));
  }
  if (options.fan_out && (*options.fan_out < kMinFanOut || *options.fan_out > kMaxFanOut)) {
    throw Error(kExitBadInput,
                fmt::format("--fan-out must be {} to {}, not {}", kMinFanOut, kMaxFanOut, *options.fan_out));
  }
  if (options.listed_hosts && (options.computed || *options.listed_hosts < 1)) {
    throw Error(kExitBadInput, options.computed ? "--computed lists all hosts: leave out --listed-hosts"
                                                : "--listed-hosts must be at least 1");
  }
  if (options.timeout) check_timeout(*options.timeout);
  check_kill_after(options.kill_after_s);
  if (options.progress != "auto" && options.progress != "plain" && options.progress != "off") {
    throw Error(kExitBadInput, fmt::format("--progress must be auto, plain or off, not '{}'", options.progress));
  }
  parse_host_port(options.rendezvous);
  if (options.command.empty()) throw Error(kExitBadInput, "which command? banyan run -n N -- COMMAND...");
}

}  // namespace banyan::cli
