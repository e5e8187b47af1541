#include "node/collectives.hh"

#include <bit>
#include <numeric>

#include <gtest/gtest.h>

#include "node/collective_algorithm.hh"
#include "node/collectives_job.hh"

namespace banyan::node {
namespace {

std::vector<Payload> parts_of(const Parts& parts) {
  std::vector<Payload> all;
  for (std::size_t i = 0; i < parts.size(); ++i) all.push_back(parts[i]);
  return all;
}

// A random program of collective calls, the same for all ranks, and what each of them must yield.
class Program {
 public:
  Program(std::uint64_t seed, std::uint32_t world_size, std::size_t length, bool large)
      : seed_(seed), world_size_(world_size), large_(large), length_(length) {}

  std::size_t length() const { return length_; }

  Collective call(std::size_t step, Rank rank) const {
    const Plan plan = plan_of(step);
    switch (plan.kind) {
      case CollectiveKind::barrier: return barrier();
      case CollectiveKind::broadcast: return broadcast(plan.root, rank == plan.root ? bytes(step, 0) : Payload{});
      case CollectiveKind::allgather: return allgather(bytes(step, raw(rank)));
      case CollectiveKind::gather: return gather(plan.root, bytes(step, raw(rank)));
      case CollectiveKind::scatter:
        return scatter(plan.root, rank == plan.root ? all_bytes(step) : std::vector<Payload>{});
      case CollectiveKind::reduce:
        return reduce(plan.root, plan.reduction, ElementType::uint32, vector(step, raw(rank)));
      case CollectiveKind::allreduce: return allreduce(plan.reduction, ElementType::uint32, vector(step, raw(rank)));
      case CollectiveKind::split: break;  // subcommunicators_test.cc
      case CollectiveKind::alltoall: {
        std::vector<Payload> parts;
        for (std::uint32_t to = 0; to < world_size_; ++to) parts.push_back(part(step, raw(rank), to));
        return alltoall(std::move(parts));
      }
      case CollectiveKind::reduce_scatter:
        return reduce_scatter(plan.reduction, ElementType::uint32, vector(step, raw(rank)), plan.counts);
      case CollectiveKind::scan:
      case CollectiveKind::exclusive_scan:
        return scan(plan.kind, plan.reduction, ElementType::uint32, vector(step, raw(rank)));
    }
    return {};
  }

  bool fits(std::size_t step, Rank rank, const Completion& completion) const {
    const Plan plan = plan_of(step);
    const auto* payload = std::get_if<Payload>(&completion.result);
    const auto* parts = std::get_if<Parts>(&completion.result);
    switch (plan.kind) {
      case CollectiveKind::barrier: return payload && payload->empty();
      case CollectiveKind::broadcast: return payload && *payload == bytes(step, 0);
      case CollectiveKind::allgather: return parts && parts_of(*parts) == all_bytes(step);
      case CollectiveKind::gather:
        return parts && parts_of(*parts) == (rank == plan.root ? all_bytes(step) : std::vector<Payload>{});
      case CollectiveKind::scatter: return payload && *payload == bytes(step, raw(rank));
      case CollectiveKind::reduce: return payload && *payload == (rank == plan.root ? reduced(step) : Payload{});
      case CollectiveKind::allreduce: return payload && *payload == reduced(step);
      case CollectiveKind::split: break;
      case CollectiveKind::alltoall: {
        std::vector<Payload> expected;
        for (std::uint32_t from = 0; from < world_size_; ++from) expected.push_back(part(step, from, raw(rank)));
        return parts && parts_of(*parts) == expected;
      }
      case CollectiveKind::reduce_scatter: return payload && *payload == own_block(step, rank);
      case CollectiveKind::scan: return payload && *payload == reduced(step, raw(rank) + 1);
      case CollectiveKind::exclusive_scan:
        return payload && *payload == (rank == kRootRank ? Payload{} : reduced(step, raw(rank)));
    }
    return false;
  }

