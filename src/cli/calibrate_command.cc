#include "cli/calibrate_command.hh"

#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <fstream>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/calibration.hh"
#include "cli/error.hh"
#include "cli/version.hh"
#include "sim/costs_file.hh"

namespace banyan::cli {
namespace {

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

// Where the figures come from.
nlohmann::ordered_json provenance() {
  utsname system{};
  ::uname(&system);
  return {{"measured_by", fmt::format("banyan calibrate, banyan {}", version_string())},
          {"date", fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::time(nullptr)))},
          {"processor", processor()},
          {"cores", ::sysconf(_SC_NPROCESSORS_ONLN)},
          {"kernel", system.release}};
}

}  // namespace

CLI::App* add_calibrate_command(CLI::App& application, CalibrateOptions& options) {
  CLI::App* calibrate =
      application.add_subcommand("calibrate", "Measure this machine's CPU costs for banyan simulate --costs");
  calibrate->add_option("-o,--output", options.output, "Where to write them; standard output if not given")
      ->type_name("FILE");
  calibrate->footer(
      "Takes a few seconds, on a machine that does nothing else. Nanoseconds for one of each; ..._ps:\n"
      "picoseconds for a byte.");
  return calibrate;
}

int calibrate_command(const CalibrateOptions& options) {
  const bool shows = ::isatty(STDERR_FILENO) == 1;
  const sim::Costs costs = measure_costs([shows](const char* step) {
    if (shows) fmt::print(stderr, "\r\x1b[Kmeasuring: {}", step);
  });
  if (shows) fmt::print(stderr, "\r\x1b[K");
  nlohmann::ordered_json object = provenance();
  object.update(nlohmann::ordered_json::parse(sim::to_json(costs)));
  const std::string text = object.dump(2) + "\n";
  if (options.output.empty()) {
    fmt::print("{}", text);
    return 0;
  }
  std::ofstream file(options.output);
  file << text << std::flush;
  if (!file) throw system_error("cannot write " + options.output);
  return 0;
}

}  // namespace banyan::cli
