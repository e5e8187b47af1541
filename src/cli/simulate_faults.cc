#include "cli/simulate_faults.hh"

#include <algorithm>
#include <chrono>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/rank_set.hh"
#include "cli/error.hh"
#include "sim/scenario_file.hh"
#include "sim/trial.hh"

namespace banyan::cli {
namespace {

// Collectives and messages that the ranks call once they hold the table: some of each, most likely.
constexpr std::uint32_t kOperations = 8;
// The judge compares each rank's copy of each allgather with what every rank has given.
constexpr std::uint32_t kMostRanks = 2048;
constexpr const char* kRandom = "random";

sim::Scenario scenario_of(const SimulateOptions& options, const sim::JobOptions& job,
                          const sim::ClusterOptions& cluster) {
  if (options.scheme != "banyan") throw Error(kExitBadInput, "--faults plays --scheme banyan alone");
  sim::Scenario scenario{.seed = options.seed, .job = job, .cluster = cluster, .operations = kOperations, .faults = {}};
  const bool random = options.faults == kRandom;
  try {
    if (!random) scenario = sim::read_scenario(options.faults, std::move(scenario));
  } catch (const std::runtime_error& error) {
    throw Error(kExitBadInput, error.what());
  }
  if (scenario.job.ranks == 0) {
    throw Error(kExitBadInput, random ? "--ranks is required" : "--ranks is required: the faults file does not say it");
  }
  if (scenario.job.ranks > kMostRanks) {
    throw Error(kExitBadInput, fmt::format("--faults plays up to {} ranks, not {}", kMostRanks, scenario.job.ranks));
  }
  if (random) scenario.faults = sim::random_faults(scenario.seed, scenario.job.ranks);
  return scenario;
}

double milliseconds_of(Time time) { return static_cast<double>((time - Time{}).count()) / 1e6; }

// Ranks that ended alike.
struct Outcome {
  std::string how;
  const Failure* failure = nullptr;  // the first one's, whose sentence stands for all
  RankSet ranks;