 private:
  struct Plan {
    CollectiveKind kind;
    Rank root;
    Reduction reduction;
    std::size_t elements;
    std::vector<std::uint64_t> counts;  // reduce_scatter, sometimes
  };

  Plan plan_of(std::size_t step) const {
    Random random(seed_ * 1000 + step);
    const auto kind = static_cast<CollectiveKind>(random.between(1, 11));
    const Rank root{static_cast<std::uint32_t>(random.below(world_size_))};
    const auto reduction = static_cast<Reduction>(random.between(1, 7));
    Plan plan{kind, root, reduction, size(random) / sizeof(std::uint32_t), {}};
    if (kind == CollectiveKind::reduce_scatter && random.below(2) == 0) {
      plan.counts = random_counts(random, plan.elements);
    } else if (kind == CollectiveKind::reduce_scatter) {
      plan.elements -= plan.elements % world_size_;
    }
    return plan;
  }
  std::vector<std::uint64_t> random_counts(Random& random, std::uint64_t elements) const {
    std::vector<std::uint64_t> counts(world_size_, 0);
    for (std::uint64_t left = elements; left > 0;) {
      const std::uint64_t some = random.between(1, left);
      counts[random.below(world_size_)] += some;
      left -= some;
    }
    return counts;
  }
  // Mostly small, zero among them; sometimes just around the limits, or far above.
  std::size_t size(Random& random) const {
    const std::uint64_t choice = random.below(20);
    if (choice < 4) return 0;
    if (choice < 14) return random.below(300);
    if (choice < 17) return random.below(5000);
    if (choice == 17) return kChunkBytes - 4 + random.below(9);
    if (!large_) return random.below(40'000);
    return choice == 18 ? kEagerCollectiveBytes - 4 + random.below(9) : 100'000 + random.below(400'000);
  }
  Payload bytes(std::size_t step, std::uint32_t rank) const {
    Random random(seed_ * 7'000'003 + step * 5003 + rank);
    const std::size_t count = size(random);
    return pattern(random.next(), count);
  }
  std::vector<Payload> all_bytes(std::size_t step) const {
    std::vector<Payload> all;
    for (std::uint32_t rank = 0; rank < world_size_; ++rank) all.push_back(bytes(step, rank));
    return all;
  }
  Payload vector(std::size_t step, std::uint32_t rank) const {
    return pattern(seed_ + step * 5003 + rank, plan_of(step).elements * sizeof(std::uint32_t));
  }
  // What `from` has for `to` in an alltoall.
  Payload part(std::size_t step, std::uint32_t from, std::uint32_t to) const {
    return bytes(step, (from + 1) * world_size_ + to);
  }
  Payload own_block(std::size_t step, Rank rank) const {
    const Plan plan = plan_of(step);
    std::vector<std::uint64_t> counts = plan.counts;
    if (counts.empty()) counts.assign(world_size_, plan.elements / world_size_);
    const auto own = counts.begin() + static_cast<std::ptrdiff_t>(raw(rank));
    const std::uint64_t begin = std::accumulate(counts.begin(), own, std::uint64_t{0});
    return reduced(step).part(begin * sizeof(std::uint32_t), *own * sizeof(std::uint32_t));
  }
  Payload reduced(std::size_t step) const { return reduced(step, world_size_); }
  // Of so many ranks, from 0 on.
  Payload reduced(std::size_t step, std::uint32_t ranks) const {
    const Plan plan = plan_of(step);
    auto all = values_of<std::uint32_t>(vector(step, 0));
    for (std::uint32_t rank = 1; rank < ranks; ++rank) {
      const auto one = values_of<std::uint32_t>(vector(step, rank));
      for (std::size_t i = 0; i < all.size(); ++i) all[i] = combined(plan.reduction, all[i], one[i]);
    }
    return payload_of(std::move(all));
  }
  static std::uint32_t combined(Reduction reduction, std::uint32_t a, std::uint32_t b) {
    switch (reduction) {
      case Reduction::sum: return a + b;
      case Reduction::min: return std::min(a, b);
      case Reduction::max: return std::max(a, b);
      case Reduction::product: return a * b;
      case Reduction::bit_and: return a & b;
      case Reduction::bit_or: return a | b;
      case Reduction::bit_xor: return a ^ b;
      case Reduction::none: break;
    }
    return 0;
  }

