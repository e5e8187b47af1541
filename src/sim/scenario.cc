#include "sim/scenario.hh"

#include <algorithm>
#include <string_view>

#include "base/limits.hh"

namespace banyan::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Longer than a retry, shorter than what makes a peer count as lost.
constexpr Duration kShortestWhile = milliseconds(1);
constexpr Duration kLongestWhile = seconds(1);

constexpr std::array<std::string_view, kFaultKinds> kKindNames{
    "refused", "half-open", "reset",     "delay",   "partition", "one-way",     "pause",
    "slow",    "crash",     "host loss", "garbage", "replay",    "direct reset"};
constexpr std::array<std::string_view, kJobPhases> kPhaseNames{"joining", "registering", "running", "closing"};

Duration up_to(Random& random, Duration most) {
  return Duration(static_cast<Duration::rep>(random.below(static_cast<std::uint64_t>(most.count()))));
}

// All but that of direct links, the last one, which has its own chance.
constexpr std::size_t kFaultsOfAnyJob = kFaultKinds - 1;
static_assert(static_cast<std::size_t>(FaultKind::direct_reset) == kFaultsOfAnyJob);

Fault random_fault(Random& random, std::uint32_t ranks) {
  Fault fault;
  fault.kind = static_cast<FaultKind>(random.below(kFaultsOfAnyJob));
  fault.phase = static_cast<JobPhase>(random.below(kJobPhases));
  fault.rank = static_cast<std::uint32_t>(random.below(ranks));
  fault.wait = random.below(3) == 0 ? Duration{} : up_to(random, milliseconds(2));
  fault.length = kShortestWhile + up_to(random, random.below(2) == 0 ? milliseconds(20) : kLongestWhile);
  return fault;
}

// Mostly made for little, and few, so that they come and go; one seed in four breaks some. Drawn apart, so that the
// rest of a scenario does not depend on it.
void add_direct_links(Scenario& scenario) {
  Random random(scenario.seed ^ 0xd1'4ec7);
  JobOptions& job = scenario.job;
  if (random.below(2) == 0) job.message_window_bytes = 2 * kChunkBytes;
  if (random.below(4) == 0) return;
  job.direct_links = static_cast<std::uint32_t>(random.below(5));
  job.direct_messages = static_cast<std::uint32_t>(random.between(1, 4));
  job.direct_bytes = random.below(2) == 0 ? 1 : 20'000;
  for (std::uint64_t i = random.below(4) == 0 ? random.between(1, 3) : 0; i > 0; --i) {
    Fault fault = random_fault(random, job.ranks);
    fault.kind = FaultKind::direct_reset;
    scenario.faults.push_back(fault);
  }
}

}  // namespace

std::string_view to_string(FaultKind kind) { return kKindNames[static_cast<std::size_t>(kind)]; }
std::string_view to_string(JobPhase phase) { return kPhaseNames[static_cast<std::size_t>(phase)]; }

bool Fault::lasts() const {
  switch (kind) {
    case FaultKind::reset:
    case FaultKind::crash:
    case FaultKind::host_loss:
    case FaultKind::direct_reset:
    case FaultKind::garbage:
    case FaultKind::replay: return false;
    default: return true;
  }
}

bool Fault::survivable() const {
  switch (kind) {
    case FaultKind::crash:
    case FaultKind::host_loss:
    case FaultKind::reset: return false;
    default: return true;
  }
}

std::string Fault::to_string() const {
  std::string text(sim::to_string(kind));
  text += " of rank " + std::to_string(rank) + ", " + std::to_string(wait.count() / 1000) + " us after it was " +
          std::string(sim::to_string(phase));
  return text + ", for " + std::to_string(length.count() / 1000) + " us";
}

// As far as the swarm has tried it: so many of the longest that it draws.
bool Scenario::brief() const {
  constexpr Duration kLongest = kShortestWhile + kLongestWhile;
  Duration together{};
  for (const Fault& fault : faults) {
    if (!fault.lasts()) continue;
    if (fault.length > kLongest) return false;
    together += fault.length;
  }
  return together <= kLongest * kMostRandomFaults;
}

bool Scenario::survivable() const {
  return brief() && std::all_of(faults.begin(), faults.end(), [](const Fault& fault) { return fault.survivable(); });
}

std::string Scenario::to_string() const {
  std::string text =
      "seed " + std::to_string(seed) + ": " + std::to_string(job.ranks) + " ranks, " +
      std::to_string(job.ranks_per_host) + " per host, fan-out " + std::to_string(job.fan_out) +
      (job.lazy_table ? ", lazy table" : "") + ", shared from " + std::to_string(job.enclose_bytes) + " bytes" +
      (job.all_listed() ? ", computed parents"
       : job.has_list() ? ", " + std::to_string(job.listed_hosts) + " listed hosts"
                        : "") +
      ", " + std::to_string(job.direct_links) + " direct links after " + std::to_string(job.direct_messages) +
      " messages or " + std::to_string(job.direct_bytes) + " bytes" + (job.secret ? "" : ", no secret") + ", " +
      std::to_string(operations) + " operations, arrival within " + std::to_string(job.arrival.count() / 1000) + " us";
  for (const Fault& fault : faults) text += "\n  " + fault.to_string();
  return text;
}

Scenario Scenario::random(std::uint64_t seed) {
  Random random(seed * 0x9e37'79b9'7f4a'7c15u + 1);
  Scenario scenario;
  scenario.seed = seed;
  JobOptions& job = scenario.job;
  job.ranks = static_cast<std::uint32_t>(random.below(10) == 0 ? random.between(65, 200) : random.between(2, 64));
  job.ranks_per_host = static_cast<std::uint32_t>(random.between(1, 1 + random.below(std::min(job.ranks, 16u))));
  job.fan_out = static_cast<std::uint32_t>(random.between(kMinFanOut, 8));
  // One in four knows all hosts, one in four some.
  if (const std::uint64_t kind = random.below(4); kind < 2)
    job.listed_hosts = kind == 0 ? job.hosts() : static_cast<std::uint32_t>(1 + random.below(job.hosts()));
  job.secret = random.below(4) != 0;
  job.blob_bytes = static_cast<std::uint32_t>(random.below(300));
  job.arrival = random.below(2) == 0 ? Duration{} : milliseconds(1) * random.below(300);
  scenario.operations = static_cast<std::uint32_t>(random.below(8));
  scenario.cluster = ClusterOptions::erratic(seed);
  // Mostly less than what is sent at all, so that sharing is tried.
  job.enclose_bytes = std::array<std::size_t, 3>{1, 1000, Limits{}.enclose_bytes}[seed % 3];
  for (std::uint64_t i = random.below(kMostRandomFaults + 1); i > 0; --i) {
    scenario.faults.push_back(random_fault(random, job.ranks));
  }
  add_direct_links(scenario);
  // Drawn apart, too.
  job.lazy_table = Random(seed ^ 0x1a2f).below(4) == 0;
  return scenario;
}

std::vector<Fault> random_faults(std::uint64_t seed, std::uint32_t ranks) {
  Random random(seed);
  std::vector<Fault> faults(random.between(1, kMostRandomFaults));
  for (Fault& fault : faults) {
    fault = random_fault(random, ranks);
    // Times that a person reads.
    fault.wait = std::chrono::floor<std::chrono::microseconds>(fault.wait);
    fault.length = std::chrono::floor<std::chrono::microseconds>(fault.length);
  }
  return faults;
}

}  // namespace banyan::sim
