// Operations that are so long that they go between hosts past the tree: broadcast, reduce, allreduce and allgather.
// What every kind has in common is in collectives_test.cc.
#include <algorithm>
#include <bit>
#include <numeric>

#include <gtest/gtest.h>

#include "node/collective_hosts.hh"
#include "node/collectives_job.hh"

namespace banyan::node {
namespace {

using namespace std::chrono_literals;

// Long enough in any job of the shapes below with three hosts or more.
constexpr std::size_t kLong = 2'000'000;

std::vector<std::uint32_t> numbers(std::uint64_t seed, std::size_t count) {
  return values_of<std::uint32_t>(pattern(seed, 4 * count));
}

FormedShape many_hosts(Random& random) {
  return {.world_size = static_cast<std::uint32_t>(random.between(3, 26)),
          .ranks_per_host = static_cast<std::uint32_t>(random.between(1, 3)),
          .fan_out = static_cast<std::uint32_t>(random.between(2, 8))};
}

// Many operations of all kinds in flight, of lengths around those at which the way changes.
class ManyLongOnes {
 public:
  ManyLongOnes(CollectivesJob& job, Random& random) : job_(job) {
    for (int i = 0; i < 8; ++i) {
      const auto root = static_cast<std::uint32_t>(random.below(job.world_size()));
      plans_.push_back({static_cast<int>(random.below(4)), Rank{root}, 1 + random.below(700'000)});
    }
  }
  void call(Rank rank, std::size_t step) {
    const auto& [what, root, count] = plans_[step];
    const Payload own = pattern(100 * step + raw(rank), 4 * count);
    switch (what) {
      case 0: job_.call(rank, broadcast(root, rank == root ? own : Payload{})); break;
      case 1: job_.call(rank, reduce(root, Reduction::sum, ElementType::uint32, own)); break;
      case 2: job_.call(rank, allreduce(Reduction::sum, ElementType::uint32, own)); break;
      default: job_.call(rank, allgather(own.part(0, own.size() / (1 + raw(rank) % 4)))); break;
    }
  }
  void expect_right(Rank rank, std::size_t step) {
    const auto& [what, root, count] = plans_[step];
    SCOPED_TRACE("step " + std::to_string(step) + " of kind " + std::to_string(what) + " at rank " +
                 std::to_string(raw(rank)));
    if (what == 3) {
      const Parts* parts = job_.result<Parts>(rank, CallId{step});
      ASSERT_NE(parts, nullptr);
      for (std::uint32_t of = 0; of < job_.world_size(); ++of)
        ASSERT_TRUE((*parts)[of] == pattern(100 * step + of, 4 * count).part(0, 4 * count / (1 + of % 4))) << of;
      return;
    }
    const Payload* result = job_.result<Payload>(rank, CallId{step});
    ASSERT_NE(result, nullptr);
    if (what == 0) {
      ASSERT_TRUE(*result == pattern(100 * step + raw(root), 4 * count));
    } else if (what == 1 && rank != root) {
      ASSERT_TRUE(result->empty());
    } else {
      ASSERT_TRUE(values_of<std::uint32_t>(*result) == sums(step, count));
    }
  }
  std::size_t steps() const { return plans_.size(); }

 private:
  struct Plan {
    int what;
    Rank root;
    std::size_t count;
  };
  std::vector<std::uint32_t> sums(std::size_t step, std::size_t count) const {
    std::vector<std::uint32_t> sum(count);
    for (std::uint32_t rank = 0; rank < job_.world_size(); ++rank) {
      const auto own = numbers(100 * step + rank, count);
      for (std::size_t i = 0; i < count; ++i) sum[i] += own[i];
    }
    return sum;
  }

  CollectivesJob& job_;
  std::vector<Plan> plans_;
};

TEST(LongStreams, come_right_in_jobs_of_any_shape_whatever_comes_first) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    CollectivesJob job(many_hosts(random), seed);
    ManyLongOnes operations(job, random);
    for (std::uint32_t rank = 0; rank < job.world_size(); ++rank) {
      for (std::size_t step = 0; step < operations.steps(); ++step) {
        operations.call(Rank{rank}, step);
        job.run(random.below(20));
      }
    }
    job.run();
    for (std::uint32_t rank = 0; rank < job.world_size(); ++rank) {
      for (std::size_t step = 0; step < operations.steps(); ++step) operations.expect_right(Rank{rank}, step);
    }
    EXPECT_EQ(job.operations_kept(), 0u);
    EXPECT_TRUE(job.tree.refusals().empty());
    if (HasFailure()) return;
  }
}

TEST(LongStreams, reductions_of_floats_have_the_same_bits_in_every_run_and_on_all_ranks) {
  std::vector<std::uint32_t> bits;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    CollectivesJob job({.world_size = 14, .ranks_per_host = 2, .fan_out = 7}, 7);
    for (std::uint64_t i = 0; i < seed; ++i) job.tree.random().next();
    for (std::uint32_t rank = 0; rank < 14; ++rank) {
      std::vector<float> values(kLong / 4);
      Random random(rank);
      for (float& value : values)
        value = std::bit_cast<float>(static_cast<std::uint32_t>(random.between(0x3000'0000, 0x4f00'0000)));
      job.call(Rank{rank}, allreduce(Reduction::sum, ElementType::float32, payload_of(std::move(values))));
    }
    job.run();
    for (std::uint32_t rank = 0; rank < 14; ++rank) {
      const Payload* result = job.result<Payload>(Rank{rank}, CallId{0});
      ASSERT_NE(result, nullptr);
      if (bits.empty()) bits = values_of<std::uint32_t>(*result);
      EXPECT_TRUE(values_of<std::uint32_t>(*result) == bits) << "seed " << seed << ", rank " << rank;
    }
  }
}

// Seventeen hosts of one rank each, and a tree in which all others are rank 0's children.
struct Wide {
  CollectivesJob job{{.world_size = 17, .fan_out = 16}, 1};

