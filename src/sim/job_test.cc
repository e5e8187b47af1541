// Whole jobs of real engines: they form whatever comes first, run collectives and messages, and end with an error that
// names the right ranks when something is wrong. A failing run prints its seed and shape.
#include "sim/job.hh"

#include <array>
#include <cstdlib>
#include <ostream>
#include <set>

#include <gtest/gtest.h>

#include "sim/cluster.hh"

namespace banyan::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Shape {
  std::uint32_t world_size = 8;
  std::uint32_t ranks_per_host = 2;
  std::uint32_t fan_out = 2;
  bool root_last = false;  // so it does not lead its host
  bool tcp_only = false;
  bool computed = false;
  std::uint32_t listed_hosts = UINT32_MAX;  // if computed: so many of the hosts, the others ask them
  bool secret = true;
  bool job_known = true;
  bool local_size_known = false;
  std::size_t enclose_bytes = Limits{}.enclose_bytes;
  Duration spread{};  // of the ranks' starts

  std::uint32_t hosts() const { return (world_size + ranks_per_host - 1) / ranks_per_host; }
  static Shape any(Random& random) {
    Shape shape;
    shape.world_size = static_cast<std::uint32_t>(random.between(1, 40));
    shape.ranks_per_host = static_cast<std::uint32_t>(random.between(1, 1 + random.below(9)));
    shape.fan_out = static_cast<std::uint32_t>(random.between(2, 8));
    shape.root_last = random.below(3) == 0;
    shape.tcp_only = random.below(4) == 0;
    shape.computed = !shape.tcp_only && random.below(3) == 0;
    if (random.below(2) == 0) shape.listed_hosts = static_cast<std::uint32_t>(random.between(1, shape.hosts()));
    shape.secret = random.below(3) != 0;
    shape.job_known = random.below(2) == 0;
    shape.local_size_known = random.below(2) == 0;
    shape.enclose_bytes = random.below(2) == 0 ? 1 + random.below(5000) : shape.enclose_bytes;
    shape.spread = std::array<Duration, 3>{Duration{}, milliseconds(1), seconds(2)}[random.below(3)];
    return shape;
  }
  friend std::ostream& operator<<(std::ostream& out, const Shape& s) {
    return out << "N=" << s.world_size << " ranks_per_host=" << s.ranks_per_host << " fan_out=" << s.fan_out
               << (s.root_last ? " root_last" : "") << (s.tcp_only ? " tcp_only" : "")
               << (s.computed ? " listed=" + std::to_string(std::min(s.listed_hosts, s.hosts())) : std::string())
               << (s.secret ? " secret" : "") << (s.job_known ? " job_known" : "")
               << (s.local_size_known ? " local_size" : "") << " shared_from=" << s.enclose_bytes
               << " spread_us=" << s.spread.count() / 1000;
  }
};

class Job : public Cluster {
 public:
  Job(const Shape& a_shape, std::uint64_t seed) : Cluster(seed), shape(a_shape) {}

  node::Config config(std::uint32_t rank) {
    const JobOptions options{.ranks = shape.world_size,
                             .ranks_per_host = shape.ranks_per_host,
                             .fan_out = shape.fan_out,
                             .listed_hosts = shape.computed ? shape.listed_hosts : 1,
                             .secret = shape.secret,
                             .enclose_bytes = shape.enclose_bytes,
                             .start_timeout = seconds(30)};
    node::Config config = config_of(options, rank, hosts_of(options), random());
    if (!shape.job_known) config.job = {};
    if (!shape.local_size_known) config.local_size = 0;
    config.use_local_links = !shape.tcp_only;
    config.blob = Slice::copy("blob of " + std::to_string(rank) + std::string(random().below(300), '.'));
    return config;
  }
  // Starts one rank; `edit` changes its config first.
  template <typename Edit>
  std::size_t start_with(std::uint32_t rank, Edit edit, Duration wait = {}) {
    node::Config own = config(rank);
    edit(own);
    const std::uint32_t host = rank / shape.ranks_per_host;
    return add(std::move(own), machine(host), wait);
  }
  std::size_t start(std::uint32_t rank, Duration wait = {}) {
    return start_with(
        rank, [](node::Config&) {}, wait);
  }
  Duration moment() {
    return shape.spread == Duration{}
               ? Duration{}
               : Duration(static_cast<Duration::rep>(random().below(static_cast<std::uint64_t>(shape.spread.count()))));
  }
  Duration moment_of(std::uint32_t rank) {
    return rank == 0 && shape.root_last ? shape.spread + milliseconds(20) : moment();
  }
  // All ranks but those; process i is the i-th of them.
  void start_all(const std::set<std::uint32_t>& but = {}) {
    for (std::uint32_t rank = 0; rank < shape.world_size; ++rank) {
      if (!but.contains(rank)) start(rank, moment_of(rank));
    }
  }
  template <typename Test>
  bool all(Test test) {
    for (std::size_t i = 0; i < size(); ++i) {
      if (!test((*this)[i])) return false;
    }
    return true;
  }
  bool run_until_formed(Duration limit = seconds(60)) {
    return run([&] { return all([](const Process& p) { return p.table != nullptr || p.over(); }); },
               after(now(), limit)) &&
           all([](const Process& p) { return (p.table != nullptr && !p.failed) || !p.alive; });
  }
  bool run_until_over(Duration limit = seconds(60)) {
    return run([&] { return all([](const Process& p) { return p.over(); }); }, after(now(), limit));
  }
  // What each process has come to, for a failing test.
  std::string story() {
    std::string text;
    for (std::size_t i = 0; i < size(); ++i) {
      const Process& p = (*this)[i];
      text += "\n  rank " + std::to_string(raw(p.config.rank)) + " (process " + std::to_string(i) + "): ";
      if (!p.alive) text += "killed";
      if (p.frozen) text += "frozen";
      if (p.closed) text += "closed ";
      if (p.failed) {
        text += std::string(to_string(p.failed->code)) + " {" + p.failed->ranks.to_string() + "} host '" +
                p.failed->host + "': " + p.failed->text;
      } else {
        text += p.table ? "formed" : "pending";
      }
    }
    for (const std::string& fault : faults()) text += "\n  FAULT " + fault;
    return text;
  }
  void expect_no_faults() { EXPECT_TRUE(faults().empty()) << story(); }

  const Shape shape;
};

void check_tables(Job& job) {
  const wire::Table& first = *job[0].table;
  const tree::Shape tree(first.fan_out());
  std::set<Position> positions;
  for (std::uint32_t rank = 0; rank < job.shape.world_size; ++rank) {
    if (first.leader(Rank{rank}) == Rank{rank}) positions.insert(first.position(Rank{rank}));
  }
  EXPECT_EQ(first.hosts(), job.shape.hosts());
  for (std::size_t i = 0; i < job.size(); ++i) {
    const Cluster::Process& process = job[i];
    ASSERT_NE(process.table, nullptr) << job.story();
    ASSERT_EQ(process.table->digest(), first.digest());
    const Rank rank = process.config.rank;
    EXPECT_EQ(first.blob(rank), Payload(process.config.blob));
    EXPECT_EQ(first.incarnation(rank), process.config.incarnation);
    EXPECT_EQ(first.host(rank), process.config.host_name);
    const Position position = first.position(rank);
    EXPECT_TRUE(rank == kRootRank || first.leader(rank) == kRootRank || positions.contains(position)) << raw(rank);
    EXPECT_TRUE(position == tree::kRootPosition || positions.contains(tree.parent(position)) ||
                tree.parent(position) == tree::kRootPosition);
    const bool listed = process.config.host_index < process.config.hosts.size();
    if (listed && first.leader(rank) == rank && process.config.host_index != 0) {
      EXPECT_EQ(raw(position), process.config.host_index);
    }
    const node::Statistics statistics = process.engine->statistics();
    EXPECT_LE(statistics.tree_links, job.shape.fan_out + 2);
  }
}

