// What one rank does in one start, and what the coordinator does beside it: both go through the same phases.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "implementation.hh"
#include "shared_run.hh"

namespace banyan::bench {

// One thing that is timed, on the slowest rank.
struct Phase {
  enum class Kind : std::uint8_t { start, barrier, allgather, broadcast, send_and_receive };
  Kind kind = Kind::start;
  std::size_t bytes = 0;  // of each message
  int times = 1;          // one after the other: the figure is that of one

  // "start", "allgather 1024 B"
  std::string name() const;
};

// What is measured in a job of so many ranks. `most_bytes` bounds what an allgather gives to each rank.
std::vector<Phase> phases(int ranks, std::size_t most_bytes, bool start_alone);

// How the ranks of a job are spread, and what all processes of a measurement agree on. As words, for ranks that are
// not forked.
struct Shape {
  int ranks = 0;
  int ranks_per_host = 0;
  std::size_t blob_bytes = 0;
  std::size_t most_bytes = 0;
  std::vector<std::string> hosts;  // addresses

  int host_count() const { return (ranks + ranks_per_host - 1) / ranks_per_host; }
};

Place place_of(const Shape& shape, int rank, const std::string& run, const Command& command);

// A rank: until it is told to quit. Failures go to the shared memory and end the process.
void be_rank(SharedRun& shared, const Shape& shape, const std::string& run, int rank,
             const Implementations& implementations);

}  // namespace banyan::bench
