// The picture of a job: what stands in the file, which ranks have a track, and that watching changes nothing.
#include "sim/trace.hh"

#include <cstdio>
#include <set>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "sim/measurement.hh"

namespace banyan::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

nlohmann::json read_and_remove(const std::string& path) {
  std::ifstream file(path);
  nlohmann::json all = nlohmann::json::parse(file);
  std::remove(path.c_str());
  return all;
}

nlohmann::json written(const Trace& trace) {
  const std::string path =
      testing::TempDir() + "/" + testing::UnitTest::GetInstance()->current_test_info()->name() + ".json";
  TraceFile file(path);
  trace.write(file);
  return read_and_remove(path);
}

ClusterOptions far_apart() {
  ClusterOptions options;
  options.network.latency = microseconds(25);
  return options;
}

std::set<std::uint32_t> tracks_in(const nlohmann::json& trace) {
  std::set<std::uint32_t> tracks;
  for (const auto& event : trace["traceEvents"]) {
    if (event["name"] == "thread_name") tracks.insert(event["tid"].get<std::uint32_t>());
  }
  return tracks;
}

TEST(Trace, watching_changes_no_digest) {
  const JobOptions job{.ranks = 64, .ranks_per_host = 8, .fan_out = 4};
  Trace trace(job);
  const auto phase = [](const char*) {};
  EXPECT_EQ(measure(job, far_apart(), 1, phase, &trace).digest, measure(job, far_apart(), 1, phase).digest);
}

TEST(Trace, of_a_large_job_rank_0_the_leaders_below_it_and_some_of_all_others_have_tracks) {
  const JobOptions job{.ranks = 2000, .ranks_per_host = 4, .fan_out = 8};
  Trace trace(job);
  measure(
      job, far_apart(), 1, [](const char*) {}, &trace);
  const std::set<std::uint32_t> tracks = tracks_in(written(trace));
  EXPECT_LE(tracks.size(), kMostTracks);
  // Without delays that differ hosts come in order: the first eight get the places below rank 0.
  for (std::uint32_t host = 0; host <= 8; ++host) EXPECT_TRUE(tracks.contains(host * 4)) << host;
  std::set<std::uint32_t> places;  // on their hosts
  for (const std::uint32_t rank : tracks) places.insert(rank % 4);
  EXPECT_EQ(places.size(), 4u);
  EXPECT_GE(tracks.size(), kEvenTracks);
  EXPECT_GT(*tracks.rbegin(), 1900u);
}

TEST(Trace, a_dead_rank_and_those_that_fail_for_it_end_there_whatever_their_sentences_hold) {
  const JobOptions job{.ranks = 3, .ranks_per_host = 1};
  Trace trace(job);
  Cluster cluster(far_apart(), 1);
  cluster.observer = &trace;
  for (std::uint32_t rank = 0; rank < job.ranks; ++rank) {
    node::Config config = config_of(job, rank, {}, cluster.random());
    config.host_name = "a \"quoted\" \\ host\xff";
    cluster.add(config, machine(rank));
  }
  ASSERT_TRUE(cluster.run([&] { return cluster[2].table != nullptr; }, after(cluster.now(), seconds(1))));
  cluster.call(0, node::Collective{kWorld, {.kind = wire::CollectiveKind::barrier}, {}, {}});
  cluster.run_for(microseconds(500));
  cluster.kill(2);
  cluster.run_for(seconds(5));
  const nlohmann::json all = written(trace);
  std::map<std::string, nlohmann::json> of_rank_0;
  double end_of_rank_2 = 0;
  for (const auto& event : all["traceEvents"]) {
    if (event["tid"] == 0u) of_rank_0[event["name"]] = event;
    if (event["tid"] == 2u && event["name"] == "formed")
      end_of_rank_2 = event["ts"].get<double>() + event["dur"].get<double>();
  }
  const double failed = of_rank_0["failed"]["ts"].get<double>();
  EXPECT_NE(of_rank_0["failed"]["args"]["text"].get<std::string>().find("a \"quoted\" \\ host"), std::string::npos);
  EXPECT_DOUBLE_EQ(failed, end_of_rank_2 + 25);
  for (const char* slice : {"barrier", "formed"}) {
    EXPECT_DOUBLE_EQ(of_rank_0[slice]["ts"].get<double>() + of_rank_0[slice]["dur"].get<double>(), failed) << slice;
  }
}

TEST(Trace, messages_beyond_the_limit_are_counted) {
  const JobOptions job{.ranks = 2, .ranks_per_host = 1};
  Trace trace(job, 10);
  const Payload frame = wire::encode(wire::Acknowledge{1}, Epoch{});
  for (int i = 0; i < 13; ++i) trace.on_send({Time{}, Time{}, 0, 1}, frame);
  const nlohmann::json all = written(trace);
  EXPECT_EQ(all["otherData"]["messages_left_out"], 3);
}

TEST(Trace, a_file_that_can_not_be_made_is_named_with_the_reason) {
  try {
    TraceFile("/no/such/folder/trace.json");
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "can't write the trace file /no/such/folder/trace.json: No such file or directory");
  }
}

TEST(Trace, a_full_disk_is_an_error) {
  TraceFile file("/dev/full");
  EXPECT_THROW(file.finish({{"ranks", 1}}), std::runtime_error);
}

}  // namespace
}  // namespace banyan::sim