// Seeds are tried until a test has failed. BANYAN_SEEDS_FACTOR=20 tries twenty times as many, BANYAN_SEED=806 one
// alone.
template <typename Body>
void for_seeds(std::uint64_t count, Body body) {
  if (const char* more = std::getenv("BANYAN_SEEDS_FACTOR")) count *= std::strtoull(more, nullptr, 10);
  std::uint64_t first = 1;
  if (const char* only = std::getenv("BANYAN_SEED")) first = count = std::strtoull(only, nullptr, 10);
  for (std::uint64_t seed = first; seed <= count && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed * 7919);
    body(seed, random);
  }
}
std::string text_of(const Shape& shape) {
  std::ostringstream out;
  out << shape;
  return out.str();
}

// Longer apart than a computed parent is waited for.
TEST(Forming, hosts_of_a_list_may_come_many_seconds_apart) {
  for_seeds(40, [](std::uint64_t seed, Random& random) {
    Shape shape = Shape::any(random);
    shape.tcp_only = false;
    shape.computed = true;
    shape.ranks_per_host = static_cast<std::uint32_t>(random.between(1, 2));
    shape.spread = seconds(8);
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape));
    job.start_all();
    ASSERT_TRUE(job.run_until_formed()) << job.story();
    job.expect_no_faults();
  });
}

TEST(Forming, jobs_of_any_shape_form_and_every_rank_holds_the_same_table) {
  for_seeds(300, [](std::uint64_t seed, Random& random) {
    Job job(Shape::any(random), seed);
    SCOPED_TRACE(text_of(job.shape));
    job.start_all();
    ASSERT_TRUE(job.run_until_formed()) << job.story();
    check_tables(job);
    job.expect_no_faults();
  });
}

TEST(Forming, rank_0_leads_its_host_even_if_it_comes_a_little_after_the_others) {
  for_seeds(40, [](std::uint64_t seed, Random& random) {
    Shape shape{.world_size = static_cast<std::uint32_t>(random.between(2, 20)),
                .ranks_per_host = static_cast<std::uint32_t>(random.between(2, 8)),
                .root_last = true,
                .local_size_known = true,
                .spread = milliseconds(random.between(1, 100))};
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape));
    job.start_all();
    ASSERT_TRUE(job.run_until_formed()) << job.story();
    check_tables(job);
    for (std::uint32_t rank = 0; rank < std::min(shape.ranks_per_host, shape.world_size); ++rank)
      EXPECT_EQ(job[0].table->leader(Rank{rank}), kRootRank) << rank;
    job.expect_no_faults();
  });
}

TEST(Forming, the_others_of_rank_0s_host_do_not_wait_for_it_for_long) {
  Job job({.world_size = 8, .ranks_per_host = 4, .local_size_known = true}, 1);
  for (std::uint32_t rank = 1; rank < 8; ++rank) job.start(rank);
  job.start(0, seconds(1));
  ASSERT_TRUE(job.run_until_formed()) << job.story();
  for (std::uint32_t rank = 1; rank < 4; ++rank) EXPECT_NE(job[0].table->leader(Rank{rank}), kRootRank) << rank;
}

TEST(Forming, hosts_beyond_the_list_get_their_places_from_the_listed_ones_in_turn) {
  for_seeds(60, [](std::uint64_t seed, Random& random) {
    Shape shape{.world_size = static_cast<std::uint32_t>(random.between(10, 60)),
                .ranks_per_host = static_cast<std::uint32_t>(random.between(1, 3)),
                .fan_out = static_cast<std::uint32_t>(random.between(2, 5)),
                .computed = true,
                .listed_hosts = static_cast<std::uint32_t>(random.between(2, 9))};
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape));
    job.start_all();
    ASSERT_TRUE(job.run_until_formed()) << job.story();
    check_tables(job);
    const tree::Shares shares(shape.fan_out, shape.listed_hosts);
    const wire::Table& table = *job[0].table;
    for (std::size_t i = 0; i < job.size(); ++i) {
      const node::Config& config = job[i].config;
      if (table.leader(config.rank) != config.rank || config.host_index < config.hosts.size()) continue;
      EXPECT_EQ(shares.allotter(table.position(config.rank)), shares.asks(config.host_index)) << i;
    }
    job.expect_no_faults();
  });
}

TEST(Forming, without_local_links_or_hosts_no_rank_waits_for_a_clock) {
  for_seeds(30, [](std::uint64_t seed, Random& random) {
    Shape shape = Shape::any(random);
    shape.spread = {};
    shape.root_last = false;
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape));
    job.start_all();
    // Some events take 5 ms; a kernel's or protocol's timeout would be 500 ms.
    ASSERT_TRUE(job.run_until_formed(milliseconds(450))) << job.story();
  });
}

