// Scenarios as files: what is written plays the same when it is read, and each line that makes no sense is named.
#include "sim/scenario_file.hh"

#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/costs_file.hh"
#include "sim/trial.hh"

namespace banyan::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::StrEq;
using testing::ThrowsMessage;

Scenario eight_ranks() {
  Scenario scenario;
  scenario.job.ranks = 8;
  return scenario;
}
Scenario parse(const std::string& text) { return parse_scenario(text, "file", eight_ranks()); }

TEST(ScenarioFile, what_a_seed_has_drawn_is_read_as_it_was_written_and_plays_the_same) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const Scenario scenario = Scenario::random(seed);
    const std::string text = to_file(scenario);
    const Scenario again = parse_scenario(text, "file", {});
    EXPECT_EQ(to_file(again), text);
    EXPECT_EQ(again.faults.size(), scenario.faults.size());
    EXPECT_EQ(play(again).digest, play(scenario).digest) << text;
  }
}

TEST(ScenarioFile, every_setting_and_every_fault_survives_the_file) {
  Scenario scenario = eight_ranks();
  scenario.seed = UINT64_MAX;
  scenario.job = {.ranks = 9,
                  .ranks_per_host = 2,
                  .fan_out = 3,
                  .listed_hosts = 2,
                  .secret = false,
                  .blob_bytes = 5,
                  .lazy_table = true,
                  .enclose_bytes = 6,
                  .direct_links = 24,
                  .direct_messages = 25,
                  .direct_bytes = 26,
                  .message_window_bytes = 40'000,
                  .arrival = Duration(7)};
  scenario.operations = 8;
  scenario.cluster.network = {.latency = microseconds(9),
                              .spine_latency = milliseconds(10),
                              .hosts_per_rack = 11,
                              .local_latency = seconds(12),
                              .jitter = microseconds(13),
                              .slow_one_in = 14,
                              .slow = Duration(1500),
                              .bytes_per_second = 16,
                              .rack_bytes_per_second = 17};
  scenario.cluster.costs = built_in_costs();
  scenario.cluster.cores_per_host = 18;
  scenario.cluster.one_machine = true;
  scenario.cluster.accept_queue = 19;
  scenario.cluster.socket_buffer = 20;
  scenario.cluster.read_bytes = 21;
  scenario.cluster.small_read = 22;
  scenario.cluster.clock_spread = seconds(23);
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    Fault fault{static_cast<FaultKind>(kind), static_cast<JobPhase>(kind % kJobPhases), 8, Duration(kind), {}};
    if (fault.lasts()) fault.length = milliseconds(kind + 1);
    scenario.faults.push_back(fault);
  }
  const std::string text = to_file(scenario);
  const Scenario again = parse_scenario(text, "file", {});
  EXPECT_EQ(to_file(again), text);
  EXPECT_EQ(
      text.substr(0, text.find("costs ")),
      "seed 18446744073709551615\nranks 9\nranks-per-host 2\nfan-out 3\nlisted-hosts 2\nsecret no\n"
      "blob-bytes 5\nlazy-table yes\nshared-from-bytes 6\nmessage-window-bytes 40000\ndirect-links 24\ndirect-messages "
      "25\ndirect-bytes 26\narrival "
      "7ns\noperations 8\nlatency 9us\nlocal-latency 12s\n"
      "jitter 13us\nlate-one-in 14\nlate-by 1500ns\nbytes-per-second 16\nhosts-per-rack 11\n"
      "spine-latency 10ms\nrack-bytes-per-second 17\ncores-per-host 18\none-machine yes\naccept-queue 19\n"
      "clock-spread 23s\nsocket-buffer 20\nread-bytes 21\nsmall-read-bytes 22\n");
  EXPECT_EQ(to_json(again.cluster.costs), to_json(built_in_costs()));
  ASSERT_EQ(again.faults.size(), kFaultKinds);
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    EXPECT_EQ(again.faults[i].to_string(), scenario.faults[i].to_string());
    EXPECT_EQ(again.faults[i].length, scenario.faults[i].length);
  }
}

TEST(ScenarioFile, a_person_writes_only_what_matters) {
  const Scenario scenario = parse(
      "# two of them\n"
      "\n"
      "  crash rank 3 running after 200us   # in the middle\r\n"
      "partition rank 7 joining for 20ms\n"
      "ranks 9");
  EXPECT_EQ(scenario.job.ranks, 9u);
  ASSERT_EQ(scenario.faults.size(), 2u);
  EXPECT_EQ(to_line(scenario.faults[0]), "crash rank 3 running after 200us");
  EXPECT_EQ(scenario.faults[0].wait, microseconds(200));
  EXPECT_EQ(to_line(scenario.faults[1]), "partition rank 7 joining for 20ms");
  EXPECT_EQ(scenario.faults[1].length, milliseconds(20));
}

struct BadLine {
  const char* text;
  const char* sentence;
};