  std::uint64_t seed_;
  std::uint32_t world_size_;
  bool large_;
  std::size_t length_;
};

FormedShape random_shape(Random& random, std::uint32_t most_ranks) {
  return {.world_size = static_cast<std::uint32_t>(random.between(1, most_ranks)),
          .ranks_per_host = static_cast<std::uint32_t>(random.between(1, 8)),
          .fan_out = static_cast<std::uint32_t>(random.between(2, 5)),
          .root_leads = random.below(2) == 0};
}

// Every rank makes its calls in order but at its own pace, while frames are delivered in any order.
void run_program(CollectivesJob& job, const Program& program, Random& random) {
  std::vector<std::uint32_t> active(job.world_size());
  std::iota(active.begin(), active.end(), 0);
  while (!active.empty()) {
    const std::size_t pick = random.below(active.size());
    const Rank rank{active[pick]};
    const std::size_t burst = random.below(4) == 0 ? 100 : random.between(1, 3);
    for (std::size_t i = 0; i < burst && job.calls(rank) < program.length(); ++i) {
      job.call(rank, program.call(job.calls(rank), rank));
    }
    if (job.calls(rank) == program.length()) active.erase(active.begin() + static_cast<std::ptrdiff_t>(pick));
    job.run(random.below(8));
  }
  job.run();
}

void expect_all_done(CollectivesJob& job, const Program& program, std::size_t length) {
  EXPECT_TRUE(job.tree.refusals().empty());
  EXPECT_EQ(job.operations_kept(), 0u);
  EXPECT_EQ(job.next_deadline(), kNever);
  for (std::uint32_t i = 0; i < job.world_size(); ++i) {
    const auto& completions = job.tree.completions(Rank{i});
    ASSERT_EQ(completions.size(), length) << "rank " << i;
    for (const Completion& completion : completions) {
      const std::size_t step = raw(completion.id);
      ASSERT_TRUE(program.fits(step, Rank{i}, completion))
          << "rank " << i << " step " << step << " " << program.call(step, Rank{i}).call.to_string();
    }
  }
}

TEST(Collectives, every_rank_gets_the_right_result_of_every_operation_in_any_tree_and_order) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    const FormedShape shape = random_shape(random, 40);
    CollectivesJob job(shape, seed);
    const Program program(seed, shape.world_size, 12, false);
    run_program(job, program, random);
    expect_all_done(job, program, program.length());
    if (HasFailure()) return;
  }
}

TEST(Collectives, large_payloads_arrive_whole_among_small_ones) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed + 1'000'000);
    const FormedShape shape = random_shape(random, 14);
    CollectivesJob job(shape, seed);
    const Program program(seed + 500, shape.world_size, 10, true);
    run_program(job, program, random);
    expect_all_done(job, program, program.length());
    if (HasFailure()) return;
  }
}

TEST(Collectives, hundreds_of_operations_may_be_in_flight_from_every_rank) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed + 2'000'000);
    const FormedShape shape = random_shape(random, 12);
    CollectivesJob job(shape, seed);
    const Program program(seed + 900, shape.world_size, 300, false);
    run_program(job, program, random);
    expect_all_done(job, program, program.length());
    if (HasFailure()) return;
  }
}