TEST(Forming, ranks_of_a_host_share_a_large_table_and_large_results) {
  std::array<std::uint64_t, 2> local_bytes{};
  for (const bool shared : {false, true}) {
    Job job({.world_size = 24, .ranks_per_host = 8, .enclose_bytes = shared ? 1000u : SIZE_MAX}, 1);
    job.start_all();
    ASSERT_TRUE(job.run_until_formed()) << job.story();
    check_tables(job);
    std::vector<CallId> calls;
    const Payload word = Payload::copy(std::string(100'000, 'x'));
    for (std::size_t i = 0; i < job.size(); ++i) {
      const wire::CallSignature allgather{.kind = wire::CollectiveKind::allgather};
      calls.push_back(job.call(i, node::Collective{kWorld, allgather, word, {}}));
    }
    ASSERT_TRUE(job.run(
        [&] {
          for (std::size_t i = 0; i < job.size(); ++i) {
            if (job.result(i, calls[i]) == nullptr) return false;
          }
          return true;
        },
        after(job.now(), seconds(10))));
    for (std::size_t i = 0; i < job.size(); ++i) {
      const auto* parts = std::get_if<node::Parts>(&job.result(i, calls[i])->result);
      ASSERT_NE(parts, nullptr) << job.story();
      for (std::uint32_t rank = 0; rank < 24; ++rank) EXPECT_EQ((*parts)[rank], word);
    }
    job.for_each_connection([&](std::size_t, std::size_t, bool local, const Cluster::Traffic& traffic) {
      if (local) local_bytes[shared ? 1 : 0] += traffic.bytes;
    });
    job.expect_no_faults();
  }
  // What remains are the ranks' own contributions.
  EXPECT_GT(local_bytes[0], 21u * 24u * 100'000u);
  EXPECT_LT(local_bytes[1], 22u * 101'000u);
}

TEST(Forming, collectives_and_messages_run_over_the_links_that_formed) {
  for_seeds(60, [](std::uint64_t seed, Random& random) {
    Job job(Shape::any(random), seed);
    SCOPED_TRACE(text_of(job.shape));
    job.start_all();
    ASSERT_TRUE(job.run_until_formed()) << job.story();
    const std::uint32_t n = job.shape.world_size;
    std::vector<std::string> words;
    std::vector<std::array<CallId, 3>> collectives;
    std::vector<std::pair<std::size_t, CallId>> sends;
    std::vector<std::tuple<std::size_t, CallId, std::string>> receives;
    for (std::uint32_t i = 0; i < n; ++i) {
      words.push_back(std::string(random.below(4) == 0 ? random.below(70'000) : random.below(200),
                                  static_cast<char>('a' + i % 26)));
      const wire::CallSignature allgather{.kind = wire::CollectiveKind::allgather};
      const wire::CallSignature barrier{.kind = wire::CollectiveKind::barrier};
      collectives.push_back({job.call(i, node::Collective{kWorld, allgather, Payload::copy(words[i]), {}}),
                             job.call(i, node::Collective{kWorld, barrier, {}, {}}),
                             job.call(i, node::Collective{kWorld, allgather, {}, {}})});
    }
    for (std::uint32_t k = 0; k < 20; ++k) {
      const auto from = static_cast<std::uint32_t>(random.below(n));
      const auto to = static_cast<std::uint32_t>(random.below(n));
      const std::string message(random.below(3) == 0 ? random.below(400'000) : random.below(100),
                                static_cast<char>('A' + k));
      sends.emplace_back(from, job.call(from, node::Send{Rank{to}, k, Payload::copy(message)}));
      receives.emplace_back(to, job.call(to, node::Receive{Rank{from}, k}), message);
    }
    job.run_for(seconds(9));
    for (std::uint32_t i = 0; i < n; ++i) {
      const node::Completion* gathered = job.result(i, collectives[i][0]);
      ASSERT_TRUE(gathered != nullptr && std::holds_alternative<node::Parts>(gathered->result)) << i << job.story();
      for (std::uint32_t r = 0; r < n; ++r) EXPECT_EQ(std::get<node::Parts>(gathered->result)[r].to_string(), words[r]);
      EXPECT_NE(job.result(i, collectives[i][1]), nullptr);
      ASSERT_NE(job.result(i, collectives[i][2]), nullptr);
    }
    for (const auto& [i, id] : sends)
      ASSERT_TRUE(job.result(i, id) != nullptr && std::holds_alternative<Payload>(job.result(i, id)->result));
    for (const auto& [i, id, message] : receives) {
      ASSERT_TRUE(job.result(i, id) != nullptr && std::holds_alternative<Payload>(job.result(i, id)->result));
      EXPECT_EQ(std::get<Payload>(job.result(i, id)->result).to_string(), message);
    }
    job.expect_no_faults();
  });
}

// --- parents that can't be reached ---------------------------------------------------------------------------------

TEST(Unreachable, a_parent_that_one_child_can_not_reach_is_replaced_for_that_child_alone) {
  for_seeds(60, [](std::uint64_t seed, Random& random) {
    Shape shape{.world_size = 16, .ranks_per_host = 1, .fan_out = 2, .tcp_only = true};
    shape.spread = milliseconds(1);
    Job job(shape, seed);
    const auto way = std::array{Path::refused, Path::silent, Path::mute}[random.below(3)];
    // Every parent but rank 0 is out of reach of the first child that it is given.
    std::map<std::size_t, std::size_t> kept_out;
    std::set<std::size_t> unlucky;
    job.path = [&](std::size_t from, std::size_t to, node::Target target) {
      if (target != node::Target::endpoint) return Path::open;
      if (!kept_out.contains(to) && unlucky.size() < 3 && unlucky.insert(from).second) kept_out[to] = from;
      const auto found = kept_out.find(to);
      return found != kept_out.end() && found->second == from ? way : Path::open;
    };
    job.start_all();
    ASSERT_TRUE(job.run_until_formed()) << job.story();
    check_tables(job);
    EXPECT_FALSE(kept_out.empty());
    job.expect_no_faults();
  });
}

TEST(Unreachable, a_rank_that_reaches_nobody_but_the_root_becomes_its_child) {
  for_seeds(40, [](std::uint64_t seed, Random& random) {
    Shape shape{.world_size = 12, .ranks_per_host = 1, .fan_out = 2, .tcp_only = true};
    shape.spread = milliseconds(1);
    Job job(shape, seed);
    const auto way = std::array{Path::refused, Path::silent, Path::mute}[random.below(3)];
    const std::size_t lonely = random.between(1, 11);
    job.path = [&](std::size_t from, std::size_t, node::Target target) {
      return from == lonely && target == node::Target::endpoint ? way : Path::open;
    };
    for (std::uint32_t rank = 0; rank < 12; ++rank) job.start(rank, rank == lonely ? milliseconds(5) : Duration{});
    ASSERT_TRUE(job.run_until_formed(seconds(100))) << job.story();
    const Position position = job[0].table->position(Rank{static_cast<std::uint32_t>(lonely)});
    EXPECT_EQ(tree::Shape(2).parent(position), tree::kRootPosition) << raw(position);
    check_tables(job);
    job.expect_no_faults();
  });
}

TEST(Unreachable, when_two_reach_nobody_the_error_names_one_of_them_and_the_job_ends) {
  for_seeds(20, [](std::uint64_t seed, Random&) {
    Job job({.world_size = 12, .ranks_per_host = 1, .fan_out = 2, .tcp_only = true}, seed);
    job.path = [&](std::size_t from, std::size_t, node::Target target) {
      return (from == 5 || from == 6) && target == node::Target::endpoint ? Path::refused : Path::open;
    };
    for (std::uint32_t rank = 0; rank < 12; ++rank)
      job.start(rank, rank == 5 || rank == 6 ? milliseconds(200) : Duration{});
    ASSERT_TRUE(job.run_until_over()) << job.story();
    for (std::size_t i = 0; i < job.size(); ++i) {
      ASSERT_TRUE(job[i].failed.has_value());
      if (i == 5 || i == 6) continue;
      EXPECT_TRUE(job[i].failed->ranks.contains(Rank{5}) || job[i].failed->ranks.contains(Rank{6})) << job.story();
      EXPECT_EQ(job[i].failed->ranks.count(), 1u) << job.story();
    }
    job.expect_no_faults();
  });
}

// --- ranks that die ------------------------------------------------------------------------------------------------

void expect_all_others_name(Job& job, std::size_t victim, const std::set<std::uint32_t>& also_missing) {
  const Rank rank = job[victim].config.rank;
  for (std::size_t i = 0; i < job.size(); ++i) {
    if (i == victim) continue;
    ASSERT_TRUE(job[i].failed.has_value()) << job.story();
    const Failure& failure = *job[i].failed;
    EXPECT_TRUE(failure.code == FailureCode::rank_lost || failure.code == FailureCode::timed_out) << i << job.story();
    EXPECT_TRUE(failure.ranks.contains(rank)) << i << job.story();
    for (const RankSet::Range range : failure.ranks.ranges()) {
      for (std::uint32_t r = range.first; r <= range.last; ++r) {
        EXPECT_TRUE(r == raw(rank) || (failure.code == FailureCode::timed_out && also_missing.contains(r)))
            << r << " is blamed by " << i << job.story();
      }
    }
    if (testing::Test::HasFailure()) return;
  }
}

Shape shape_to_die_in(Random& random) {
  Shape shape = Shape::any(random);
  shape.world_size = static_cast<std::uint32_t>(random.between(2, 24));
  shape.computed = false;
  if (shape.spread > milliseconds(1)) shape.spread = milliseconds(1);
  return shape;
}

TEST(Losses, a_rank_that_dies_before_the_table_is_named_to_everyone) {
  for_seeds(200, [](std::uint64_t seed, Random& random) {
    Shape shape = shape_to_die_in(random);
    // One more rank that is late keeps the job from forming.
    shape.world_size += 1;
    const std::uint32_t late = shape.world_size - 1;
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape));
    job.start_all({late});
    const std::size_t victim = random.below(job.size());
    job.run_for(Duration(static_cast<Duration::rep>(random.below(30'000'000))));
    SCOPED_TRACE("victim " + std::to_string(victim) + " at us " +
                 std::to_string(job.now().time_since_epoch().count() / 1000));
    job.kill(victim);
    job.start(late, milliseconds(random.below(2) * 5));
    ASSERT_TRUE(job.run_until_over()) << job.story();
    // A root that is gone can't say who else is.
    expect_all_others_name(job, victim, {});
    job.expect_no_faults();
  });
}

TEST(Losses, a_connection_to_rank_0_that_breaks_before_registration_is_made_again) {
  std::size_t mended = 0;
  for_seeds(100, [&](std::uint64_t seed, Random& random) {
    Job job({.world_size = 4, .ranks_per_host = 4}, seed);
    for (std::uint32_t rank = 0; rank < 4; ++rank) job.start(rank, milliseconds(10 * rank));
    const std::size_t victim = random.between(1, 3);
    ASSERT_TRUE(job.run([&] { return job.connected(victim); }, after(job.now(), seconds(1))));
    job.run_for(std::chrono::microseconds(random.below(120)));
    ASSERT_EQ(job.reset(victim), 0u);
    ASSERT_TRUE(job.run([&] { return job.all([](const auto& p) { return p.table != nullptr || p.over(); }); },
                        after(job.now(), seconds(3))))
        << job.story();
    // Once it had registered the root has lost a rank, and it is the root that says so.
    job[0].failed ? expect_all_others_name(job, victim, {}) : (void)++mended;
    job.expect_no_faults();
  });
  EXPECT_GT(mended, 0u);
}

TEST(Losses, a_rank_that_dies_in_the_running_job_is_named_to_everyone_at_once) {
  for_seeds(150, [](std::uint64_t seed, Random& random) {
    Shape shape = shape_to_die_in(random);
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape));
    job.start_all();
    ASSERT_TRUE(job.run_until_formed()) << job.story();
    const std::size_t victim = random.below(job.size());
    SCOPED_TRACE("victim " + std::to_string(victim));
    std::vector<CallId> calls;
    for (std::size_t i = 0; i < job.size(); ++i) {
      calls.push_back(
          i == victim
              ? CallId{}
              : job.call(i, node::Collective{kWorld, {.kind = wire::CollectiveKind::barrier}, {}, {}}, seconds(30)));
    }
    job.run_for(Duration(static_cast<Duration::rep>(random.below(1'000'000))));
    job.kill(victim);
    const Time killed = job.now();
    ASSERT_TRUE(job.run_until_over()) << job.story();
    // Rank 0 stays for two seconds where some may have been cut off before their table came.
    EXPECT_LE(job.now() - killed, seconds(3));
    expect_all_others_name(job, victim, {});
    for (std::size_t i = 0; i < job.size(); ++i) {
      if (i == victim) continue;
      EXPECT_EQ(job[i].failed->code, FailureCode::rank_lost) << i << job.story();
      EXPECT_EQ(job[i].failed->host, job[victim].config.host_name) << i << job.story();
      const node::Completion* completion = job.result(i, calls[i]);
      ASSERT_NE(completion, nullptr);
      ASSERT_TRUE(std::holds_alternative<Failure>(completion->result));
      EXPECT_TRUE(std::get<Failure>(completion->result).ranks.contains(job[victim].config.rank));
    }
    job.expect_no_faults();
  });
}

TEST(Losses, a_rank_that_dies_while_the_table_comes_down_is_named_to_everyone) {
  for_seeds(200, [](std::uint64_t seed, Random& random) {
    Shape shape = shape_to_die_in(random);
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape));
    job.start_all();
    job.run([&] { return !job.all([](const Cluster::Process& p) { return p.table == nullptr; }); },
            after(job.now(), seconds(60)));
    const std::uint64_t steps = random.below(40);
    for (std::uint64_t step = 0; step < steps; ++step) job.run_for(std::chrono::microseconds(25));
    const std::size_t victim = random.below(job.size());
    SCOPED_TRACE("victim " + std::to_string(victim) + " at us " +
                 std::to_string(job.now().time_since_epoch().count() / 1000));
    job.kill(victim);
    const Time killed = job.now();
    ASSERT_TRUE(job.run_until_over(seconds(100))) << job.story();
    expect_all_others_name(job, victim, {});
    EXPECT_LE(job.now() - killed, seconds(31));
    job.expect_no_faults();
  });
}

