// What launchers other than `banyan run` tell a process; the table stands in banyan/options.hpp.
#pragma once

#include <optional>
#include <string>

#include "api/environment.hh"

namespace banyan::api {

struct Launcher {
  std::string name;
  int rank = -1;
  int world_size = 0;     // 0: not said
  int local_rank = -1;    // -1: not said
  int local_size = 0;     // 0: not said
  int host_index = -1;    // -1: not said
  std::string job_id;     // 32 hexadecimal digits; empty: the launcher says nothing that tells jobs apart
  std::string root_host;  // where rank 0 can be reached; empty: not said
};

// The first launcher whose variables are there. Error (misuse) when one of them can't be read.
std::optional<Launcher> find_launcher(const Environment& environment);

}  // namespace banyan::api
