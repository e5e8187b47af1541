// `banyan simulate --faults`: the job of the options with what goes wrong in it, and the judge's word on how it ends.
#pragma once

#include "cli/simulate_command.hh"
#include "sim/cluster.hh"
#include "sim/job.hh"

namespace banyan::cli {

// `job.ranks` may be 0: then the file says it. Returns the exit code: 0 if the judge is content.
int simulate_faults(const SimulateOptions& options, const sim::JobOptions& job, const sim::ClusterOptions& cluster);

}  // namespace banyan::cli