TEST(Losses, a_rank_that_freezes_before_it_registers_is_missing_and_nobody_else_is) {
  for_seeds(40, [](std::uint64_t seed, Random& random) {
    Job job({.world_size = 8, .ranks_per_host = 1, .fan_out = 2, .tcp_only = true}, seed);
    for (std::uint32_t rank = 0; rank < 8; ++rank) job.start(rank, rank == 0 ? Duration{} : milliseconds(1));
    const std::size_t victim = random.between(1, 7);
    job.run_for(milliseconds(1));
    job.freeze(victim);
    ASSERT_TRUE(job.run_until_over()) << job.story();
    expect_all_others_name(job, victim, {});
    job.expect_no_faults();
  });
}

// --- ranks that should not be here -----------------------------------------------------------------------------------

void expect_that_one_of_two_is_refused(bool names_itself) {
  for_seeds(150, [=](std::uint64_t seed, Random& random) {
    Shape shape = Shape::any(random);
    shape.world_size = static_cast<std::uint32_t>(random.between(3, 16));
    shape.computed = false;
    const bool local = random.below(2) == 0;
    const auto twice = static_cast<std::uint32_t>(random.between(1, shape.world_size - 1));
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape) + (local ? " local" : " remote") + " twice " + std::to_string(twice));
    // The last rank comes when both have had time to come.
    const std::uint32_t last = twice == shape.world_size - 1 ? twice - 1 : shape.world_size - 1;
    job.start_all({last});
    const std::size_t second = job.start_with(
        twice,
        [&](node::Config& config) {
          if (!local) config.host_name = config.host_key = "another host";
        },
        Duration(static_cast<Duration::rep>(random.below(20'000'000))));
    job.start(last, shape.spread + seconds(3));
    job.run(
        [&] {
          for (std::size_t i = 0; i < job.size(); ++i) {
            if (!job[i].table && !job[i].failed) return false;
          }
          return true;
        },
        after(job.now(), seconds(60)));
    std::size_t failed = 0;
    for (std::size_t i = 0; i < job.size(); ++i) {
      if (!job[i].failed) continue;
      ++failed;
      EXPECT_EQ(job[i].config.rank, Rank{twice}) << job.story();
      EXPECT_EQ(job[i].failed->code, FailureCode::duplicate_rank) << job.story();
      if (names_itself) {
        EXPECT_EQ(job[i].failed->ranks.to_string(), std::to_string(twice)) << job.story();
      }
    }
    EXPECT_EQ(failed, 1u) << second << job.story();
    job.expect_no_faults();
  });
}

TEST(Intruders, of_two_processes_of_one_rank_one_is_refused_and_the_job_forms_with_the_other) {
  expect_that_one_of_two_is_refused(false);
}

TEST(Intruders, a_rank_of_another_secret_or_job_is_told_so_and_missing_for_the_others) {
  for_seeds(120, [](std::uint64_t seed, Random& random) {
    Shape shape = Shape::any(random);
    shape.world_size = static_cast<std::uint32_t>(random.between(2, 16));
    shape.computed = false;
    const bool other_job = random.below(2) == 0;
    shape.job_known = shape.job_known || other_job;
    const auto odd = static_cast<std::uint32_t>(random.between(1, shape.world_size - 1));
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape) + (other_job ? " other job " : " other secret ") + std::to_string(odd));
    for (std::uint32_t rank = 0; rank < shape.world_size; ++rank) {
      job.start_with(
          rank,
          [&](node::Config& config) {
            if (rank != odd) return;
            if (other_job)
              config.job.bytes.fill(std::byte{9});
            else
              config.secret = "another secret";
          },
          job.moment_of(rank));
    }
    ASSERT_TRUE(job.run_until_over()) << job.story();
    for (std::size_t i = 0; i < job.size(); ++i) {
      const Failure& failure = *job[i].failed;
      if (i == odd) {
        EXPECT_EQ(failure.code, other_job ? FailureCode::wrong_job : FailureCode::wrong_secret) << job.story();
      } else {
        EXPECT_EQ(failure.code, FailureCode::timed_out) << i << job.story();
        EXPECT_EQ(failure.ranks.to_string(), std::to_string(odd)) << i << job.story();
      }
    }
    job.expect_no_faults();
  });
}

TEST(Intruders, strangers_change_nothing_but_a_counter) {
  for_seeds(40, [](std::uint64_t seed, Random& random) {
    Shape shape = Shape::any(random);
    shape.world_size = static_cast<std::uint32_t>(random.between(2, 16));
    shape.spread = {};
    shape.root_last = false;
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape));
    job.start_all();
    job.run_for(Duration{});
    const std::array<std::string, 5> speeches{
        "GET / HTTP/1.1\r\nHost: here\r\n\r\n", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
        std::string(4, '\xff'), std::string(2000, 'x'), std::string("\x50\0\0\0\x01\0\0\0", 8)};
    for (int k = 0; k < 30; ++k) {
      const std::size_t to = random.below(3) == 0 ? random.below(job.size()) : 0;
      job.stranger(to, node::Listener::network, speeches[random.below(speeches.size())], random.below(2) == 0);
    }
    ASSERT_TRUE(job.run_until_formed()) << job.story();
    check_tables(job);
    job.run_for(seconds(10));
    std::uint64_t turned_away = 0;
    for (std::size_t i = 0; i < job.size(); ++i) {
      turned_away += job[i].engine->statistics().turned_away;
      EXPECT_FALSE(job[i].failed);
    }
    EXPECT_GT(turned_away, 0u);
    job.expect_no_faults();
  });
}

// --- deadlines -----------------------------------------------------------------------------------------------------

