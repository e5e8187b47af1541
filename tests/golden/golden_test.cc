// Small clusters whose whole exchange is known and stands in a file beside this one, for people to read: each scenario
// is played with real engines and held against its file line by line. What is meant to change is written anew by
//
//   BANYAN_REWRITE_GOLDEN=1 build/tests/golden_test
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <ostream>
#include <sstream>

#include <gtest/gtest.h>

#include "sim/cluster.hh"
#include "sim/job.hh"
#include "transcript.hh"

namespace banyan::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kStartTimeout = seconds(4);
// By then every scenario has come to its end, lingering included.
constexpr Duration kLongEnough = seconds(60);
// Lines that a failing test shows: before the first difference, and from there on.
constexpr std::size_t kShownBefore = 3;
constexpr std::size_t kShownFrom = 5;

// Nothing costs CPU time, and nothing is random but what the engines draw from their seeds.
ClusterOptions quiet_network() {
  ClusterOptions options;
  options.network.latency = microseconds(100);
  options.network.local_latency = microseconds(10);
  return options;
}

class Play {
 public:
  explicit Play(const JobOptions& job) : job_(job), hosts_(hosts_of(job)), cluster_(quiet_network(), 1) {
    cluster_.observer = &transcript_;
  }

  void start(std::uint32_t rank, Duration wait = {}) {
    add(config(rank), rank / job_.ranks_per_host, wait, "rank " + std::to_string(rank));
  }
  void start_with_secret(std::uint32_t rank, const std::string& secret) {
    node::Config own = config(rank);
    own.secret = secret;
    add(std::move(own), rank / job_.ranks_per_host, {}, "rank " + std::to_string(rank));
  }
  // A second process of the rank, on another host.
  void start_twin(std::uint32_t rank, std::uint32_t host, Duration wait) {
    node::Config own = config(rank);
    own.host_name = own.host_key = "host-" + std::to_string(host);
    add(std::move(own), host, wait, "rank " + std::to_string(rank) + " (twin)");
  }
  // Process i is rank i.
  void start_all(Duration apart = {}) {
    for (std::uint32_t rank = 0; rank < job_.ranks; ++rank) start(rank, apart * rank);
  }

  Cluster& cluster() { return cluster_; }
  // Until a line says that.
  void run_until(const std::string& who, const std::string& what) {
    const bool came =
        cluster_.run([&] { return transcript_.has_line_with(who, what); }, after(cluster_.now(), kLongEnough));
    EXPECT_TRUE(came) << "no line says: " << who << " " << what;
  }
  void run_until_formed() {
    const auto formed = [&] { return all([](const Cluster::Process& process) { return process.table != nullptr; }); };
    EXPECT_TRUE(cluster_.run(formed, after(cluster_.now(), kLongEnough)));
  }
  void call_all(const node::Collective& call) {
    for (std::size_t i = 0; i < cluster_.size(); ++i) cluster_.call(i, call);
    cluster_.run_for(milliseconds(10));
  }
  void close_all() {
    for (std::size_t i = 0; i < cluster_.size(); ++i) {
      if (!cluster_[i].over()) cluster_.call(i, node::Close{});
    }
  }
  // Nothing is left to happen.
  void run_to_the_end() { cluster_.run_for(kLongEnough); }

  std::string text(const std::string& about) const {
    std::string all = about + "\n";
    for (const std::string& line : transcript_.lines()) all += line + "\n";
    for (std::uint32_t i = 0; i < cluster_.size(); ++i) all += ending_of(i);
    return all;
  }
  bool broke_its_contract() const { return !cluster_.faults().empty(); }

 private:
  node::Config config(std::uint32_t rank) {
    node::Config own = config_of(job_, rank, hosts_, cluster_.random());
    own.blob = Slice::copy("blob of " + std::to_string(rank));
    own.start_timeout = kStartTimeout;
    return own;
  }
  // Programs keep a rank open that has failed, so that what the library itself does is seen.
  void add(node::Config own, std::uint32_t host, Duration wait, const std::string& name) {
    transcript_.name_next(name);
    cluster_.keep_open(cluster_.add(std::move(own), machine(host), wait));
  }
  template <typename Test>
  bool all(Test test) const {
    for (std::size_t i = 0; i < cluster_.size(); ++i) {
      if (!test(cluster_[i])) return false;
    }
    return true;
  }
  std::string ending_of(std::uint32_t i) const {
    const Cluster::Process& process = cluster_[i];
    std::string all;
    for (const node::effect::Notice& notice : process.notices) {
      const bool warning = notice.level == node::effect::Notice::Level::warning;
      all += transcript_.name(i) + (warning ? " warned: " : " said: ") + notice.text + "\n";
    }
    all += transcript_.name(i) + " ended: ";
    if (!process.alive) return all + "dead\n";
    if (process.failed) return all + "failed: " + process.failed->text + "\n";
    return all + (process.closed ? "closed\n" : process.table ? "formed\n" : "neither formed nor failed\n");
  }

