// Operations that exchange bytes between pairs: alltoall, reduce_scatter and the scans. What every kind has in common
// is in collectives_test.cc.
#include <algorithm>
#include <bit>
#include <numeric>

#include <gtest/gtest.h>

#include "node/collectives_job.hh"

namespace banyan::node {
namespace {

using namespace std::chrono_literals;

// Of very different sizes, so that every other order or bracketing gives other bits.
std::vector<float> some_floats(std::uint64_t seed, std::size_t count) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& value : values)
    value = std::bit_cast<float>(static_cast<std::uint32_t>(random.between(0x3000'0000, 0x4f00'0000)));
  return values;
}

std::vector<float> sum(std::vector<float> lower, const std::vector<float>& higher) {
  for (std::size_t i = 0; i < lower.size(); ++i) lower[i] += higher[i];
  return lower;
}

std::vector<std::uint32_t> bits(const Payload& payload) { return values_of<std::uint32_t>(payload); }
std::vector<std::uint32_t> bits(const std::vector<float>& values) { return bits(payload_of(std::vector(values))); }

// Of the ranks first .. last, as collective_scan.hh says that they are bracketed: in each round the ranks that have
// come together so far, of which there are a power of two unless rank 0 is among them, stand behind as many others.
std::vector<float> scanned(const std::vector<std::vector<float>>& of_rank, std::int64_t last, std::int64_t ranks) {
  if (ranks == 1) return of_rank[static_cast<std::size_t>(last)];
  const std::int64_t half = ranks / 2;
  const auto higher = scanned(of_rank, last, half);
  return last - half < 0 ? higher : sum(scanned(of_rank, last - half, half), higher);
}
// The same without the last one: what each round brings stands before what the rounds before it brought.
std::vector<float> scanned_before(const std::vector<std::vector<float>>& of_rank, std::int64_t last) {
  std::vector<float> all;
  for (std::int64_t distance = 1; distance <= last; distance *= 2) {
    const auto more = scanned(of_rank, last - distance, distance);
    all = all.empty() ? more : sum(more, all);
  }
  return all;
}

TEST(Scans, floats_have_the_bits_of_the_documented_order_whatever_comes_first) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    const auto world_size = static_cast<std::uint32_t>(random.between(1, 35));
    CollectivesJob job({.world_size = world_size, .ranks_per_host = 3, .fan_out = 2}, seed);
    std::vector<std::vector<float>> of_rank;
    for (std::uint32_t rank = 0; rank < world_size; ++rank)
      of_rank.push_back(some_floats(rank, random.between(50, 50)));
    for (const auto kind : {CollectiveKind::scan, CollectiveKind::exclusive_scan}) {
      for (std::uint32_t rank = 0; rank < world_size; ++rank) {
        const Payload vector = payload_of(std::vector(of_rank[rank]));
        job.call(Rank{rank}, scan(kind, Reduction::sum, ElementType::float32, vector));
      }
    }
    job.run();
    for (std::uint32_t rank = 0; rank < world_size; ++rank) {
      const Payload* inclusive = job.result<Payload>(Rank{rank}, CallId{0});
      const Payload* exclusive = job.result<Payload>(Rank{rank}, CallId{1});
      ASSERT_TRUE(inclusive != nullptr && exclusive != nullptr);
      const auto all = std::bit_ceil(std::uint64_t{rank} + 1);
      EXPECT_EQ(bits(*inclusive), bits(scanned(of_rank, rank, static_cast<std::int64_t>(all)))) << "rank " << rank;
      EXPECT_EQ(bits(*exclusive), bits(scanned_before(of_rank, rank))) << "rank " << rank;
    }
    if (HasFailure()) return;
  }
}