TEST(Deadlines, every_rank_names_those_that_never_came_and_nobody_else) {
  for_seeds(120, [](std::uint64_t seed, Random& random) {
    Shape shape = Shape::any(random);
    shape.world_size = static_cast<std::uint32_t>(random.between(3, 30));
    shape.computed = false;
    std::set<std::uint32_t> absent;
    for (std::uint64_t k = random.between(1, 3); k > 0; --k)
      absent.insert(static_cast<std::uint32_t>(random.between(1, shape.world_size - 1)));
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape));
    job.start_all(absent);
    ASSERT_TRUE(job.run_until_over(seconds(40))) << job.story();
    RankSet missing;
    for (const std::uint32_t rank : absent) missing.insert(Rank{rank});
    for (std::size_t i = 0; i < job.size(); ++i) {
      EXPECT_EQ(job[i].failed->code, FailureCode::timed_out) << job.story();
      EXPECT_EQ(job[i].failed->ranks.to_string(), missing.to_string()) << i << job.story();
    }
    EXPECT_NE(job[0].failed->text.find("missing " + std::to_string(absent.size()) + " of " +
                                       std::to_string(shape.world_size) + ": "),
              std::string::npos);
    job.expect_no_faults();
  });
}

TEST(Deadlines, a_rank_with_a_short_deadline_ends_the_job_and_is_not_blamed) {
  for_seeds(60, [](std::uint64_t seed, Random& random) {
    Shape shape = Shape::any(random);
    shape.world_size = static_cast<std::uint32_t>(random.between(3, 20));
    shape.computed = false;
    shape.spread = {};
    const std::uint32_t absent = shape.world_size - 1;
    const auto hasty = static_cast<std::uint32_t>(random.below(absent));
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape) + " hasty " + std::to_string(hasty));
    for (std::uint32_t rank = 0; rank < absent; ++rank) {
      job.start_with(
          rank,
          [&](node::Config& config) {
            if (rank == hasty) config.start_timeout = seconds(4);
          },
          job.moment_of(rank));
    }
    ASSERT_TRUE(job.run_until_over(seconds(40))) << job.story();
    for (std::size_t i = 0; i < job.size(); ++i) {
      EXPECT_EQ(job[i].failed->code, FailureCode::timed_out) << job.story();
      EXPECT_EQ(job[i].failed->ranks.to_string(), RankSet::single(Rank{absent}).to_string()) << i << job.story();
    }
    EXPECT_LT(job.now(), Time{seconds(6)});
    job.expect_no_faults();
  });
}

TEST(Deadlines, every_rank_says_what_to_check_and_who_gave_up_first_is_not_told_apart) {
  for_seeds(40, [](std::uint64_t seed, Random& random) {
    Shape shape = Shape::any(random);
    shape.world_size = static_cast<std::uint32_t>(random.between(3, 20));
    shape.computed = false;
    shape.spread = {};
    const std::uint32_t absent = shape.world_size - 1;
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape));
    job.start_all({absent});
    ASSERT_TRUE(job.run_until_over(seconds(40))) << job.story();
    for (std::size_t i = 0; i < job.size(); ++i) {
      const std::string& text = job[i].failed->text;
      EXPECT_NE(text.find("see whether they were started with this job's rendezvous host-0:4242 and can reach it"),
                std::string::npos)
          << job.story();
      EXPECT_EQ(text.find("stopped waiting"), std::string::npos) << job.story();
    }
  });
}

TEST(Deadlines, without_rank_0_all_others_name_it) {
  for_seeds(40, [](std::uint64_t seed, Random& random) {
    Shape shape = Shape::any(random);
    shape.world_size = static_cast<std::uint32_t>(random.between(2, 20));
    shape.computed = false;
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape));
    job.start_all({0});
    ASSERT_TRUE(job.run_until_over(seconds(40))) << job.story();
    for (std::size_t i = 0; i < job.size(); ++i) {
      EXPECT_EQ(job[i].failed->code, FailureCode::timed_out) << job.story();
      EXPECT_EQ(job[i].failed->ranks.to_string(), RankSet::single(kRootRank).to_string()) << i << job.story();
    }
    job.expect_no_faults();
  });
}

TEST(Deadlines, computed_parents_that_never_come_are_replaced_and_only_they_are_missing) {
  for_seeds(60, [](std::uint64_t seed, Random& random) {
    Shape shape{.world_size = static_cast<std::uint32_t>(random.between(5, 30)),
                .ranks_per_host = static_cast<std::uint32_t>(random.between(1, 3)),
                .fan_out = 2,
                .computed = true};
    if (random.below(2) == 0) shape.listed_hosts = static_cast<std::uint32_t>(random.between(2, shape.hosts()));
    const auto absent = static_cast<std::uint32_t>(random.between(1, shape.world_size - 1));
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape) + " absent " + std::to_string(absent));
    job.start_all({absent});
    ASSERT_TRUE(job.run_until_over(seconds(40))) << job.story();
    for (std::size_t i = 0; i < job.size(); ++i) {
      EXPECT_EQ(job[i].failed->code, FailureCode::timed_out) << job.story();
      EXPECT_EQ(job[i].failed->ranks.to_string(), RankSet::single(Rank{absent}).to_string()) << i << job.story();
    }
    job.expect_no_faults();
  });
}

// --- the end -------------------------------------------------------------------------------------------------------

TEST(Ending, ranks_close_in_any_order_leaves_at_once_and_relays_when_nobody_needs_them) {
  for_seeds(80, [](std::uint64_t seed, Random& random) {
    Job job(Shape::any(random), seed);
    SCOPED_TRACE(text_of(job.shape));
    job.start_all();
    ASSERT_TRUE(job.run_until_formed()) << job.story();
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < job.size(); ++i)
      order.insert(order.begin() + static_cast<std::ptrdiff_t>(random.below(order.size() + 1)), i);
    std::vector<CallId> closes(job.size());
    for (const std::size_t i : order) {
      const node::Statistics links = job[i].engine->statistics();
      const bool leaf = i != 0 && links.tree_links + links.local_links == 1;
      closes[i] = job.call(i, node::Close{});
      EXPECT_TRUE(job[i].closed || !leaf) << "a leaf relays for nobody";
      if (random.below(2) == 0) job.run_for(milliseconds(random.below(10)));
    }
    const Time closed = job.now();
    ASSERT_TRUE(job.run([&] { return job.all([](const Cluster::Process& p) { return p.closed; }); },
                        after(job.now(), seconds(20))))
        << job.story();
    EXPECT_LT(job.now() - closed, seconds(1)) << "nobody's patience had to end";
    for (std::size_t i = 0; i < job.size(); ++i) EXPECT_FALSE(job[i].failed) << job.story();
    job.expect_no_faults();
  });
}

