// `banyan run`: starts the ranks of a job on this machine.
#pragma once

#include "cli/run_options.hh"

namespace banyan::cli {

// Returns the exit code. Forks once; both processes return from here, and each exits with what it returned.
int run_command(const RunOptions& options);

}  // namespace banyan::cli