TEST(Scans, of_two_equals_the_one_of_the_lower_rank_counts) {
  const std::uint32_t ranks = 13;
  CollectivesJob job({.world_size = ranks, .ranks_per_host = 3, .fan_out = 2}, 2);
  // Equal, but not the same: where any two ranks change places, the bits do.
  const auto zeros = [](std::uint32_t rank) {
    return rank == 0 ? std::vector<float>{-0.0f, 0.0f} : std::vector<float>{0.0f, -0.0f};
  };
  for (const auto kind : {CollectiveKind::scan, CollectiveKind::exclusive_scan}) {
    for (std::uint32_t rank = 0; rank < ranks; ++rank)
      job.call(Rank{rank}, scan(kind, Reduction::max, ElementType::float32, payload_of(zeros(rank))));
  }
  job.run();
  for (std::uint32_t rank = 0; rank < ranks; ++rank) {
    for (const CallId id : {CallId{0}, CallId{1}}) {
      const Payload* result = job.result<Payload>(Rank{rank}, id);
      ASSERT_NE(result, nullptr);
      if (rank == 0 && id == CallId{1}) continue;  // nothing
      EXPECT_EQ(bits(*result), bits(zeros(0))) << "rank " << rank;
    }
  }
}

TEST(Scans, each_rank_sends_as_many_messages_as_there_are_rounds) {
  CollectivesJob job({.world_size = 16, .ranks_per_host = 16}, 1);
  job.call_all(scan(CollectiveKind::scan, Reduction::sum, ElementType::uint8, pattern(1, 100)));
  std::size_t messages = 0;
  job.tree.run([&](Rank to, LinkId from, const wire::Frame& frame) {
    if (frame.kind == wire::Kind::data && to == kRootRank) ++messages;
    return job.deliver(to, from, frame);
  });
  // 15 + 14 + 12 + 8, of which 4 start at the leader.
  EXPECT_EQ(messages, 45u);
}

TEST(ReduceScatter, long_blocks_of_floats_are_combined_in_the_order_of_ranks_whatever_comes_first) {
  const std::uint32_t ranks = 11;
  std::vector<std::uint64_t> counts(ranks, 1500);
  counts[0] = 0;
  counts[4] = 1;
  counts[10] = 5000;
  const std::uint64_t count = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  std::vector<float> all = some_floats(0, count);
  for (std::uint32_t rank = 1; rank < ranks; ++rank) all = sum(std::move(all), some_floats(rank, count));
  for (std::uint64_t order = 0; order < 6; ++order) {
    CollectivesJob job({.world_size = ranks, .ranks_per_host = 3, .fan_out = 2}, order);
    for (std::uint32_t rank = 0; rank < ranks; ++rank) {
      const Payload vector = payload_of(some_floats(rank, count));
      job.call(Rank{rank}, reduce_scatter(Reduction::sum, ElementType::float32, vector, counts));
    }
    job.run();
    std::uint64_t begin = 0;
    for (std::uint32_t rank = 0; rank < ranks; ++rank) {
      const Payload* block = job.result<Payload>(Rank{rank}, CallId{0});
      ASSERT_NE(block, nullptr);
      const Payload expected = payload_of(std::vector(all)).part(begin * 4, counts[rank] * 4);
      EXPECT_EQ(bits(*block), bits(expected)) << "rank " << rank << " order " << order;
      begin += counts[rank];
    }
  }
}

TEST(ReduceScatter, short_vectors_go_over_the_tree_and_have_the_bits_of_an_allreduce) {
  const std::uint32_t ranks = 12;
  CollectivesJob job({.world_size = ranks, .ranks_per_host = 3, .fan_out = 2}, 3);
  for (std::uint32_t rank = 0; rank < ranks; ++rank) {
    const Payload vector = payload_of(some_floats(rank, 100 * ranks));
    job.call(Rank{rank}, reduce_scatter(Reduction::sum, ElementType::float32, vector));
    job.call(Rank{rank}, allreduce(Reduction::sum, ElementType::float32, vector));
  }
  std::size_t messages = 0;
  job.tree.run([&](Rank to, LinkId from, const wire::Frame& frame) {
    if (frame.kind != wire::Kind::collective) ++messages;
    return job.deliver(to, from, frame);
  });
  EXPECT_EQ(messages, 0u);
  for (std::uint32_t rank = 0; rank < ranks; ++rank) {
    const Payload* block = job.result<Payload>(Rank{rank}, CallId{0});
    const Payload* whole = job.result<Payload>(Rank{rank}, CallId{1});
    ASSERT_TRUE(block != nullptr && whole != nullptr);
    EXPECT_EQ(bits(*block), bits(whole->part(rank * 400, 400)));
  }
}