TEST(Ending, a_relay_waits_for_those_below_it_and_close_timeout_bounds_that) {
  Job job({.world_size = 7, .ranks_per_host = 1, .fan_out = 2, .tcp_only = true}, 3);
  job.start_all();
  ASSERT_TRUE(job.run_until_formed());
  job.call(0, node::Close{}, seconds(60));
  job.run_for(milliseconds(9'900));
  EXPECT_FALSE(job[0].closed);
  job.run_for(milliseconds(200));
  EXPECT_TRUE(job[0].closed);
  job.run_for(seconds(1));
  for (std::size_t i = 1; i < job.size(); ++i) {
    const Position position = job[0].table->position(Rank{static_cast<std::uint32_t>(i)});
    if (tree::Shape(2).parent(position) != tree::kRootPosition) continue;
    const CallId late = job.call(i, node::Collective{kWorld, {.kind = wire::CollectiveKind::barrier}, {}, {}});
    job.run_for(milliseconds(100));
    const node::Completion* result = job.result(i, late);
    ASSERT_NE(result, nullptr) << i;
    ASSERT_TRUE(std::holds_alternative<Failure>(result->result));
    EXPECT_EQ(std::get<Failure>(result->result).code, FailureCode::rank_left)
        << i << std::get<Failure>(result->result).text;
  }
  for (std::size_t i = 1; i < job.size(); ++i) job.call(i, node::Close{});
  ASSERT_TRUE(job.run([&] { return job.all([](const Cluster::Process& p) { return p.closed; }); },
                      after(job.now(), seconds(30))));
  job.expect_no_faults();
}

TEST(Ending, closing_ends_a_start_that_is_pending_and_a_closed_rank_takes_no_calls) {
  Job job({.world_size = 2}, 1);
  job.start(1);
  job.run_for(milliseconds(50));
  const CallId early = job.call(0, node::Send{Rank{0}, 0, {}});
  ASSERT_NE(job.result(0, early), nullptr);
  EXPECT_EQ(std::get<Failure>(job.result(0, early)->result).code, FailureCode::misuse);
  job.call(0, node::Close{});
  EXPECT_TRUE(job[0].closed);
  const CallId again = job.call(0, node::Send{Rank{0}, 0, {}});
  ASSERT_NE(job.result(0, again), nullptr);
  EXPECT_EQ(std::get<Failure>(job.result(0, again)->result).code, FailureCode::closed);
  EXPECT_EQ(job[0].wait, kNever);
  job.expect_no_faults();
}

TEST(Intruders, ranks_that_count_different_numbers_of_ranks_all_fail_with_wrong_world_size) {
  for_seeds(120, [](std::uint64_t seed, Random& random) {
    Shape shape = Shape::any(random);
    shape.world_size = static_cast<std::uint32_t>(random.between(2, 16));
    const auto odd = static_cast<std::uint32_t>(random.below(shape.world_size));
    const std::uint32_t counts = shape.world_size + 1 + static_cast<std::uint32_t>(random.below(3));
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape) + " odd " + std::to_string(odd));
    for (std::uint32_t rank = 0; rank < shape.world_size; ++rank) {
      job.start_with(
          rank,
          [&](node::Config& config) {
            if (rank == odd) config.world_size = counts;
          },
          job.moment_of(rank));
    }
    ASSERT_TRUE(job.run_until_over()) << job.story();
    for (std::size_t i = 0; i < job.size(); ++i)
      EXPECT_EQ(job[i].failed->code, FailureCode::wrong_world_size) << i << job.story();
    job.expect_no_faults();
  });
}

TEST(Ending, a_rank_that_closes_before_the_job_has_formed_is_named_by_the_others) {
  for_seeds(80, [](std::uint64_t seed, Random& random) {
    Shape shape = shape_to_die_in(random);
    shape.world_size += 1;
    const std::uint32_t late = shape.world_size - 1;
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape));
    job.start_all({late});
    job.run_for(Duration(static_cast<Duration::rep>(2'000'000 + random.below(30'000'000))));
    const std::size_t quitter = random.between(1, job.size() - 1);
    job.call(quitter, node::Close{});
    SCOPED_TRACE("quitter " + std::to_string(quitter));
    EXPECT_TRUE(job[quitter].closed);
    job.start(late, milliseconds(10));
    ASSERT_TRUE(job.run_until_over(seconds(60))) << job.story();
    for (std::size_t i = 0; i < job.size(); ++i) {
      if (i == quitter) continue;
      ASSERT_TRUE(job[i].failed.has_value()) << job.story();
      EXPECT_TRUE(job[i].failed->ranks.contains(Rank{static_cast<std::uint32_t>(quitter)})) << i << job.story();
      EXPECT_EQ(job[i].failed->ranks.count(), 1u) << i << job.story();
    }
    job.expect_no_faults();
  });
}

TEST(Intruders, a_name_that_a_mute_stranger_holds_costs_time_and_not_the_job) {
  for (const bool computed : {false, true}) {
    Shape shape{.world_size = 6, .ranks_per_host = 3, .computed = computed};
    Job job(shape, 5);
    job.squat("host-1", node::local_name(job.config(3)));
    job.start_all();
    ASSERT_TRUE(job.run_until_formed()) << job.story();
    job.expect_no_faults();
  }
}

TEST(Intruders, a_refused_duplicate_names_its_own_rank_and_not_who_refused_it) {
  expect_that_one_of_two_is_refused(true);
}

bool said(const Cluster::Process& process, const std::string& words) {
  return std::ranges::any_of(process.notices,
                             [&](const auto& notice) { return notice.text.find(words) != std::string::npos; });
}

TEST(Intruders, a_second_process_of_a_leaders_own_rank_is_refused_at_once_and_the_root_says_so) {
  for_seeds(40, [](std::uint64_t seed, Random& random) {
    Shape shape{.world_size = 6, .ranks_per_host = 2, .fan_out = 2};
    shape.secret = random.below(2) == 0;
    shape.job_known = random.below(2) == 0;
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape));
    job.start_all({5});
    job.run_for(seconds(1));
    const std::size_t second = job.start(4);
    job.run_for(seconds(2));
    ASSERT_TRUE(job[second].failed) << job.story();
    EXPECT_EQ(job[second].failed->code, FailureCode::duplicate_rank) << job.story();
    const std::string told = "a second process on host-2 was started as rank 4, which has joined already; end one";
    EXPECT_NE(job[second].failed->text.find(told), std::string::npos) << job.story();
    EXPECT_TRUE(said(job[4], "refused: " + told) && said(job[0], "refused: " + told)) << job.story();
    ASSERT_TRUE(job.run_until_over(seconds(40))) << job.story();
    EXPECT_NE(job[0].failed->text.find("; refused: a second process was started as rank 4"), std::string::npos)
        << job.story();
    job.expect_no_faults();
  });
}

TEST(Intruders, a_rendezvous_that_somebody_holds_is_named_to_ranks_that_come_later_too) {
  Job job({.world_size = 3, .ranks_per_host = 3}, 2);
  job.squat_rendezvous();
  for (std::uint32_t rank = 0; rank < 3; ++rank) job.start(rank, milliseconds(300) * rank);
  job.run_for(seconds(1));
  EXPECT_TRUE(job[1].failed && job[2].failed) << job.story();
  // Rank 0 has stayed for them.
  ASSERT_TRUE(job.run_until_over(seconds(3))) << job.story();
  for (std::size_t i = 0; i < job.size(); ++i) {
    EXPECT_EQ(job[i].failed->code, FailureCode::address_in_use) << job.story();
  }
  job.expect_no_faults();
}

TEST(Intruders, a_forged_report_of_second_processes_puts_no_words_into_a_log_and_fills_none) {
  Job job({.world_size = 200, .ranks_per_host = 1, .tcp_only = true}, 3);
  job.start(0);
  job.start(1);
  job.run_for(seconds(1));
  for (std::uint32_t rank = 2; rank < 200; ++rank) {
    const Failure claimed{
        FailureCode::duplicate_rank, Phase::join, RankSet::single(Rank{rank}), {}, "a forger's words"};
    job.forge(1, 0, wire::encode(wire::Report{Rank{rank}, {}, {}, claimed}, {}));
  }
  job.run_for(seconds(1));
  EXPECT_FALSE(job[0].failed) << job.story();
  EXPECT_FALSE(said(job[0], "a forger's words"));
  const auto warnings =
      std::ranges::count_if(job[0].notices, [](const auto& notice) { return notice.text.starts_with("refused: "); });
  EXPECT_EQ(static_cast<std::size_t>(warnings), kMostDuplicates);
  job.expect_no_faults();
}

TEST(Ending, another_try_of_a_leader_whose_first_has_failed_does_not_wait_for_it) {
  Job job({.world_size = 2, .ranks_per_host = 1}, 2);
  const std::size_t first = job.start_with(1, [](node::Config& config) { config.start_timeout = seconds(1); });
  job.keep_open(first);
  job.run_for(seconds(2));
  ASSERT_TRUE(job[first].failed) << job.story();
  const std::size_t second = job.start(1);
  const std::size_t root = job.start(0);
  ASSERT_TRUE(job.run([&] { return job[second].table && job[root].table; }, after(job.now(), seconds(5))))
      << job.story();
  EXPECT_FALSE(job[first].exited);
}