  void broadcast_all() {
    for (std::uint32_t rank = 0; rank < 17; ++rank)
      job.call(Rank{rank}, broadcast(Rank{0}, rank == 0 ? pattern(1, kLong) : Payload{}));
  }
};

TEST(LongStreams, the_source_hands_out_its_bytes_about_once) {
  Wide wide;
  wide.broadcast_all();
  // What others send each other goes through rank 0 here, where there are no direct links: not of its own accord.
  std::uint64_t own = 0;
  while (wide.job.run(1) > 0) own = std::max(own, wide.job.operations(Rank{0}).messages().outbound_bytes());
  EXPECT_LE(own, 2 * kLong);
  for (std::uint32_t rank = 0; rank < 17; ++rank) ASSERT_NE(wide.job.result<Payload>(Rank{rank}, CallId{0}), nullptr);
}

TEST(LongStreams, a_host_that_lags_behind_costs_those_before_it_a_window_and_no_more) {
  CollectivesJob job({.world_size = 9, .fan_out = 8}, 3);
  for (std::uint32_t rank = 0; rank < 9; ++rank)
    job.call(Rank{rank}, reduce(Rank{0}, Reduction::sum, ElementType::uint32, pattern(rank, 8 * kLong)));
  job.tree.pause(Rank{5}, Rank{0});
  job.run();
  EXPECT_EQ(job.done(Rank{0}, CallId{0}), nullptr);
  for (std::uint32_t rank = 0; rank < 9; ++rank) {
    // Segments of 256 KiB, in windows of eight in each of two trees.
    EXPECT_LE(job.operations(Rank{rank}).messages().outbound_bytes(), 16u * 256 * 1024) << "rank " << rank;
  }
  job.tree.resume(Rank{5}, Rank{0});
  job.run();
  EXPECT_NE(job.result<Payload>(Rank{0}, CallId{0}), nullptr);
}

TEST(LongStreams, a_call_that_timed_out_goes_on_for_the_others) {
  Wide wide;
  CollectivesJob& job = wide.job;
  for (std::uint32_t rank = 0; rank < 17; ++rank) {
    job.call(Rank{rank}, allreduce(Reduction::sum, ElementType::uint32, pattern(rank, kLong)),
             rank == 3 ? Duration(1s) : kForever);
    if (rank == 7) job.run_for(2s);
  }
  job.run();
  ASSERT_NE(job.failure(Rank{3}, CallId{0}), nullptr);
  for (std::uint32_t rank = 0; rank < 17; ++rank) {
    EXPECT_EQ(job.result<Payload>(Rank{rank}, CallId{0}) != nullptr, rank != 3) << rank;
  }
  EXPECT_EQ(job.operations_kept(), 0u);
}

TEST(LongStreams, a_rank_that_closes_stays_until_those_behind_it_have_their_bytes) {
  Wide wide;
  CollectivesJob& job = wide.job;
  wide.broadcast_all();
  const Failure closed{FailureCode::closed, Phase::closing, {}, {}, "closed"};
  std::uint32_t early = 0;
  while (job.run(1) > 0) {
    for (std::uint32_t rank = 1; rank < 17; ++rank) {
      if (job.done(Rank{rank}, CallId{0}) == nullptr || !job.operations(Rank{rank}).owes_bytes()) continue;
      job.operations(Rank{rank}).close(job.now, closed);
      ++early;
    }
  }
  EXPECT_GT(early, 0u);
  for (std::uint32_t rank = 0; rank < 17; ++rank) {
    const Payload* result = job.result<Payload>(Rank{rank}, CallId{0});
    ASSERT_NE(result, nullptr) << rank;
    EXPECT_TRUE(*result == pattern(1, kLong));
    EXPECT_FALSE(job.operations(Rank{rank}).owes_bytes());
  }
}

TEST(LongStreams, reductions_end_when_a_rank_of_the_apex_s_host_comes_last) {
  CollectivesJob job({.world_size = 12, .ranks_per_host = 2, .fan_out = 5}, 3);
  const Rank apex{0};
  const Neighbour& local = job.tree.topology(apex).children().front();
  ASSERT_FALSE(local.leads());
  for (std::uint32_t rank = 0; rank < 12; ++rank) {
    job.call(Rank{rank}, reduce(apex, Reduction::sum, ElementType::uint32, pattern(rank, kLong)));
    job.call(Rank{rank}, allreduce(Reduction::sum, ElementType::uint32, pattern(rank, kLong)));
  }
  while (job.tree.queued_bytes(local.rank, apex) < kChunkBytes && job.run(1) > 0) continue;
  job.tree.pause(local.rank, apex);
  job.run();
  EXPECT_EQ(job.done(apex, CallId{0}), nullptr);
  job.tree.resume(local.rank, apex);
  job.run();
  for (const CallId id : {CallId{0}, CallId{1}}) EXPECT_NE(job.result<Payload>(apex, id), nullptr);
}

void leave(CollectivesJob& job, Rank leaver) {
  const Rank above = job.tree.topology(leaver).parent().rank;
  const LinkId link = job.tree.link(above, leaver);
  job.tree.topology(above).remove_child(link);
  job.at(above).on_child_left(link);
  job.operations(above).messages().on_child_left(link);
  job.operations(above).settle(job.now);
}

TEST(LongStreams, a_leader_that_had_called_and_left_before_all_had_is_named) {
  for (const std::uint32_t missing : {0u, 2u}) {
    CollectivesJob job({.world_size = 3, .fan_out = 2}, 1);
    for (std::uint32_t rank = 0; rank < 3; ++rank) {
      if (rank != missing) job.call(Rank{rank}, broadcast(Rank{0}, rank == 0 ? pattern(1, kLong) : Payload{}));
    }
    job.run();
    leave(job, Rank{1});
    job.call(Rank{missing}, broadcast(Rank{0}, missing == 0 ? pattern(1, kLong) : Payload{}));
    job.run_for(3s);
    const Failure* failure = job.failure(Rank{2}, CallId{0});
    ASSERT_NE(failure, nullptr);
    EXPECT_EQ(failure->code, FailureCode::rank_left);
    EXPECT_EQ(failure->ranks, RankSet::single(Rank{1})) << failure->text;
    for (const std::uint32_t rank : {0u, 2u}) EXPECT_EQ(job.at(Rank{rank}).operations_kept(), 0u);
  }
}

TEST(LongStreams, a_leader_that_closes_after_its_call_and_stays_for_those_below_it_does_its_part) {
  CollectivesJob job({.world_size = 7, .fan_out = 2}, 1);
  Rank relay{};
  for (std::uint32_t rank = 1; rank < 7; ++rank) {
    if (!job.tree.topology(Rank{rank}).children().empty()) relay = Rank{rank};
  }
  for (std::uint32_t rank = 1; rank < 7; ++rank) job.call(Rank{rank}, broadcast(Rank{0}));
  job.run();
  job.operations(relay).close(job.now, {FailureCode::closed, Phase::closing, {}, {}, "closed"});
  job.call(Rank{0}, broadcast(Rank{0}, pattern(1, kLong)));
  job.run_for(3s);
  for (std::uint32_t rank = 0; rank < 7; ++rank) EXPECT_NE(job.result<Payload>(Rank{rank}, CallId{0}), nullptr) << rank;
}

// A message that stands in front of those that the first operation sends in this channel.
void give_first(CollectivesJob& job, Rank from, Rank to, StreamChannel channel, Payload bytes) {
  const wire::Tag tag{static_cast<std::uint32_t>(channel) - 1, wire::Space::stream, kWorld};
  job.operations(from).messages().send(job.now, CallId{1000 + raw(to) * 10 + static_cast<std::uint64_t>(channel)},
                                       Send{to, tag, std::move(bytes)}, kNever);
}

// From rank 1 to all others.
void give_all_first(CollectivesJob& job, std::initializer_list<StreamChannel> channels) {
  for (std::uint32_t to = 0; to < job.world_size(); ++to) {
    for (const StreamChannel channel : channels) {
      if (to != 1) give_first(job, Rank{1}, Rank{to}, channel, pattern(1, 20'000));
    }
  }
}

RankSet all_but_rank_1(const CollectivesJob& job) {
  RankSet ranks = RankSet::all(job.world_size());
  ranks.erase(Rank{1});
  return ranks;
}

// The calls of these ranks fail, and say that rank 1 gave what does not belong there.
void expect_named(CollectivesJob& job, const RankSet& informed) {
  job.run_for(3s);
  for (std::uint32_t rank = 0; rank < job.world_size(); ++rank) {
    if (!informed.contains(Rank{rank})) continue;
    const Failure* failure = job.failure(Rank{rank}, CallId{0});
    ASSERT_NE(failure, nullptr) << rank;
    EXPECT_EQ(failure->code, FailureCode::mismatch);
    EXPECT_EQ(failure->ranks, RankSet::single(Rank{1})) << failure->text;
    EXPECT_NE(failure->text.find("rank 1 gave 20000 bytes"), std::string::npos) << failure->text;
  }
}

TEST(LongStreams, a_segment_of_the_wrong_size_goes_no_further_and_its_sender_is_named) {
  CollectivesJob job({.world_size = 6, .fan_out = 5}, 1);
  give_all_first(job, {StreamChannel::down_even, StreamChannel::down_odd});
  for (std::uint32_t rank = 0; rank < 6; ++rank)
    job.call(Rank{rank}, broadcast(Rank{1}, rank == 1 ? pattern(1, kLong) : Payload{}));
  expect_named(job, all_but_rank_1(job));
}

TEST(LongStreams, a_part_of_a_reduction_of_the_wrong_size_is_not_combined_and_its_sender_is_named) {
  CollectivesJob job({.world_size = 6, .fan_out = 5}, 1);
  give_all_first(job, {StreamChannel::up_even, StreamChannel::up_odd});
  for (std::uint32_t rank = 0; rank < 6; ++rank)
    job.call(Rank{rank}, reduce(Rank{0}, Reduction::sum, ElementType::uint32, pattern(rank, kLong)));
  expect_named(job, RankSet::single(Rank{0}));
}

TEST(LongStreams, a_block_of_the_ring_with_what_nobody_gave_goes_no_further_and_its_sender_is_named) {
  CollectivesJob job({.world_size = 6, .fan_out = 5}, 1);
  give_all_first(job, {StreamChannel::down_even});
  for (std::uint32_t rank = 0; rank < 6; ++rank) job.call(Rank{rank}, allgather(pattern(rank, kLong)));
  expect_named(job, all_but_rank_1(job));
}

TEST(LongStreams, go_over_the_tree_where_that_is_cheaper) {
  using enum CollectiveKind;
  for (const CollectiveKind kind : {broadcast, reduce, allreduce, allgather}) {
    EXPECT_FALSE(goes_between_hosts(kind, kMaxMessageBytes, 1, 16)) << "one host";
    EXPECT_FALSE(goes_between_hosts(kind, 65'537, 1000, 16)) << "few bytes";
    EXPECT_TRUE(goes_between_hosts(kind, 64 * 1024 * 1024, 1000, 16));
  }
  EXPECT_FALSE(goes_between_hosts(broadcast, kMaxMessageBytes, 2, 16)) << "there is but one way between two hosts";
  EXPECT_FALSE(goes_between_hosts(allreduce, kMaxMessageBytes, 9, 2))
      << "no inner node has more to do than a leader in both trees";
}

}  // namespace
}  // namespace banyan::node
