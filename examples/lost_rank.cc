// What a job sees when one of its processes dies: the ranks meet again and again, until you kill one.
//
//   banyan run -n 4 -- lost_rank 600      and in another terminal: kill -9 PID
//
// Each of the others then ends with an error that names the rank and its host. Without that, it ends after
// ROUNDS barriers (10 by default), one every 50 ms.
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>

#include <banyan/hierarchical_bootstrap.hpp>

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 10;
  bootstrap::HierarchicalBootstrap job;
  try {
    job.init(bootstrap::Options::from_environment());
    job.start();
    std::cout << "rank " + std::to_string(job.rank()) + " is process " + std::to_string(::getpid()) + "\n"
              << std::flush;
    for (int round = 0; round < rounds; ++round) {
      job.barrier(std::chrono::seconds(30));
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    job.close();
    return EXIT_SUCCESS;
  } catch (const banyan::Error& error) {
    std::cerr << error.what() << std::endl;
    if (error.code() == banyan::ErrorCode::rank_lost && !error.ranks().empty()) {
      std::cerr << "rank " + std::to_string(job.rank()) + " could now go on without rank " +
                       std::to_string(error.ranks()[0]) + "\n";
    }
    return EXIT_FAILURE;
  }
}