TEST(Intruders, a_second_process_that_was_refused_before_the_root_came_is_told_to_it) {
  Job job({.world_size = 4, .ranks_per_host = 2}, 1);
  const std::size_t leader = job.start(2);
  job.run_for(seconds(1));
  const std::size_t second = job.start(2);
  job.run_for(seconds(1));
  ASSERT_TRUE(job[second].failed && said(job[leader], "refused: ")) << job.story();
  const std::size_t root = job.start(0);
  job.start(1);
  ASSERT_TRUE(job.run_until_over(seconds(40))) << job.story();
  EXPECT_NE(job[root].failed->text.find("; refused: a second process was started as rank 2"), std::string::npos)
      << job.story();
  job.expect_no_faults();
}

TEST(Intruders, news_of_a_second_process_that_cross_the_table_end_no_job) {
  Job job({.world_size = 3, .ranks_per_host = 1}, 3);
  job.start_all();
  ASSERT_TRUE(job.run_until_formed()) << job.story();
  const Failure refused{FailureCode::duplicate_rank, Phase::join, RankSet::single(Rank{2}), "host-1", "a second one"};
  job.forge(2, 0, wire::encode(wire::Report{Rank{2}, {}, {}, refused}, Epoch{}));
  job.run_for(seconds(3));
  EXPECT_TRUE(job.all([](const Cluster::Process& p) { return !p.failed; })) << job.story();
}

// A process is done with its job and begins the next one with the same id, secret and rendezvous, while others have yet
// to close.
TEST(Ending, the_next_job_of_the_same_ranks_forms_when_the_last_one_has_ended) {
  for_seeds(60, [](std::uint64_t seed, Random& random) {
    Shape shape = Shape::any(random);
    shape.world_size = std::max(shape.world_size, 2u);
    shape.spread = {};
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape));
    job.start_all();
    ASSERT_TRUE(job.run_until_formed()) << job.story();
    const std::size_t count = job.size();
    std::set<std::size_t> open;
    for (std::size_t i = 0; i < count; ++i) open.insert(i);
    std::set<std::size_t> asked;
    while (!open.empty() && job.now() < after(Time{}, seconds(50))) {
      for (const std::size_t i : std::set(open)) {
        if (job[i].closed) {
          open.erase(i);
          job.start(raw(job[i].config.rank));
        } else if (random.below(20) == 0 && asked.insert(i).second) {
          job.call(i, node::Close{}, seconds(60));
        }
      }
      job.run_for(milliseconds(random.below(20)));
    }
    job.run(
        [&] {
          for (std::size_t i = count; i < job.size(); ++i) {
            if (!job[i].table && !job[i].over()) return false;
          }
          return true;
        },
        after(job.now(), seconds(60)));
    for (std::size_t i = count; i < job.size(); ++i) {
      ASSERT_NE(job[i].table, nullptr) << job.story();
      EXPECT_EQ(job[i].table->digest(), job[count].table->digest()) << job.story();
    }
    job.expect_no_faults();
  });
}

// The root closes last, so listed hosts are there for the next job while their parents are still in the last one.
TEST(Ending, the_next_job_of_a_list_of_hosts_begins_without_complaints) {
  for_seeds(20, [](std::uint64_t seed, Random& random) {
    Shape shape{.world_size = 21, .ranks_per_host = 1, .fan_out = 4, .computed = true};
    if (random.below(2) == 0) shape.listed_hosts = 5;
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape));
    job.start_all();
    ASSERT_TRUE(job.run_until_formed()) << job.story();
    const std::size_t count = job.size();
    const auto closed = [&](std::size_t i) { return job[i].closed; };
    for (std::size_t i = 1; i < count; ++i) job.call(i, node::Close{}, seconds(20));
    job.run_for(milliseconds(100));
    for (std::size_t i = 1; i < count; ++i) {
      ASSERT_TRUE(closed(i)) << i;
      job.start(raw(job[i].config.rank));
    }
    job.run_for(milliseconds(500));
    job.call(0, node::Close{}, seconds(20));
    ASSERT_TRUE(job.run([&] { return closed(0); }, after(job.now(), seconds(20))));
    const std::size_t root = job.start(0);
    ASSERT_TRUE(job.run_until_formed()) << job.story();
    for (const auto& notice : job[root].notices)
      EXPECT_EQ(notice.text.find("gets another"), std::string::npos) << notice.text;
    job.expect_no_faults();
  });
}

TEST(Ending, a_duplicate_that_comes_to_a_formed_job_is_told_so_after_close_timeout) {
  for_seeds(20, [](std::uint64_t seed, Random& random) {
    Shape shape = Shape::any(random);
    shape.world_size = std::max(shape.world_size, 2u);
    Job job(shape, seed);
    SCOPED_TRACE(text_of(shape));
    job.start_all();
    ASSERT_TRUE(job.run_until_formed()) << job.story();
    const auto twice = static_cast<std::uint32_t>(random.between(1, shape.world_size - 1));
    const Time began = job.now();
    const std::size_t second = job.start(twice);
    ASSERT_TRUE(job.run([&] { return job[second].over(); }, after(job.now(), seconds(60)))) << job.story();
    ASSERT_TRUE(job[second].failed) << job.story();
    EXPECT_EQ(job[second].failed->code, FailureCode::duplicate_rank) << job.story();
    EXPECT_EQ(job[second].failed->ranks, RankSet::single(Rank{twice}));
    EXPECT_GE(job.now() - began, job[second].config.close_timeout);
    job.expect_no_faults();
  });
}

TEST(Ending, when_the_root_has_left_calls_fail_at_every_depth) {
  Job job({.world_size = 7, .ranks_per_host = 1, .fan_out = 2, .tcp_only = true}, 3);
  job.start_all();
  ASSERT_TRUE(job.run_until_formed());
  job.call(0, node::Close{}, seconds(60));
  job.run_for(seconds(11));
  for (std::size_t i = 1; i < job.size(); ++i) {
    const CallId late = job.call(i, node::Collective{kWorld, {.kind = wire::CollectiveKind::barrier}, {}, {}});
    job.run_for(milliseconds(100));
    ASSERT_NE(job.result(i, late), nullptr) << i;
    EXPECT_EQ(std::get<Failure>(job.result(i, late)->result).code, FailureCode::rank_left) << i;
    EXPECT_EQ(std::get<Failure>(job.result(i, late)->result).ranks, RankSet::single(kRootRank)) << i;
  }
}

// A rank without children, of a job with one rank on each host.
std::size_t leaf_of(Job& job) {
  for (std::size_t i = job.size() - 1;; --i) {
    if (job[i].engine->statistics().tree_links == 1) return i;
  }
}

node::Collective gather_at_root(std::size_t bytes) {
  const wire::CallSignature gather{.kind = wire::CollectiveKind::gather, .root = kRootRank};
  return {kWorld, gather, Payload::copy(std::string(bytes, 'g')), {}};
}

