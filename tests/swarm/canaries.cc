// Plays the swarm's scenarios with one deliberate defect (base/canary.hh) until the judge complains or an assertion
// fails, and says how many seeds that took. Exits with 1 if the defect survives them all.
//
//   canaries NAME [SEEDS=4000]
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/canary.hh"
#include "canary_names.hh"  // made by tests/CMakeLists.txt
#include "sim/trial.hh"

namespace {

using namespace banyan;

// What the child that plays tells its parent, even if it dies.
struct Progress {
  std::uint64_t seed = 0;
  bool caught = false;
  std::array<char, 200> complaint{};
};

void play_until_caught(Progress& progress, std::uint64_t seeds) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    progress.seed = seed;
    const sim::Verdict verdict = sim::play(sim::Scenario::random(seed));
    if (verdict.complaint.empty()) continue;
    progress.caught = true;
    verdict.complaint.copy(progress.complaint.data(), progress.complaint.size() - 1);
    return;
  }
}

}  // namespace

int main(int argument_count, char** arguments) {
  const std::string_view name = argument_count > 1 ? arguments[1] : "";
  const std::uint64_t seeds = argument_count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 4000;
  for (std::size_t i = 0; i < kCanaryNames.size(); ++i) {
    if (kCanaryNames[i] == name) singing_canary = static_cast<Canary>(i);
  }
  if (singing_canary == Canary::none) {
    fmt::print(stderr, "canaries: there is no canary '{}'; base/canary.hh lists them\n", name);
    return 2;
  }
  void* shared = ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 2;
  auto* progress = new (shared) Progress;
  const pid_t child = ::fork();
  if (child == 0) {
    play_until_caught(*progress, seeds);
    ::_exit(0);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return 2;
  const bool aborted = WIFSIGNALED(status);
  if (!progress->caught && !aborted) {
    fmt::print("{}: NOT CAUGHT in {} seeds\n", name, seeds);
    return 1;
  }
  fmt::print("{}: caught by seed {}: {}\n", name, progress->seed,
             aborted ? "an assertion failed" : progress->complaint.data());
  return 0;
}