// --- alltoall ------------------------------------------------------------------------------------------------------

std::vector<Payload> parts_of_rank(std::uint32_t rank, std::uint32_t ranks, std::size_t bytes) {
  std::vector<Payload> parts;
  for (std::uint32_t to = 0; to < ranks; ++to) parts.push_back(pattern(rank * 1000 + to, bytes));
  return parts;
}

void call_alltoall(CollectivesJob& job, std::size_t bytes, const RankSet& except = {}) {
  for (std::uint32_t rank = 0; rank < job.world_size(); ++rank) {
    if (!except.contains(Rank{rank})) job.call(Rank{rank}, alltoall(parts_of_rank(rank, job.world_size(), bytes)));
  }
}

// Frame by frame, until all are delivered at the latest.
template <typename Done>
void run_until(CollectivesJob& job, Done done) {
  while (!done() && job.run(1) > 0) continue;
}

bool has_all_parts(CollectivesJob& job, Rank rank, CallId id, std::size_t bytes) {
  const auto* parts = job.result<Parts>(rank, id);
  if (parts == nullptr || parts->size() != job.world_size()) return false;
  for (std::uint32_t from = 0; from < job.world_size(); ++from) {
    if ((*parts)[from] != pattern(from * 1000 + raw(rank), bytes)) return false;
  }
  return true;
}

TEST(Alltoall, nothing_is_exchanged_before_all_have_called) {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{50'000}}) {
    CollectivesJob job({.world_size = 9, .ranks_per_host = 2, .fan_out = 2}, 1);
    call_alltoall(job, bytes, RankSet::single(Rank{6}));
    job.tree.run([&](Rank to, LinkId from, const wire::Frame& frame) {
      EXPECT_EQ(frame.kind, wire::Kind::collective);
      return job.deliver(to, from, frame);
    });
    job.call(Rank{6}, alltoall(parts_of_rank(6, 9, bytes)));
    job.run();
    for (std::uint32_t rank = 0; rank < 9; ++rank) EXPECT_TRUE(has_all_parts(job, Rank{rank}, CallId{0}, bytes));
    EXPECT_EQ(job.operations_kept(), 0u);
  }
}

TEST(Alltoall, a_peer_that_takes_nothing_holds_up_no_others_parts) {
  // One host: whatever rank 5 is sent or sends, its leader alone passes it on.
  const std::uint32_t ranks = 20;
  constexpr std::size_t kBytes = 20'000;
  CollectivesJob job({.world_size = ranks, .ranks_per_host = ranks}, 1);
  call_alltoall(job, kBytes);
  run_until(job, [&] { return job.tree.queued_bytes(Rank{0}, Rank{5}) > 0; });
  job.tree.pause(Rank{0}, Rank{5});
  job.run();
  for (std::uint32_t rank = 1; rank < ranks; ++rank) {
    if (rank == 5) continue;
    EXPECT_GE(job.tree.bytes_sent(Rank{rank}), (ranks - 2) * kBytes) << "rank " << rank << " has sent to all but one";
    EXPECT_EQ(job.done(Rank{rank}, CallId{0}), nullptr);
  }
  job.tree.resume(Rank{0}, Rank{5});
  job.run();
  for (std::uint32_t rank = 0; rank < ranks; ++rank) EXPECT_TRUE(has_all_parts(job, Rank{rank}, CallId{0}, kBytes));
}