TEST(Collectives, nothing_is_sent_for_an_operation_outside_the_window) {
  // Broadcasts alone need no answer of any kind, so that only the window can hold a rank back.
  const std::uint32_t ranks = 9;
  CollectivesJob job({.world_size = ranks, .ranks_per_host = 2, .fan_out = 2}, 7);
  std::uint64_t greatest = 0;
  const auto watch = [&](Rank to, LinkId from, const wire::Frame& frame) {
    const auto decoded = wire::decode_with_tail<wire::Collective>(frame.body);
    greatest = std::max(greatest, raw(decoded->message.sequence));
    return job.deliver(to, from, frame);
  };
  const auto call = [&](std::uint32_t rank, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const Rank root{static_cast<std::uint32_t>(job.calls(Rank{rank}) % ranks)};
      job.call(Rank{rank}, broadcast(root, root == Rank{rank} ? Payload::copy("news") : Payload{}));
    }
  };
  for (std::uint32_t rank = 0; rank < ranks; ++rank) call(rank, rank == 5 ? 10 : 500);
  job.tree.run(watch);
  // Rank 5 has called 10; the others may be at most a window ahead.
  EXPECT_LT(greatest, 10u + kMaxCollectivesInFlight);
  EXPECT_GE(greatest, std::uint64_t{kMaxCollectivesInFlight} - 1);
  call(5, 490);
  job.tree.run(watch);
  EXPECT_EQ(greatest, 499u);
  EXPECT_TRUE(job.tree.refusals().empty());
  for (std::uint32_t rank = 0; rank < ranks; ++rank) EXPECT_EQ(job.tree.completions(Rank{rank}).size(), 500u);
  EXPECT_EQ(job.operations_kept(), 0u);
}