  const JobOptions job_;
  const node::HostList hosts_;
  Cluster cluster_;
  Transcript transcript_;
};

// --- the scenarios -------------------------------------------------------------------------------------------------

node::Collective barrier() { return {kWorld, {.kind = wire::CollectiveKind::barrier}, {}, {}}; }

constexpr JobOptions kOnePerHost{.ranks = 5, .ranks_per_host = 1, .fan_out = 2};

void plain_join(Play& play) {
  play.start_all();
  play.run_until_formed();
  play.call_all(barrier());
  play.close_all();
}

// Beside a barrier: what each kind of bytes does.
void calls(Play& play) {
  play.start_all();
  play.run_until_formed();
  const auto each = [](const char* word) { return Payload::copy(std::string_view(word)); };
  play.call_all({kWorld, {.kind = wire::CollectiveKind::allgather}, each("mine"), {}});
  play.call_all({kWorld, {.kind = wire::CollectiveKind::broadcast, .root = Rank{2}}, each("word"), {}});
  play.cluster().call(1, node::Send{Rank{2}, 7, each("small")});
  play.cluster().call(2, node::Receive{Rank{1}, 7});
  play.cluster().run_for(milliseconds(10));
  // Longer than what may be sent without being asked for.
  play.cluster().call(2, node::Send{Rank{1}, 8, Payload::copy(std::string(kEagerMessageBytes + 1, 'l'))});
  play.cluster().run_for(milliseconds(10));
  play.cluster().call(1, node::Receive{Rank{2}, 8});
  play.cluster().run_for(milliseconds(500));
  play.close_all();
}

void direct_links(Play& play) {
  play.start_all();
  play.run_until_formed();
  play.cluster().call(4, node::Dial{Rank{1}});
  play.cluster().call(1, node::Dial{Rank{4}});
  play.cluster().run_for(milliseconds(10));
  play.cluster().call(4, node::Dial{Rank{5}});
  play.cluster().run_for(milliseconds(10));
  // Too long to be sent without being asked for; the link breaks before it is.
  play.cluster().call(1, node::Send{Rank{4}, 8, Payload::copy(std::string(kEagerMessageBytes + 1, 'l'))});
  play.cluster().run_for(milliseconds(10));
  play.cluster().reset(1, [](std::size_t other) { return other == 4; });
  play.cluster().run_for(milliseconds(10));
  play.cluster().call(4, node::Receive{Rank{1}, 8});
  play.cluster().run_for(milliseconds(10));
  play.close_all();
}

void redirect(Play& play) {
  play.start_all(milliseconds(1));
  play.run_until_formed();
  play.close_all();
}

void parent_dies_after_redirect(Play& play) {
  play.start_all(milliseconds(1));
  play.run_until("rank 0 -> rank 3", "placement");
  play.cluster().kill(1);
}

void parent_out_of_reach(Play& play) {
  play.cluster().path = [](std::size_t from, std::size_t to, node::Target) {
    return from == 3 && to == 1 ? Path::refused : Path::open;
  };
  play.start_all(milliseconds(1));
  play.run_until_formed();
  play.close_all();
}

void duplicate_rank(Play& play) {
  play.start(0);
  play.start(1, milliseconds(1));
  play.start_twin(1, 9, milliseconds(2));
  play.start(2, milliseconds(5));
  play.run_until("rank 2", "has formed");
  play.close_all();
}

void wrong_secret(Play& play) {
  play.start(0);
  play.start_with_secret(1, "another secret");
  play.start(2, milliseconds(1));
}

void death_while_joining(Play& play) {
  play.start_all(milliseconds(1));
  play.run_until("rank 2 -> rank 0", "hello");
  play.cluster().kill(2);
}

void death_while_registering(Play& play) {
  play.start_all(milliseconds(1));
  play.run_until("rank 2 -> rank 0", "records");
  play.cluster().run_for(milliseconds(1));
  play.cluster().kill(2);
}

void death_while_running(Play& play) {
  play.start_all();
  play.run_until_formed();
  play.cluster().call(0, barrier());
  play.cluster().call(1, barrier());
  play.cluster().run_for(milliseconds(1));
  play.cluster().kill(2);
}

void death_while_closing(Play& play) {
  play.start_all();
  play.run_until_formed();
  play.call_all(barrier());
  play.close_all();
  play.run_until("rank 1", "calls close()");
  play.cluster().kill(1);
}

struct Scenario {
  const char* file;
  const char* about;
  JobOptions job;
  void (*play)(Play&);

  friend std::ostream& operator<<(std::ostream& out, const Scenario& scenario) { return out << scenario.file; }
};