TEST(Ending, a_rank_that_owes_bytes_stays_until_they_have_left) {
  for_seeds(20, [](std::uint64_t seed, Random&) {
    Job job({.world_size = 6, .ranks_per_host = 1, .fan_out = 2, .tcp_only = true}, seed);
    job.start_all();
    ASSERT_TRUE(job.run_until_formed());
    const std::size_t leaver = leaf_of(job);
    std::vector<CallId> calls(job.size());
    for (std::size_t i = 1; i < job.size(); ++i) calls[i] = job.call(i, gather_at_root(300'000));
    job.run_for(milliseconds(50));
    job.call(leaver, node::Close{});
    job.run_for(milliseconds(500));
    EXPECT_FALSE(job[leaver].closed);
    calls[0] = job.call(0, gather_at_root(300'000));
    job.run_for(seconds(1));
    EXPECT_TRUE(job[leaver].closed);
    const node::Completion* gathered = job.result(0, calls[0]);
    ASSERT_NE(gathered, nullptr);
    ASSERT_TRUE(std::holds_alternative<node::Parts>(gathered->result));
    EXPECT_EQ(std::get<node::Parts>(gathered->result)[leaver].size(), 300'000u);
    job.expect_no_faults();
  });
}

// A call is done when its bytes are in line; the program closes then, and lets go of the engine.
node::Collective alltoall(std::size_t ranks, std::size_t bytes) {
  return {kWorld,
          {.kind = wire::CollectiveKind::alltoall},
          {},
          std::vector<Payload>(ranks, Payload::copy(std::string(bytes, 'a')))};
}

TEST(Ending, a_rank_stays_until_what_it_exchanges_with_others_is_where_it_belongs) {
  for_seeds(20, [](std::uint64_t seed, Random& random) {
    Job job({.world_size = 6, .ranks_per_host = 1, .fan_out = 2, .tcp_only = true}, seed);
    job.start_all();
    ASSERT_TRUE(job.run_until_formed());
    const std::size_t leaver = leaf_of(job);
    const std::size_t bytes = random.below(2) == 0 ? 100 : 100'000;
    std::vector<CallId> calls(job.size());
    for (std::size_t i = 1; i < job.size(); ++i) calls[i] = job.call(i, alltoall(6, bytes));
    job.run_for(milliseconds(50));
    job.call(leaver, node::Close{});
    job.run_for(milliseconds(500));
    EXPECT_FALSE(job[leaver].closed);
    calls[0] = job.call(0, alltoall(6, bytes));
    job.run_for(seconds(1));
    EXPECT_TRUE(job[leaver].closed);
    for (std::size_t i = 0; i < job.size(); ++i) {
      const node::Completion* result = job.result(i, calls[i]);
      ASSERT_NE(result, nullptr) << i;
      ASSERT_TRUE(std::holds_alternative<node::Parts>(result->result)) << i;
      EXPECT_EQ(std::get<node::Parts>(result->result)[leaver].size(), bytes);
    }
    job.expect_no_faults();
  });
}

TEST(Ending, what_calls_have_queued_leaves_before_close_is_done) {
  for_seeds(20, [](std::uint64_t seed, Random&) {
    Job job({.world_size = 6, .ranks_per_host = 1, .fan_out = 2, .tcp_only = true}, seed);
    job.start_all();
    ASSERT_TRUE(job.run_until_formed());
    std::vector<CallId> calls;
    for (std::size_t i = 0; i < job.size(); ++i) calls.push_back(job.call(i, gather_at_root(1'500'000)));
    std::set<std::size_t> closing;
    const bool over = job.run(
        [&] {
          for (std::size_t i = 1; i < job.size(); ++i) {
            if (job.result(i, calls[i]) != nullptr && closing.insert(i).second) job.call(i, node::Close{});
          }
          return job.result(0, calls[0]) != nullptr;
        },
        after(job.now(), seconds(20)));
    ASSERT_TRUE(over) << job.story();
    ASSERT_TRUE(std::holds_alternative<node::Parts>(job.result(0, calls[0])->result)) << job.story();
    EXPECT_FALSE(job[0].failed) << job.story();
    job.expect_no_faults();
  });
}

void expect_a_leaver_named(const node::Collective& collective) {
  Job job({.world_size = 6, .ranks_per_host = 1, .fan_out = 2, .tcp_only = true}, 3);
  job.start_all();
  ASSERT_TRUE(job.run_until_formed());
  const std::size_t leaver = leaf_of(job);
  job.call(leaver, collective, seconds(100));
  job.run_for(milliseconds(50));
  job.call(leaver, node::Close{}, seconds(2));
  job.run_for(seconds(3));
  EXPECT_TRUE(job[leaver].closed);
  for (std::size_t i = 0; i < job.size(); ++i) {
    if (i == leaver) continue;
    const CallId call = job.call(i, collective, seconds(100));
    job.run_for(milliseconds(100));
    const node::Completion* result = job.result(i, call);
    ASSERT_NE(result, nullptr) << i;
    EXPECT_EQ(std::get<Failure>(result->result).code, FailureCode::rank_left);
    EXPECT_EQ(std::get<Failure>(result->result).ranks, RankSet::single(job[leaver].config.rank));
  }
  job.expect_no_faults();
}

TEST(Ending, a_rank_that_leaves_though_it_owes_bytes_is_named) {
  expect_a_leaver_named(gather_at_root(300'000));
  expect_a_leaver_named(alltoall(6, 100));
}

// --- links that are full ------------------------------------------------------------------------------------------

// 1 - 0 - 2, each on a host of its own.
class Full : public testing::Test {
 protected:
  Full() : job({.world_size = 3, .ranks_per_host = 1, .fan_out = 2, .tcp_only = true, .secret = false}, 3) {
    job.start_all();
    EXPECT_TRUE(job.run_until_formed()) << job.story();
  }
  // A message from rank 1 on its way to rank 2.
  std::pair<CallId, CallId> message(std::uint32_t tag, std::size_t bytes, Duration timeout = seconds(60)) {
    return {job.call(1, node::Send{Rank{2}, tag, Payload::copy(std::string(bytes, 'm'))}, timeout),
            job.call(2, node::Receive{Rank{1}, tag}, timeout)};
  }
  void expect_lost(const char* reason) {
    for (const std::size_t i : {0u, 1u}) {
      ASSERT_TRUE(job[i].failed.has_value()) << i << job.story();
      EXPECT_EQ(job[i].failed->code, FailureCode::rank_lost);
      EXPECT_EQ(job[i].failed->ranks, RankSet::single(Rank{2}));
      EXPECT_NE(job[i].failed->text.find(reason), std::string::npos) << job[i].failed->text;
    }
    job.expect_no_faults();
  }

  Job job;
};

TEST_F(Full, a_rank_that_stops_reading_while_others_wait_for_that_is_lost_by_name) {
  for (std::uint32_t tag = 0; tag < 8; ++tag) message(tag, 1 << 20);
  ASSERT_TRUE(job.run([&] { return job.unread(0, 2) > 100'000; }, after(job.now(), seconds(1))));
  job.freeze(2);
  job.run_for(milliseconds(19'500));
  EXPECT_GT(job[0].pauses, 0u);
  EXPECT_FALSE(job[0].failed);
  job.run_for(seconds(3));
  expect_lost("it has read nothing for 20 s");
}

TEST_F(Full, control_frames_that_are_passed_on_wait_for_the_next_link_too) {
  job.freeze(2);
  const wire::Ends ends{Rank{1}, Rank{2}, job[1].config.incarnation, job[2].config.incarnation};
  for (std::uint64_t i = 0; i < 80'000; ++i) {
    job.forge(1, 0, wire::encode(wire::Accept{ends, Sequence{i}, Sequence{i}}, Epoch{1, 1}));
  }
  job.run_for(seconds(1));
  EXPECT_GT(job.unread(1, 0), 0u) << "the rest is not read";
  EXPECT_LT(job.unread(0, 2), 4u << 20);
  job.run_for(seconds(23));
  expect_lost("it has read nothing for 20 s");
}

TEST_F(Full, a_neighbour_that_asks_and_never_reads_is_not_read_any_more) {
  job.freeze(2);
  // From nowhere to itself: each is answered as undeliverable, on the link that it came by.
  wire::Data data;
  data.ends = {Rank{2}, Rank{2}, job[2].config.incarnation, job[2].config.incarnation};
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    data.sequence = Sequence{i};
    job.forge(2, 0, wire::encode(data, Epoch{1, 1}));
  }
  job.run_for(seconds(2));
  EXPECT_GT(job.unread(2, 0), 0u) << "the rest is not read";
  EXPECT_LT(job.unread(0, 2), 5u << 20);
  EXPECT_GT(job.unread(0, 2), 3u << 20) << "it was asked for answers";
  job.run_for(seconds(23));
  expect_lost("it has read nothing for 20 s");
}

TEST_F(Full, what_a_rank_sends_itself_stops_no_other) {
  const wire::CallSignature broadcast{.kind = wire::CollectiveKind::broadcast, .root = kRootRank};
  std::vector<CallId> calls;
  for (std::size_t i = 0; i < 3; ++i) {
    // Its chunks are the greatest there are.
    const std::string bytes(i == 0 ? kStreamChunks * kGreatestChunkBytes : 0, 'b');
    calls.push_back(job.call(i, node::Collective{kWorld, broadcast, Payload::copy(bytes), {}}));
  }
  const auto [sent, received] = message(0, 300'000);
  job.run_for(seconds(9));
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NE(job.result(i, calls[i]), nullptr);
  EXPECT_NE(job.result(2, received), nullptr);
  EXPECT_EQ(job[0].pauses, 0u);
  job.expect_no_faults();
}

}  // namespace
}  // namespace banyan::sim
