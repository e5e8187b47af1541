// Failures as exceptions: what a caller of the API gets to see, and the prefix that says who speaks.
#pragma once

#include <string>

#include <banyan/error.hpp>

#include "base/failure.hh"

namespace banyan::api {

// Which rank reports something, for the prefix of everything that it says.
struct Speaker {
  int rank = -1;  // -1: not known yet
  std::string host;
  // Where it speaks of a communicator: its rank there, and of how many.
  int communicator_rank = -1;
  int communicator_size = 0;

  std::string prefix()
      const;  // "rank 3 on node7: ", "rank 3 on node7 (rank 1 of 4 in a communicator): ", or "banyan: "
};

Error to_error(const Failure& failure, const Speaker& speaker);

// The caller broke the rules: says what was wrong and what to do instead.
[[noreturn]] void throw_misuse(const Speaker& speaker, ErrorPhase phase, const std::string& text);
// The same for what a program or the environment said about a job, before there is a rank to speak.
[[noreturn]] void throw_misuse(const std::string& text);

}  // namespace banyan::api
