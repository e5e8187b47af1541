// What the programs that measure large payloads have in common: each implementation brings its own calls, all of them
// go through the same repetitions.
//
// A repetition begins behind a barrier. A rank's time ends when it has read every byte of the result and found it
// right, so that bytes which are only mapped, or on their way, are not taken for bytes that are there; *arrived* is
// when the call was done. Memory is asked for while all ranks still hold the result. Rank 0 prints one line of JSON.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "harness/memory.hh"
#include "harness/payload.hh"
#include "harness/results.hh"
#include "harness/system.hh"

namespace banyan::bench {

struct PayloadSettings {
  std::string operation = "allgather";
  std::string form;  // in which the result comes: each implementation has its own
  std::size_t bytes = 1024 * 1024;
  int repetitions = 5;

  bool broadcast() const { return operation == "broadcast"; }
};

// Of one rank in one repetition.
struct PayloadFigures {
  double arrived_ms = 0;
  double ms = 0;
  double cpu_ms = 0;  // of the whole repetition, waiting for the last rank included
  double peak_mib = 0;
  double shared_mib = 0;        // resident here, and perhaps in other processes too
  double proportional_mib = 0;  // each page divided by the number of processes that map it
};

// Job: rank(), ranks(), barrier(), call(own), read(f) with f(source, data, size), let_go(), and gather(figures), which
// brings rank 0 those of all.
template <typename Job>
PayloadFigures repeat_once(Job& job, const PayloadSettings& settings, std::string& own, int repetition) {
  using Clock = std::chrono::steady_clock;
  using Milliseconds = std::chrono::duration<double, std::milli>;
  fill(own, job.rank(), repetition);
  PayloadFigures figures;
  int right = 0;
  job.barrier();
  const std::int64_t cpu_before = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
  const auto begin = Clock::now();
  job.call(own);
  figures.arrived_ms = Milliseconds(Clock::now() - begin).count();
  job.read([&](int source, const char* data, std::size_t size) {
    if (size == settings.bytes && holds(data, size, source, repetition)) ++right;
  });
  figures.ms = Milliseconds(Clock::now() - begin).count();
  job.barrier();
  figures.cpu_ms = static_cast<double>(cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_before) / 1e6;
  if (right != (settings.broadcast() ? 1 : job.ranks()))
    throw std::runtime_error("wrong result of " + settings.operation);
  figures.peak_mib = peak_mib();
  figures.shared_mib = shared_mib();
  figures.proportional_mib = proportional_mib();
  job.barrier();
  job.let_go();
  return figures;
}

inline double greatest(const std::vector<PayloadFigures>& all, double PayloadFigures::*figure) {
  double greatest = 0;
  for (const PayloadFigures& one : all) greatest = std::max(greatest, one.*figure);
  return greatest;
}

inline double mean(const std::vector<PayloadFigures>& all, double PayloadFigures::*figure) {
  double sum = 0;
  for (const PayloadFigures& one : all) sum += one.*figure;
  return sum / static_cast<double>(all.size());
}

template <typename Job>
void measure_payloads(Job& job, const PayloadSettings& settings) {
  const double before_mib = peak_mib();
  std::string own(settings.broadcast() && job.rank() != 0 ? 0 : settings.bytes, '\0');
  nlohmann::ordered_json samples = nlohmann::ordered_json::array();
  for (int repetition = 0; repetition <= settings.repetitions; ++repetition) {
    const std::vector<PayloadFigures> all = job.gather(repeat_once(job, settings, own, repetition));
    if (repetition == 0 || job.rank() != 0) continue;  // the first one warms up
    samples.push_back({{"ms", greatest(all, &PayloadFigures::ms)},
                       {"arrived_ms", greatest(all, &PayloadFigures::arrived_ms)},
                       {"cpu_ms", mean(all, &PayloadFigures::cpu_ms)},
                       {"peak_mib", greatest(all, &PayloadFigures::peak_mib)},
                       {"peak_mib_mean", mean(all, &PayloadFigures::peak_mib)},
                       {"shared_mib", greatest(all, &PayloadFigures::shared_mib)},
                       {"proportional_mib", mean(all, &PayloadFigures::proportional_mib)},
                       {"before_mib", before_mib}});
  }
  if (job.rank() == 0) {
    std::cout << nlohmann::ordered_json{{"machine", machine()}, {"repetitions", samples}}.dump() << std::endl;
  }
}

// The first of the forms is the default. False: the command line was wrong, and a sentence has been written.
inline bool parse(int argument_count, char** arguments, const std::vector<std::string>& forms,
                  PayloadSettings& settings) {
  settings.form = forms.front();
  CLI::App app{
      "Measures large payloads: the time of the slowest rank, and memory; bench/measure_payloads.py starts it."};
  app.add_option("--operation", settings.operation)
      ->check(CLI::IsMember({"allgather", "broadcast"}))
      ->capture_default_str();
  app.add_option("--form", settings.form, "how a rank has the result (docs/benchmarks.md, Large payloads)")
      ->check(CLI::IsMember(forms))
      ->capture_default_str();
  app.add_option("--bytes", settings.bytes, "of each contribution, in eights")
      ->check(CLI::Range(std::size_t{8}, std::size_t{1} << 30))
      ->capture_default_str();
  app.add_option("--reps", settings.repetitions)->check(CLI::Range(1, 1000))->capture_default_str();
  try {
    app.parse(argument_count, arguments);
    settings.bytes -= settings.bytes % sizeof(std::uint64_t);
    return true;
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    return false;
  }
}

}  // namespace banyan::bench
