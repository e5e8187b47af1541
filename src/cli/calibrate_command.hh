// `banyan calibrate`: measures this machine's CPU costs for `banyan simulate --costs`.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace banyan::cli {

struct CalibrateOptions {
  std::string output;  // empty: stdout
};

// Adds the subcommand; parsing fills `options`, which must live as long as the application.
CLI::App* add_calibrate_command(CLI::App& application, CalibrateOptions& options);

// Returns the exit code.
int calibrate_command(const CalibrateOptions& options);

}  // namespace banyan::cli