  bool holds(const sim::Ending& ending, const std::string& name) const {
    if (how != name || (failure != nullptr) != ending.failure.has_value()) return false;
    return failure == nullptr || (failure->code == ending.failure->code && failure->ranks == ending.failure->ranks);
  }
};

std::string name_of(const sim::Ending& ending) {
  if (ending.killed) return "killed";
  if (ending.failure) return "failed";
  if (!ending.closed) return "not over";
  return ending.failed_calls == 0 ? "closed" : "closed after calls that failed";
}

// The largest group first.
std::vector<Outcome> outcomes_of(const sim::Verdict& verdict) {
  std::vector<Outcome> outcomes;
  for (std::uint32_t rank = 0; rank < verdict.endings.size(); ++rank) {
    sim::Ending ending = verdict.endings[rank];
    if (ending.killed) ending.failure.reset();
    const std::string name = name_of(ending);
    auto found = std::find_if(outcomes.begin(), outcomes.end(),
                              [&](const Outcome& outcome) { return outcome.holds(ending, name); });
    if (found == outcomes.end()) {
      const Failure* failure = ending.failure ? &*verdict.endings[rank].failure : nullptr;
      found = outcomes.insert(found, Outcome{name, failure, {}});
    }
    found->ranks.insert(Rank{rank});
  }
  std::stable_sort(outcomes.begin(), outcomes.end(),
                   [](const Outcome& a, const Outcome& b) { return a.ranks.count() > b.ranks.count(); });
  return outcomes;
}

const sim::Happening* happening_of(const sim::Verdict& verdict, std::size_t fault) {
  const auto found = std::find_if(verdict.happenings.begin(), verdict.happenings.end(),
                                  [&](const sim::Happening& happening) { return happening.fault == fault; });
  return found == verdict.happenings.end() ? nullptr : &*found;
}

void print_faults(const sim::Scenario& scenario, const sim::Verdict& verdict) {
  std::vector<std::string> lines;
  std::size_t width = 0;
  for (const sim::Fault& fault : scenario.faults) width = std::max(width, lines.emplace_back(to_line(fault)).size());
  fmt::print("what went wrong\n");
  if (lines.empty()) fmt::print("  nothing\n");
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const sim::Happening* happening = happening_of(verdict, i);
    std::string when = "never: the rank did not get there, or had ended";
    if (happening != nullptr) {
      when = fmt::format("at {:.3f} ms, {}{}", milliseconds_of(happening->at), to_string(happening->phase),
                         happening->in_vain ? ", in vain: it had no connection" : "");
    }
    fmt::print("  {:<{}}   {}\n", lines[i], width, when);
  }
}

void print_outcomes(const sim::Verdict& verdict) {
  fmt::print("\nhow the ranks ended, after {:.3f} ms\n", milliseconds_of(verdict.ended));
  for (const Outcome& outcome : outcomes_of(verdict)) {
    const auto count = outcome.ranks.count();
    const bool all = count == verdict.endings.size();
    fmt::print("  {} {}{}: {}", count, count == 1 ? "rank" : "ranks",
               all ? "" : fmt::format(" ({})", outcome.ranks.to_string()), outcome.how);
    if (const Failure* failure = outcome.failure) {
      fmt::print(", {} {{{}}}: {}", to_string(failure->code), failure->ranks.to_string(), failure->text);
    }
    fmt::print("\n");
  }
}

void print_for_people(const sim::Scenario& scenario, const sim::Verdict& verdict, double wall_s) {
  fmt::print("{} ranks on {} hosts, fan-out {}, seed {}\n\n", scenario.job.ranks, scenario.job.hosts(),
             scenario.job.fan_out, scenario.seed);
  print_faults(scenario, verdict);
  print_outcomes(verdict);
  if (!verdict.complaint.empty()) {
    fmt::print("\nthe judge complains: {}\neach rank:{}\n", verdict.complaint, verdict.story);
  } else if (verdict.succeeded) {
    fmt::print("\nthe judge is content: the job succeeded, and every call has yielded what it must\n");
  } else {
    fmt::print("\nthe judge is content: the job could fail, no call has yielded what it must not, nobody pends{}\n",
               scenario.brief() ? ", and no innocent rank is blamed" : "");
  }
  fmt::print("simulated in {:.2f} s; digest {:016x}\n", wall_s, verdict.digest);
}

nlohmann::ordered_json json_of(const Outcome& outcome) {
  nlohmann::ordered_json object{
      {"count", outcome.ranks.count()}, {"ranks", outcome.ranks.to_string()}, {"how", outcome.how}};
  if (const Failure* failure = outcome.failure) {
    object["code"] = to_string(failure->code);
    object["blamed"] = failure->ranks.to_string();
    object["text"] = failure->text;
  }
  return object;
}

void print_json(const sim::Scenario& scenario, const sim::Verdict& verdict, double wall_s) {
  nlohmann::ordered_json faults = nlohmann::ordered_json::array();
  for (const sim::Fault& fault : scenario.faults) faults.push_back(to_line(fault));
  nlohmann::ordered_json happened = nlohmann::ordered_json::array();
  for (const sim::Happening& happening : verdict.happenings) {
    happened.push_back({{"fault", faults[happening.fault]},
                        {"at_ms", milliseconds_of(happening.at)},
                        {"phase", to_string(happening.phase)},
                        {"in_vain", happening.in_vain}});
  }
  nlohmann::ordered_json outcomes = nlohmann::ordered_json::array();
  for (const Outcome& outcome : outcomes_of(verdict)) outcomes.push_back(json_of(outcome));
  const nlohmann::ordered_json line{{"ranks", scenario.job.ranks},
                                    {"hosts", scenario.job.hosts()},
                                    {"faults", faults},
                                    {"happened", happened},
                                    {"succeeded", verdict.succeeded},
                                    {"complaint", verdict.complaint},
                                    {"outcomes", outcomes},
                                    {"digest", fmt::format("{:016x}", verdict.digest)},
                                    {"simulated_ms", milliseconds_of(verdict.ended)},
                                    {"wall_s", wall_s}};
  fmt::print("{}\n", line.dump());
}

}  // namespace

int simulate_faults(const SimulateOptions& options, const sim::JobOptions& job, const sim::ClusterOptions& cluster) {
  const sim::Scenario scenario = scenario_of(options, job, cluster);
  const auto begin = std::chrono::steady_clock::now();
  const sim::Verdict verdict = sim::play(scenario);
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  options.json ? print_json(scenario, verdict, wall.count()) : print_for_people(scenario, verdict, wall.count());
  return verdict.complaint.empty() ? 0 : 1;
}

}  // namespace banyan::cli
