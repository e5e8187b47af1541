// A job and what goes wrong in it: chosen by hand (sim/scenario_file.hh), or at random, where one seed is one scenario.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/cluster.hh"
#include "sim/job.hh"

namespace banyan::sim {

enum class FaultKind : std::uint8_t {
  refused,       // nobody can connect to the rank, for a while
  half_open,     // connections to it open, and nothing arrives on them, for a while
  reset,         // one of its connections breaks
  delay,         // what goes to and from its host takes longer, for a while
  partition,     // nothing goes to or from its host, for a while
  one_way,       // nothing leaves its host, for a while
  pause,         // the process stands still, for a while
  slow,          // and from now on computes slowly
  crash,         // the process dies
  host_loss,     // all processes of its host die
  garbage,       // a stranger calls and speaks nonsense
  replay,        // a stranger calls and says again what a rank has said
  direct_reset,  // one of its direct links breaks, or of the next rank that has one
};
inline constexpr std::size_t kFaultKinds = 13;
std::string_view to_string(FaultKind kind);

// Where the rank has got to when it happens.
enum class JobPhase : std::uint8_t {
  joining,      // it has no link that has proved itself
  registering,  // it has one, and no table
  running,      // it holds the table, and its calls are under way
  closing,      // its calls are done
};
inline constexpr std::size_t kJobPhases = 4;
std::string_view to_string(JobPhase phase);

struct Fault {
  FaultKind kind{};
  JobPhase phase{};
  std::uint32_t rank = 0;
  Duration wait{};    // after the rank has come to that phase
  Duration length{};  // where it lasts for a while

  // Whether `length` means something.
  bool lasts() const;
  // Whether the job must succeed all the same, if it is brief: nothing that it needs is gone for good.
  bool survivable() const;
  std::string to_string() const;
};

struct Scenario {
  std::uint64_t seed = 0;
  JobOptions job;
  ClusterOptions cluster;
  std::uint32_t operations = 0;
  std::vector<Fault> faults;

  // What lasts is over so soon that nobody may count anybody as lost for it.
  bool brief() const;
  // Safety alone is promised if not.
  bool survivable() const;
  std::string to_string() const;

  // 2 to 200 ranks (one in ten above 64) on one to many hosts, one in four with a lazy table; up to 3 faults, and up to
  // 3 direct links that break.
  static Scenario random(std::uint64_t seed);
};

// 1 to kMostRandomFaults, of the kind that Scenario::random() draws, for a job that is given.
inline constexpr std::uint32_t kMostRandomFaults = 3;
std::vector<Fault> random_faults(std::uint64_t seed, std::uint32_t ranks);

}  // namespace banyan::sim