TEST(Alltoall, only_a_few_steps_are_under_way_at_a_time) {
  const std::uint32_t ranks = 40;
  CollectivesJob job({.world_size = ranks, .ranks_per_host = ranks}, 1);
  // Longer than what is sent unasked: each is announced in one frame and waits for its grant.
  call_alltoall(job, 20'000);
  std::vector<std::size_t> announced(ranks, 0);
  std::vector<std::size_t> most(ranks, 0);
  job.tree.run([&](Rank to, LinkId from, const wire::Frame& frame) {
    if (frame.kind == wire::Kind::data && to == kRootRank) {
      const auto data = wire::decode_with_tail<wire::Data>(frame.body);
      const std::uint32_t source = raw(data->message.ends.source);
      if (data->tail.empty()) most[source] = std::max(most[source], ++announced[source]);
    } else if (frame.kind == wire::Kind::accept && to != kRootRank) {
      --announced[raw(to)];
    }
    return job.deliver(to, from, frame);
  });
  EXPECT_EQ(*std::ranges::max_element(most), 8u);
  for (std::uint32_t rank = 0; rank < ranks; ++rank) EXPECT_TRUE(has_all_parts(job, Rank{rank}, CallId{0}, 20'000));
}

TEST(Alltoall, very_many_of_them_with_scans_among_them_don_t_wait_for_each_other_in_a_circle) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const std::uint32_t ranks = 23;
    CollectivesJob job({.world_size = ranks, .ranks_per_host = 4, .fan_out = 3}, seed);
    constexpr std::uint64_t kCalls = 40;
    for (std::uint64_t i = 0; i < kCalls; i += 2) {
      call_alltoall(job, 17'000);
      job.call_all(scan(CollectiveKind::scan, Reduction::sum, ElementType::uint8, pattern(1, 17'000)));
    }
    job.run();
    for (std::uint32_t rank = 0; rank < ranks; ++rank) {
      ASSERT_EQ(job.tree.completions(Rank{rank}).size(), kCalls);
      EXPECT_TRUE(has_all_parts(job, Rank{rank}, CallId{kCalls - 2}, 17'000));
    }
    EXPECT_EQ(job.operations_kept(), 0u);
  }
}

// --- what goes wrong -----------------------------------------------------------------------------------------------

TEST(ExchangeFailures, a_call_that_timed_out_goes_on_for_the_others_and_its_late_result_is_dropped) {
  CollectivesJob job({.world_size = 5, .ranks_per_host = 1, .fan_out = 2}, 3);
  constexpr std::size_t kBytes = 30'000;
  for (std::uint32_t rank = 0; rank < 4; ++rank)
    job.call(Rank{rank}, alltoall(parts_of_rank(rank, 5, kBytes)), rank == 2 ? 1s : 60s);
  job.run_for(2s);
  ASSERT_NE(job.failure(Rank{2}, CallId{0}), nullptr);
  EXPECT_EQ(job.failure(Rank{2}, CallId{0})->text, "alltoall() #0 timed out after 1 s; missing 1 of 5: 4");
  job.call(Rank{4}, alltoall(parts_of_rank(4, 5, kBytes)));
  call_alltoall(job, 10);
  job.run();
  for (std::uint32_t rank = 0; rank < 5; ++rank) {
    EXPECT_EQ(has_all_parts(job, Rank{rank}, CallId{0}, kBytes), rank != 2);
    EXPECT_TRUE(has_all_parts(job, Rank{rank}, CallId{1}, 10));
  }
  EXPECT_EQ(job.tree.completions(Rank{2}).size(), 2u);
  EXPECT_EQ(job.operations_kept(), 0u);
}

TEST(ExchangeFailures, bytes_that_are_stuck_are_told_from_ranks_that_have_not_called) {
  CollectivesJob job({.world_size = 3, .ranks_per_host = 3}, 3);
  for (std::uint32_t rank = 0; rank < 3; ++rank) job.call(Rank{rank}, alltoall(parts_of_rank(rank, 3, 50'000)), 5s);
  run_until(job, [&] { return job.tree.queued_bytes(Rank{1}, Rank{0}) >= 50'000; });
  job.tree.pause(Rank{1}, Rank{0});
  job.run_for(6s);
  const Failure* failure = job.failure(Rank{2}, CallId{0});
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->text,
            "alltoall() #0 timed out after 5 s; all ranks have called it, but its bytes did not come in time");
}

const Failure kClosed{FailureCode::closed, Phase::closing, {}, {}, "this rank was closed while the call ran"};

class ARankThatCloses : public testing::Test {
 protected:
  // Rank 2's messages reach nobody from the moment when it has all parts of the others.
  ARankThatCloses() : job({.world_size = 4, .ranks_per_host = 4}, 5) {
    call_alltoall(job, kBytes);
    run_until(job, [&] { return job.tree.queued_bytes(leaver, Rank{0}) >= kBytes; });
    job.tree.pause(leaver, Rank{0});
    // What the others need of it to send on: grants overtake its bytes.
    for (int i = 0; i < 200 && job.done(leaver, CallId{0}) == nullptr; ++i) {
      job.tree.resume(leaver, Rank{0});
      if (job.tree.queued_bytes(leaver, Rank{0}) > 0) job.run(1);
      job.tree.pause(leaver, Rank{0});
      job.run();
    }
  }
  void expect_parts_everywhere() {
    for (std::uint32_t rank = 0; rank < 4; ++rank) EXPECT_TRUE(has_all_parts(job, Rank{rank}, CallId{0}, kBytes));
  }

  static constexpr std::size_t kBytes = 200'000;
  const Rank leaver{2};
  CollectivesJob job;
};

TEST_F(ARankThatCloses, right_after_its_call_returned_owes_its_bytes_until_the_slow_others_have_them) {
  ASSERT_TRUE(has_all_parts(job, leaver, CallId{0}, kBytes));
  ASSERT_EQ(job.done(Rank{1}, CallId{0}), nullptr);
  job.operations(leaver).close(job.now, kClosed);
  job.run();
  EXPECT_TRUE(job.operations(leaver).owes_bytes());
  job.tree.resume(leaver, Rank{0});
  job.run();
  expect_parts_everywhere();
  EXPECT_FALSE(job.operations(leaver).owes_bytes());
  EXPECT_EQ(job.operations_kept(), 0u);
}

TEST_F(ARankThatCloses, and_leaves_for_lack_of_patience_is_named_by_all_that_lack_its_bytes) {
  job.operations(leaver).close(job.now, kClosed);
  job.at(leaver).give_up_owed();
  job.operations(leaver).fail_all(job.now, kClosed);
  job.tree.resume(leaver, Rank{0});
  job.run();
  for (const std::uint32_t rank : {0u, 1u, 3u}) {
    const Failure* failure = job.failure(Rank{rank}, CallId{0});
    ASSERT_NE(failure, nullptr) << "rank " << rank;
    EXPECT_EQ(failure->code, FailureCode::rank_left);
    EXPECT_EQ(failure->ranks, RankSet::single(leaver));
    EXPECT_NE(failure->text.find("alltoall()"), std::string::npos) << failure->text;
  }
  // All later ones fail too, by its name.
  const CallId later = job.call(Rank{1}, barrier());
  ASSERT_NE(job.failure(Rank{1}, later), nullptr);
  EXPECT_EQ(job.failure(Rank{1}, later)->ranks, RankSet::single(leaver));
  EXPECT_EQ(job.operations_kept(), 0u);
}

TEST(ExchangeFailures, a_rank_that_closes_with_its_call_under_way_stays_until_the_others_have_its_bytes) {
  CollectivesJob job({.world_size = 6, .ranks_per_host = 2, .fan_out = 2}, 5);
  call_alltoall(job, 5'000, RankSet::single(Rank{1}));
  job.run();
  const Rank leaver{3};
  job.operations(leaver).close(job.now, kClosed);
  EXPECT_TRUE(job.operations(leaver).owes_bytes());
  job.call(Rank{1}, alltoall(parts_of_rank(1, 6, 5'000)));
  job.run();
  for (std::uint32_t rank = 0; rank < 6; ++rank) EXPECT_TRUE(has_all_parts(job, Rank{rank}, CallId{0}, 5'000));
  EXPECT_FALSE(job.operations(leaver).owes_bytes());
}

}  // namespace
}  // namespace banyan::node
