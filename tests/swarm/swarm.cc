// Plays many random scenarios on all cores, prints what a failing one was (its seed repeats it, or the printed file
// with `banyan simulate --faults FILE`), and at the end which faults have happened in which phase.
//
//   swarm [SEEDS=2000] [FIRST=1]
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "sim/scenario_file.hh"
#include "sim/trial.hh"

namespace {

using namespace banyan::sim;

struct Tally {
  std::uint64_t played = 0;
  std::uint64_t succeeded = 0;
  std::uint64_t failures = 0;
  std::uint64_t first_failure = 0;
  std::uint64_t direct_links_opened = 0;
  std::uint64_t direct_links_lost = 0;
  std::uint32_t happened[kFaultKinds][kJobPhases] = {};
};

// The same scenario with what it does not need for the same complaint left out.
Scenario shrunk(Scenario scenario, const std::string& complaint) {
  const auto still = [&](const Scenario& candidate) { return play(candidate).complaint == complaint; };
  for (std::size_t i = scenario.faults.size(); i-- > 0;) {
    Scenario candidate = scenario;
    candidate.faults.erase(candidate.faults.begin() + static_cast<std::ptrdiff_t>(i));
    if (still(candidate)) scenario = candidate;
  }
  for (std::uint32_t operations = 0; operations < scenario.operations; ++operations) {
    Scenario candidate = scenario;
    candidate.operations = operations;
    if (still(candidate)) scenario = candidate;
  }
  return scenario;
}

void report(const Scenario& scenario, const Verdict& verdict) {
  const Scenario least = shrunk(scenario, verdict.complaint);
  fmt::print(stderr, "\nFAILED: {}\n{}\nshrunk to {}\n", verdict.complaint, scenario.to_string(), least.to_string());
  fmt::print(stderr, "each rank, in the shrunk one:{}\n", play(least).story);
  fmt::print(stderr, "the shrunk one as a file, for banyan simulate --faults FILE:\n\n# {}\n{}\n", verdict.complaint,
             to_file(least));
}

// Seeds first, first + step, ... below end.
Tally work(std::uint64_t first, std::uint64_t end, std::uint64_t step) {
  constexpr std::uint64_t kMostReports = 3;
  Tally tally;
  for (std::uint64_t seed = first; seed < end; seed += step) {
    const Scenario scenario = Scenario::random(seed);
    const Verdict verdict = play(scenario);
    ++tally.played;
    if (verdict.succeeded) ++tally.succeeded;
    tally.direct_links_opened += verdict.direct_links_opened;
    tally.direct_links_lost += verdict.direct_links_lost;
    for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
      for (std::size_t phase = 0; phase < kJobPhases; ++phase)
        tally.happened[kind][phase] += verdict.happened[kind][phase];
    }
    if (verdict.complaint.empty()) continue;
    if (tally.failures++ == 0) tally.first_failure = seed;
    if (tally.failures <= kMostReports) report(scenario, verdict);
  }
  return tally;
}

void add(Tally& sum, const Tally& part) {
  sum.played += part.played;
  sum.succeeded += part.succeeded;
  sum.direct_links_opened += part.direct_links_opened;
  sum.direct_links_lost += part.direct_links_lost;
  if (part.failures > 0) {
    sum.first_failure = sum.failures == 0 ? part.first_failure : std::min(sum.first_failure, part.first_failure);
  }
  sum.failures += part.failures;
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    for (std::size_t phase = 0; phase < kJobPhases; ++phase) sum.happened[kind][phase] += part.happened[kind][phase];
  }
}

// One process for each core: a failed assertion ends only its own.
Tally work_on_all_cores(std::uint64_t first, std::uint64_t end, bool& crashed) {
  const auto workers = static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  std::vector<std::pair<pid_t, int>> children;
  for (std::uint64_t worker = 0; worker < workers; ++worker) {
    int ends[2];
    if (::pipe(ends) != 0) std::terminate();
    const pid_t child = ::fork();
    if (child == 0) {
      const Tally tally = work(first + worker, end, workers);
      ::_exit(::write(ends[1], &tally, sizeof tally) == sizeof tally ? 0 : 1);
    }
    ::close(ends[1]);
    children.emplace_back(child, ends[0]);
  }
  Tally sum;
  for (const auto& [child, descriptor] : children) {
    Tally tally;
    crashed |= ::read(descriptor, &tally, sizeof tally) != sizeof tally;
    ::close(descriptor);
    ::waitpid(child, nullptr, 0);
    add(sum, tally);
  }
  return sum;
}

bool print_table(const Tally& tally) {
  bool full = true;
  fmt::print("{:<12}", "");
  for (std::size_t phase = 0; phase < kJobPhases; ++phase)
    fmt::print("{:>13}", to_string(static_cast<JobPhase>(phase)));
  fmt::print("\n");
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    fmt::print("{:<12}", to_string(static_cast<FaultKind>(kind)));
    for (const std::uint32_t count : tally.happened[kind]) {
      fmt::print("{:>13}", count);
      full &= count > 0;
    }
    fmt::print("\n");
  }
  return full;
}

}  // namespace

int main(int argument_count, char** arguments) {
  const std::uint64_t seeds = argument_count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 2000;
  const std::uint64_t first = argument_count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 1;
  const auto begin = std::chrono::steady_clock::now();
  bool crashed = false;
  const Tally tally = work_on_all_cores(first, first + seeds, crashed);
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  const bool full = print_table(tally);
  fmt::print("\n{} scenarios in {:.1f} s; {} jobs succeeded, {} ended as they should, {} went wrong\n", tally.played,
             wall.count(), tally.succeeded, tally.played - tally.succeeded - tally.failures, tally.failures);
  fmt::print("direct links, counted at both ends: {} opened, {} lost\n", tally.direct_links_opened,
             tally.direct_links_lost);
  if (tally.failures > 0) fmt::print("the first that went wrong: swarm 1 {}\n", tally.first_failure);
  if (crashed) fmt::print("an assertion failed or a process was killed: see above\n");
  if (!full && seeds >= 2000) fmt::print("a fault has never happened in some phase: the table has a zero\n");
  return tally.failures == 0 && !crashed && (full || seeds < 2000) ? 0 : 1;
}