TEST(ScenarioFile, each_bad_line_is_named_with_what_was_expected) {
  const BadLine lines[]{
      {"crush rank 1 running",
       "'crush' is no fault (refused, half-open, reset, delay, partition, one-way, pause, slow, crash, host-loss, "
       "garbage, replay, direct-reset) and no setting of a job"},
      {"crash 1 running", "expected 'rank' after 'crash', not '1'"},
      {"crash rank one running", "expected a whole number from 0 to 4194303, not 'one'"},
      {"crash rank", "expected a whole number from 0 to 4194303, not ''"},
      {"crash rank 8 running", "there is no rank 8 in a job of 8"},
      {"crash rank 1", "expected a phase, joining, registering, running, closing, not ''"},
      {"crash rank 1 running after", "expected a time of up to 3600s, as in 200us, 20ms or 1s, not ''"},
      {"crash rank 1 running after 5", "expected a time of up to 3600s, as in 200us, 20ms or 1s, not '5'"},
      {"crash rank 1 running after 2h", "expected a time of up to 3600s, as in 200us, 20ms or 1s, not '2h'"},
      {"crash rank 1 running after 3601s", "expected a time of up to 3600s, as in 200us, 20ms or 1s, not '3601s'"},
      {"crash rank 1 running for 5ms", "'crash' happens at once: leave out 'for'"},
      {"crash rank 1 running soon", "did not expect 'soon': after TIME and for TIME end the line"},
      {"pause rank 1 running for 1ms after 1ms", "did not expect 'after': after TIME and for TIME end the line"},
      {"pause rank 1 running", "'pause' lasts: say how long, as in 'for 20ms'"},
      {"fan-out 1", "'fan-out': expected a whole number from 2 to 1024, not '1'"},
      {"fan-out", "'fan-out': expected a whole number from 2 to 1024, not ''"},
      {"fan-out 2 3", "'fan-out': expected a whole number from 2 to 1024, not '2 3'"},
      {"secret maybe", "'secret': expected yes or no, not 'maybe'"},
      {"latency 25", "'latency': expected a time of up to 3600s, as in 200us, 20ms or 1s, not '25'"},
      {"costs some", "'costs': this is not a JSON object"},
      {"seed 99999999999999999999",
       "'seed': expected a whole number from 0 to 18446744073709551615, not '99999999999999999999'"},
  };
  for (const BadLine& line : lines) {
    EXPECT_THAT([&] { parse(std::string("# a comment\nreset rank 2 closing\n") + line.text + "\njitter 1us\n"); },
                ThrowsMessage<std::runtime_error>(StrEq(std::string("file:3: ") + line.sentence)));
  }
  EXPECT_THAT([] { parse("seed 1\nseed 2\n"); },
              ThrowsMessage<std::runtime_error>(StrEq("file:2: 'seed' has been said before")));
  // Named is the fault, which was right when the job was larger.
  EXPECT_THAT([] { parse("crash rank 5 running\nranks 5\n"); },
              ThrowsMessage<std::runtime_error>(StrEq("file:1: there is no rank 5 in a job of 5")));
  std::string many;
  for (std::size_t i = 0; i <= kMostFaults; ++i) many += "crash rank 1 running\n";
  EXPECT_THAT([&] { parse(many); }, ThrowsMessage<std::runtime_error>(StrEq("file:1001: more than 1000 faults")));
}

TEST(ScenarioFile, a_file_that_cannot_be_read_is_named) {
  for (const std::string path : {"/nonexistent/faults", "/"}) {
    EXPECT_THAT([&] { read_scenario(path, {}); },
                ThrowsMessage<std::runtime_error>(StrEq("can't read the faults file " + path)));
  }
}

TEST(ScenarioFile, only_brief_faults_must_be_overcome) {
  const std::string second = "pause rank 1 running for 1s\n";
  EXPECT_TRUE(parse(second + second + second).survivable());
  EXPECT_FALSE(parse(second + second + second + second).survivable());
  EXPECT_FALSE(parse("pause rank 1 running for 2s\n").survivable());
  EXPECT_FALSE(parse("reset rank 1 running\n").survivable());
  EXPECT_TRUE(parse("reset rank 1 running\n").brief());
}

TEST(ScenarioFile, the_judge_waits_for_who_stands_still_for_long_and_lets_others_name_it) {
  const Verdict verdict = play(parse("latency 1ms\nranks-per-host 1\npause rank 1 joining for 3000s\n"));
  EXPECT_EQ(verdict.complaint, "");
  EXPECT_GE(verdict.ended, after(Time{}, seconds(3000)));
  ASSERT_EQ(verdict.happenings.size(), 1u);
  EXPECT_EQ(verdict.happenings[0].phase, JobPhase::joining);
  ASSERT_EQ(verdict.endings.size(), 8u);
  for (std::size_t i = 0; i < verdict.endings.size(); ++i) {
    const auto& failure = verdict.endings[i].failure;
    ASSERT_TRUE(failure);
    // It does not know who has missed it.
    EXPECT_EQ(failure->ranks.to_string(), i == 1 ? "" : "1") << failure->text;
  }
}

}  // namespace
}  // namespace banyan::sim
