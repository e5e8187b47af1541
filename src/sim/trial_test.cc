// Scenarios in which the judge once complained.
#include "sim/trial.hh"

#include <gtest/gtest.h>

#include "sim/costs_file.hh"

namespace banyan::sim {
namespace {

using std::chrono::microseconds;

TEST(Trial, records_that_cross_the_table_break_no_link) {
  Scenario scenario;
  scenario.seed = 23;
  scenario.job = {.ranks = 100, .ranks_per_host = 4, .fan_out = 3, .listed_hosts = UINT32_MAX};
  scenario.cluster.network.latency = microseconds(25);
  scenario.cluster.costs = built_in_costs();
  for (Duration wait = microseconds(900); wait < microseconds(1900); wait += microseconds(20)) {
    scenario.faults = {{.kind = FaultKind::reset, .phase = JobPhase::registering, .rank = 22, .wait = wait}};
    const Verdict verdict = play(scenario);
    EXPECT_EQ(verdict.complaint, "") << scenario.to_string();
  }
}

}  // namespace
}  // namespace banyan::sim
