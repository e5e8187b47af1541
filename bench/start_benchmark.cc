// How long Banyan's start takes and how much CPU, by the same ruler as the floor (baselines/unix_star.cc): all ranks
// leave a barrier in shared memory together, and each goes from init() to the table with everybody's 128 bytes.
//
//   banyan run -n 64 --no-prefix -- start_benchmark 20
//
// Run 0 is cold: the process's first call of Banyan. The 20 that follow form one job each in the same processes, while
// the first one stays open. Rank 0 prints a line of JSON for each run. One machine only: the ranks share memory.
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <string>

#include <banyan/hierarchical_bootstrap.hpp>

#include "shared_run.hh"

namespace {

using banyan::HierarchicalBootstrap;
using banyan::Options;
using banyan::bench::listen_on_a_free_port;
using banyan::bench::SharedRun;

std::string blob_of(int rank) {
  std::string blob(banyan::bench::kBlobBytes, static_cast<char>('a' + rank % 26));
  return blob.replace(0, 8, std::to_string(10'000'000 + rank));
}

bool has_whole_table(const HierarchicalBootstrap& job) {
  for (int rank = 0; rank < job.world_size(); ++rank) {
    if (job.peer_blob(rank) != blob_of(rank)) return false;
  }
  return true;
}

// The options of job number `run`, which meets at a place that rank 0 chooses.
Options next_job(SharedRun& shared, Options options, int run) {
  if (options.rank == 0) {
    const auto [listener, port] = listen_on_a_free_port();
    options.rendezvous_fd = listener;
    shared.port() = port;
  }
  shared.barrier();
  options.rendezvous = "127.0.0.1:" + std::to_string(shared.port());
  options.job_id += "-" + std::to_string(run);
  options.hosts.clear();  // their ports belong to the first job
  options.progress_fd = -1;
  return options;
}

std::unique_ptr<HierarchicalBootstrap> measured_start(SharedRun& shared, const Options& options, int run) {
  std::unique_ptr<HierarchicalBootstrap> job;
  shared.measure(options.rank, [&] {
    job = std::make_unique<HierarchicalBootstrap>();
    job->init(options);
    job->start();
  });
  shared.sample(options.rank).ok = has_whole_table(*job);
  shared.barrier();
  if (options.rank == 0) shared.print("banyan", options.world_size, run);
  return job;
}

void run(int warm_starts) {
  Options options = Options::from_environment();
  if (options.job_id.empty()) throw std::runtime_error("to be started by banyan run: it needs BANYAN_JOB_ID");
  options.blob = blob_of(options.rank);
  const std::string name = "/banyan-benchmark-" + options.job_id;
  SharedRun shared(options.world_size, name);
  shared.barrier();
  if (options.rank == 0) SharedRun::forget(name);

  const auto first = measured_start(shared, options, 0);
  for (int run = 1; run <= warm_starts; ++run) {
    measured_start(shared, next_job(shared, options, run), run)->close();
    shared.barrier();
  }
  first->close();
}

}  // namespace

int main(int argument_count, char** arguments) {
  try {
    run(argument_count > 1 ? std::atoi(arguments[1]) : 20);
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return EXIT_FAILURE;
  }
}