TEST(Collectives, a_large_broadcast_is_sent_only_when_all_have_called) {
  CollectivesJob job({.world_size = 6, .ranks_per_host = 1, .fan_out = 2}, 3);
  const Payload message = pattern(1, 300'000);
  job.call_all(broadcast(Rank{2}, message), kForever, RankSet::single(Rank{4}));
  job.run();
  for (std::uint32_t i = 0; i < 6; ++i) EXPECT_LT(job.tree.bytes_sent(Rank{i}), 1000u);
  EXPECT_EQ(job.done(Rank{2}, CallId{0}), nullptr);
  job.call(Rank{4}, broadcast(Rank{2}));
  job.run();
  for (std::uint32_t i = 0; i < 6; ++i) {
    ASSERT_NE(job.result<Payload>(Rank{i}, CallId{0}), nullptr);
    EXPECT_EQ(*job.result<Payload>(Rank{i}, CallId{0}), message);
  }
}

TEST(Collectives, a_small_broadcast_waits_for_nobody) {
  CollectivesJob job({.world_size = 6, .ranks_per_host = 2, .fan_out = 2}, 3);
  job.call(Rank{2}, broadcast(Rank{2}, Payload::copy("go")));
  EXPECT_NE(job.result<Payload>(Rank{2}, CallId{0}), nullptr);
  job.run();
  job.call(Rank{5}, broadcast(Rank{2}));
  ASSERT_NE(job.result<Payload>(Rank{5}, CallId{0}), nullptr);
  EXPECT_EQ(job.result<Payload>(Rank{5}, CallId{0})->to_string(), "go");
}

TEST(Collectives, payload_bytes_that_are_passed_on_are_shared_and_not_copied) {
  // A chain: 0 -> host leaders below; the bytes that arrive at the leaf are those that rank 0 handed in.
  CollectivesJob job({.world_size = 8, .ranks_per_host = 1, .fan_out = 2}, 11);
  const Payload message = pattern(2, 300'000);
  job.call_all(broadcast(Rank{0}, message));
  job.run();
  for (std::uint32_t i = 0; i < 8; ++i) {
    const Payload* result = job.result<Payload>(Rank{i}, CallId{0});
    ASSERT_NE(result, nullptr);
    ASSERT_EQ(result->slice_count(), 1u);
    EXPECT_EQ(result->slice(0).data(), message.slice(0).data());
  }
}

TEST(Collectives, allgather_packs_small_contributions_into_few_frames) {
  const std::uint32_t ranks = 256;
  CollectivesJob job({.world_size = ranks, .ranks_per_host = 8, .fan_out = 4}, 5);
  for (std::uint32_t i = 0; i < ranks; ++i) job.call(Rank{i}, allgather(pattern(i, 128)));
  job.run();
  for (std::uint32_t i = 0; i < ranks; ++i) {
    const auto* parts = job.result<Parts>(Rank{i}, CallId{0});
    ASSERT_NE(parts, nullptr);
    for (std::uint32_t j = 0; j < ranks; ++j) ASSERT_EQ((*parts)[j], pattern(j, 128));
  }
  // Up: entries and a vote on each link. Down: 256 * (128 + 8) bytes are two chunks.
  std::uint64_t frames = job.tree.frames_sent();
  EXPECT_LE(frames, (ranks - 1) * 4u + 8);
}

TEST(Collectives, contributions_that_wait_for_all_are_packed_into_few_frames_too) {
  const std::uint32_t ranks = 256;
  constexpr std::size_t kBytes = 5'000;  // more than 1 MiB / 256
  CollectivesJob job({.world_size = ranks, .ranks_per_host = 8, .fan_out = 4}, 5);
  for (std::uint32_t i = 0; i < ranks; ++i) job.call(Rank{i}, allgather(pattern(i, kBytes)));
  job.run();
  for (std::uint32_t i = 0; i < ranks; ++i) {
    const auto* parts = job.result<Parts>(Rank{i}, CallId{0});
    ASSERT_NE(parts, nullptr);
    for (std::uint32_t j = 0; j < ranks; ++j) ASSERT_EQ((*parts)[j], pattern(j, kBytes));
  }
  // On each link a vote up, `go` and the result down.
  const std::uint64_t result_chunks = ranks * (kBytes + 8) / kChunkBytes + 1;
  const std::uint64_t others = job.tree.frames_sent() - (ranks - 1) * (result_chunks + 2);
  // Each rank's bytes in one frame to its leader; from there six ranks' in one. Alone they would be some 860.
  EXPECT_LE(others, 450u);
}

TEST(Collectives, reductions_give_the_same_bits_on_all_ranks_and_in_every_order_of_arrival) {
  std::vector<std::uint32_t> first;
  for (std::uint64_t order = 0; order < 6; ++order) {
    CollectivesJob job({.world_size = 23, .ranks_per_host = 3, .fan_out = 2}, 77);
    for (std::uint64_t i = 0; i < order; ++i) job.tree.random().next();
    Random values(5);
    for (std::uint32_t rank = 0; rank < job.world_size(); ++rank) {
      std::vector<float> vector(20'000);
      for (float& value : vector)
        value = std::bit_cast<float>(static_cast<std::uint32_t>(values.between(0x3000'0000, 0x4f00'0000)));
      job.call(Rank{rank}, allreduce(Reduction::sum, ElementType::float32, payload_of(std::move(vector))));
    }
    job.run();
    for (std::uint32_t rank = 0; rank < job.world_size(); ++rank) {
      const Payload* result = job.result<Payload>(Rank{rank}, CallId{0});
      ASSERT_NE(result, nullptr);
      const auto bits = values_of<std::uint32_t>(*result);
      if (first.empty()) first = bits;
      ASSERT_EQ(bits, first) << "rank " << rank << " order " << order;
    }
  }
}

TEST(Collectives, a_large_reduction_keeps_no_more_than_a_window_of_a_fast_child) {
  CollectivesJob job({.world_size = 3, .ranks_per_host = 1, .fan_out = 2}, 1);
  // 64 chunks; rank 2's are held back, so that rank 1's must stop.
  const Payload vector = pattern(9, 64 * kChunkBytes);
  job.call_all(allreduce(Reduction::bit_xor, ElementType::uint64, vector), kForever, RankSet::single(Rank{0}));
  job.run();
  job.call(Rank{0}, allreduce(Reduction::bit_xor, ElementType::uint64, vector));
  job.tree.pause(Rank{2}, Rank{0});
  job.run();
  EXPECT_LE(job.tree.bytes_sent(Rank{1}), 9 * (kChunkBytes + 100));
  job.tree.resume(Rank{2}, Rank{0});
  job.run();
  for (std::uint32_t rank = 0; rank < 3; ++rank) {
    ASSERT_NE(job.result<Payload>(Rank{rank}, CallId{0}), nullptr);
    EXPECT_EQ(*job.result<Payload>(Rank{rank}, CallId{0}), vector);  // three times xor
  }
}

TEST(Collectives, a_job_of_one_rank_needs_nobody) {
  CollectivesJob job({.world_size = 1}, 1);
  const Payload large = pattern(3, 200'000);
  const Rank me{0};
  EXPECT_NE(job.result<Payload>(me, job.call(me, barrier())), nullptr);
  EXPECT_EQ(*job.result<Payload>(me, job.call(me, broadcast(me, large))), large);
  EXPECT_EQ(parts_of(*job.result<Parts>(me, job.call(me, allgather(large)))), std::vector{large});
  EXPECT_EQ(parts_of(*job.result<Parts>(me, job.call(me, gather(me, large)))), std::vector{large});
  EXPECT_EQ(*job.result<Payload>(me, job.call(me, scatter(me, {large}))), large);
  EXPECT_EQ(*job.result<Payload>(me, job.call(me, reduce(me, Reduction::sum, ElementType::uint8, large))), large);
  EXPECT_EQ(*job.result<Payload>(me, job.call(me, allreduce(Reduction::sum, ElementType::uint8, large))), large);
  EXPECT_EQ(parts_of(*job.result<Parts>(me, job.call(me, alltoall({large})))), std::vector{large});
  for (const Payload& vector : {large, Payload::copy("short"), Payload{}}) {
    EXPECT_EQ(*job.result<Payload>(me, job.call(me, reduce_scatter(Reduction::sum, ElementType::uint8, vector))),
              vector);
  }
  const auto scanned = [&](CollectiveKind kind) {
    return *job.result<Payload>(me, job.call(me, scan(kind, Reduction::sum, ElementType::uint8, large)));
  };
  EXPECT_EQ(scanned(CollectiveKind::scan), large);
  EXPECT_EQ(scanned(CollectiveKind::exclusive_scan), Payload{});
  EXPECT_EQ(job.operations_kept(), 0u);
}

TEST(Collectives, misuse_is_answered_at_once_and_uses_up_no_place_in_the_order) {
  CollectivesJob job({.world_size = 4, .ranks_per_host = 2}, 1);
  const auto expect_misuse = [&](Collective collective, const std::string& text) {
    const CallId id = job.call(Rank{1}, std::move(collective));
    ASSERT_NE(job.failure(Rank{1}, id), nullptr);
    EXPECT_EQ(job.failure(Rank{1}, id)->code, FailureCode::misuse);
    EXPECT_NE(job.failure(Rank{1}, id)->text.find(text), std::string::npos) << job.failure(Rank{1}, id)->text;
  };
  expect_misuse(broadcast(Rank{4}, Payload::copy("x")), "root 4 is not a rank of this job of 4");
  expect_misuse(scatter(Rank{1}, {Payload{}, Payload{}}), "scatter(root 1) was given 2 parts for 4 ranks");
  Collective short_vector = allreduce(Reduction::sum, ElementType::int32, Payload::copy("12345678"));
  short_vector.call.count = 3;
  expect_misuse(short_vector, "was given 8 bytes instead of 12");
  expect_misuse(allreduce(Reduction::bit_and, ElementType::float32, Payload::copy("1234")), "does not exist");
  expect_misuse(alltoall({Payload{}}), "alltoall() was given 1 parts for 4 ranks");
  const auto scatter_ten = [](std::vector<std::uint64_t> counts) {
    return reduce_scatter(Reduction::sum, ElementType::uint8, Payload::copy("0123456789"), std::move(counts));
  };
  expect_misuse(scatter_ten({}), "reduce_scatter(sum, uint8 x 10) can't give 4 ranks blocks of one size");
  expect_misuse(scatter_ten({10}), "was given 1 counts for 4 ranks");
  expect_misuse(scatter_ten({1, 2, 3, 5}), "was given counts that don't add up to its elements");
  expect_misuse(scatter_ten({UINT64_MAX, 11, 0, 0}), "was given counts that don't add up to its elements");
  Collective elsewhere = barrier();
  elsewhere.communicator = CommunicatorId{9};
  expect_misuse(elsewhere, "there is no communicator 9");
  EXPECT_EQ(job.run(), 0u);
  job.call_all(barrier());
  job.run();
  EXPECT_NE(job.result<Payload>(Rank{1}, CallId{10}), nullptr);
}

TEST(Collectives, votes_run_ahead_of_the_bytes_by_one_window_of_operations_at_most) {
  CollectivesJob job({.world_size = 4, .ranks_per_host = 1, .fan_out = 2}, 5);
  const Payload vector = pattern(1, 512 * 1024);
  constexpr std::uint64_t kCalls = 300;
  for (std::uint64_t i = 0; i < kCalls; ++i) {
    job.call_all(allreduce(Reduction::bit_xor, ElementType::uint8, vector));
  }
  std::uint64_t ahead = 0;
  job.tree.run([&](Rank at, LinkId from, const wire::Frame& frame) {
    const auto head = wire::decode_with_tail<wire::Collective>(frame.body)->message;
    const std::uint64_t done = job.tree.completions(job.tree.neighbour(at, from)).size();
    if (head.part == wire::Part::vote && raw(head.sequence) > done) ahead = std::max(ahead, raw(head.sequence) - done);
    return job.deliver(at, from, frame);
  });
  EXPECT_LE(ahead, kMaxCollectivesInFlight);
  for (std::uint32_t i = 0; i < 4; ++i) EXPECT_EQ(job.tree.completions(Rank{i}).size(), kCalls);
  EXPECT_TRUE(job.tree.refusals().empty());
}

TEST(Collectives, small_contributions_wait_for_nobody_in_large_jobs_too) {
  for (const auto kind : {CollectiveKind::allgather, CollectiveKind::gather, CollectiveKind::allreduce}) {
    EXPECT_EQ(eager_bytes(kind, 2), kEagerCollectiveBytes);
    EXPECT_GE(eager_bytes(kind, 1024), 128u);
    EXPECT_EQ(eager_bytes(kind, kMaxWorldSize), 0u);
  }
  EXPECT_EQ(eager_bytes(CollectiveKind::broadcast, kMaxWorldSize), kEagerCollectiveBytes);
}

TEST(Collectives, what_many_send_to_one_before_all_have_called_is_bounded_together) {
  CollectivesJob job({.world_size = 64, .ranks_per_host = 4, .fan_out = 4}, 5);
  const RankSet late = RankSet::single(Rank{63});
  for (std::uint32_t i = 0; i < kMaxCollectivesInFlight; ++i) {
    job.call_all(i % 2 == 0 ? allgather(pattern(i, 40'000)) : gather(Rank{0}, pattern(i, 40'000)), kForever, late);
  }
  job.run();
  std::uint64_t at_the_root = 0;
  for (const Neighbour& child : job.tree.topology(kRootRank).children()) at_the_root += job.tree.bytes_sent(child.rank);
  EXPECT_LT(at_the_root, 64u * 1024 * 1024);
}

}  // namespace
}  // namespace banyan::node