const Scenario kScenarios[] = {
    {"plain_join",
     "Six ranks on three hosts start at once, wait for each other in a barrier, and close.",
     {.ranks = 6, .ranks_per_host = 2, .fan_out = 2},
     plain_join},
    {"computed_join",
     "Four hosts know each other's addresses: each goes to its parent without asking.",
     {.ranks = 4, .ranks_per_host = 1, .fan_out = 2, .listed_hosts = 4},
     redirect},
    {"calls",
     "An allgather, a broadcast of rank 2, and two messages between ranks that have no link.",
     {.ranks = 3, .ranks_per_host = 1, .fan_out = 2},
     calls},
    {"direct_links",
     "Ranks 1 and 4 want a direct link at the same time and get one; it breaks, and a message goes on by routes.",
     {.ranks = 6, .ranks_per_host = 3, .fan_out = 2},
     direct_links},
    {"redirect", "Five hosts, two children each: rank 0 has no room for ranks 3 and 4, and sends them to rank 1.",
     kOnePerHost, redirect},
    {"parent_dies_after_redirect", "Rank 0 has just sent rank 3 to rank 1 when rank 1 dies.", kOnePerHost,
     parent_dies_after_redirect},
    {"parent_out_of_reach", "Rank 0 reaches rank 1, rank 3 does not: it complains and gets another parent.",
     kOnePerHost, parent_out_of_reach},
    {"duplicate_rank",
     "Two processes say that they are rank 1; the one that came first stays.",
     {.ranks = 3, .ranks_per_host = 1, .fan_out = 2},
     duplicate_rank},
    {"wrong_secret",
     "Rank 1 has another secret: it is turned away, and the others name it when their time is up.",
     {.ranks = 3, .ranks_per_host = 1, .fan_out = 2},
     wrong_secret},
    {"death_while_joining",
     "Rank 2 dies when it has said hello and nothing else.",
     {.ranks = 4, .ranks_per_host = 1, .fan_out = 2},
     death_while_joining},
    {"death_while_registering",
     "Rank 2 dies when the root has its record and waits for others.",
     {.ranks = 4, .ranks_per_host = 1, .fan_out = 2},
     death_while_registering},
    {"death_while_running",
     "Rank 2 dies while ranks 0 and 1 wait for it in a barrier.",
     {.ranks = 3, .ranks_per_host = 1, .fan_out = 2},
     death_while_running},
    {"death_while_closing", "Rank 1, which has children, dies as it begins to close.", kOnePerHost,
     death_while_closing},
};

// --- holding them against their files ------------------------------------------------------------------------------

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string shown(const std::vector<std::string>& lines, std::size_t from, const char* mark) {
  std::string all;
  for (std::size_t i = from; i < std::min(lines.size(), from + kShownFrom); ++i) all += mark + lines[i] + "\n";
  return all;
}

// Empty if they are equal.
std::string difference(const std::string& expected_text, const std::string& found_text) {
  if (expected_text == found_text) return {};
  const std::vector<std::string> expected = lines_of(expected_text);
  const std::vector<std::string> found = lines_of(found_text);
  const auto [first, other] = std::mismatch(expected.begin(), expected.end(), found.begin(), found.end());
  const auto line = static_cast<std::size_t>(first - expected.begin());
  std::string all = "from line " + std::to_string(line + 1) + " on (- in the file, + now)\n";
  for (std::size_t i = line - std::min(line, kShownBefore); i < line; ++i) all += "  " + expected[i] + "\n";
  return all + shown(expected, line, "- ") + shown(found, line, "+ ");
}

class Golden : public testing::TestWithParam<Scenario> {};

TEST_P(Golden, the_exchange_is_as_its_file_says) {
  const Scenario& scenario = GetParam();
  Play play(scenario.job);
  scenario.play(play);
  play.run_to_the_end();
  EXPECT_FALSE(play.broke_its_contract());
  const std::string found = play.text(scenario.about);
  const std::string path = std::string(BANYAN_GOLDEN_FOLDER) + "/" + scenario.file + ".txt";
  if (std::getenv("BANYAN_REWRITE_GOLDEN") != nullptr) {
    std::ofstream file(path, std::ios::binary);
    file << found;
    ASSERT_TRUE(file.flush()) << "can't write " << path;
    return;
  }
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file) << "can't read " << path << "; BANYAN_REWRITE_GOLDEN=1 writes it";
  std::ostringstream expected;
  expected << file.rdbuf();
  const std::string differs = difference(expected.str(), found);
  EXPECT_TRUE(differs.empty()) << path << " " << differs;
}

INSTANTIATE_TEST_SUITE_P(Exchange, Golden, testing::ValuesIn(kScenarios), testing::PrintToStringParamName());

}  // namespace
}  // namespace banyan::sim
