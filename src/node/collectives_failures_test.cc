// What goes wrong with operations while all ranks follow the protocol: different calls, calls that never come, ranks
// that leave.
#include <gtest/gtest.h>

#include "node/collectives_job.hh"

namespace banyan::node {
namespace {

using namespace std::chrono_literals;

RankSet ranks(std::initializer_list<std::uint32_t> list) {
  RankSet set;
  for (const std::uint32_t rank : list) set.insert(Rank{rank});
  return set;
}

FormedShape random_shape(Random& random, std::uint32_t least_ranks, std::uint32_t most_ranks) {
  return {.world_size = static_cast<std::uint32_t>(random.between(least_ranks, most_ranks)),
          .ranks_per_host = static_cast<std::uint32_t>(random.between(1, 5)),
          .fan_out = static_cast<std::uint32_t>(random.between(2, 4)),
          .root_leads = random.below(2) == 0};
}

// --- different calls
// ---------------------------------------------------------------------------------------------------

TEST(CollectivesFailures, different_calls_fail_on_every_rank_with_both_calls_named) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    CollectivesJob job(random_shape(random, 2, 30), seed);
    const Rank odd{static_cast<std::uint32_t>(random.below(job.world_size()))};
    const Payload vector = payload_of(std::vector<std::int32_t>(10, 1));
    for (std::uint32_t i = 0; i < job.world_size(); ++i) {
      job.call(Rank{i}, Rank{i} == odd ? barrier() : allreduce(Reduction::sum, ElementType::int32, vector));
      job.run(random.below(5));
    }
    job.run();
    const Failure* first = job.failure(Rank{0}, CallId{0});
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(first->code, FailureCode::mismatch);
    EXPECT_NE(first->text.find("barrier()"), std::string::npos) << first->text;
    EXPECT_NE(first->text.find("allreduce(sum, int32 x 10)"), std::string::npos) << first->text;
    EXPECT_NE(first->text.find("rank " + std::to_string(raw(odd)) + " called barrier()"), std::string::npos)
        << first->text;
    EXPECT_EQ(first->ranks.count(), 2u);
    EXPECT_TRUE(first->ranks.contains(odd));
    for (std::uint32_t i = 0; i < job.world_size(); ++i) {
      const Failure* failure = job.failure(Rank{i}, CallId{0});
      ASSERT_NE(failure, nullptr) << "rank " << i;
      EXPECT_EQ(failure->text, first->text);
      EXPECT_EQ(failure->ranks, first->ranks);
    }
    EXPECT_TRUE(job.tree.refusals().empty());
    EXPECT_EQ(job.operations_kept(), 0u);
    if (HasFailure()) return;
  }
}

TEST(CollectivesFailures, kind_root_type_operation_and_count_all_count) {
  const Payload eight = Payload::copy("12345678");
  const std::vector<std::pair<Collective, Collective>> pairs = {
      {barrier(), allgather({})},
      {broadcast(Rank{1}, eight), broadcast(Rank{2}, eight)},
      {reduce(Rank{0}, Reduction::sum, ElementType::int32, eight),
       reduce(Rank{1}, Reduction::sum, ElementType::int32, eight)},
      {allreduce(Reduction::sum, ElementType::int32, eight), allreduce(Reduction::sum, ElementType::uint32, eight)},
      {allreduce(Reduction::sum, ElementType::int32, eight), allreduce(Reduction::max, ElementType::int32, eight)},
      {allreduce(Reduction::sum, ElementType::int32, eight),
       allreduce(Reduction::sum, ElementType::int32, Payload::copy("1234"))},
      {gather(Rank{1}, eight), scatter(Rank{0}, std::vector<Payload>(4))},
      {alltoall(std::vector<Payload>(4, eight)), allgather(eight)},
      {scan(CollectiveKind::scan, Reduction::sum, ElementType::int32, eight),
       scan(CollectiveKind::exclusive_scan, Reduction::sum, ElementType::int32, eight)},
      {reduce_scatter(Reduction::sum, ElementType::int8, eight),
       reduce_scatter(Reduction::sum, ElementType::int8, pattern(1, 400'000))},
      {reduce_scatter(Reduction::sum, ElementType::int8, eight),
       reduce_scatter(Reduction::sum, ElementType::int8, eight, {8, 0, 0, 0})},
      {reduce_scatter(Reduction::sum, ElementType::int8, pattern(1, 400'000), {399'999, 0, 0, 1}),
       reduce_scatter(Reduction::sum, ElementType::int8, pattern(1, 400'000), {399'999, 0, 1, 0})},
  };
  for (const auto& [some, others] : pairs) {
    CollectivesJob job({.world_size = 4, .ranks_per_host = 2, .fan_out = 2}, 1);
    for (std::uint32_t i = 0; i < 4; ++i) job.call(Rank{i}, i < 2 ? some : others);
    job.run();
    // The next operation is everybody's again. Who had its result before the contradiction was seen hears of it now.
    job.call_all(barrier());
    job.run();
    job.call_all(barrier());
    job.run();
    for (std::uint32_t i = 0; i < 4; ++i) {
      const Failure* failure = job.failure(Rank{i}, CallId{0});
      if (failure == nullptr) failure = job.failure(Rank{i}, CallId{1});
      ASSERT_NE(failure, nullptr) << some.call.to_string() << " rank " << i;
      EXPECT_EQ(failure->code, FailureCode::mismatch);
      EXPECT_NE(failure->text.find(some.call.to_string()), std::string::npos);
      EXPECT_NE(failure->text.find(others.call.to_string()), std::string::npos);
      EXPECT_NE(job.result<Payload>(Rank{i}, CallId{2}), nullptr);
    }
    EXPECT_EQ(job.operations_kept(), 0u);
    EXPECT_TRUE(job.tree.refusals().empty());
  }
}

TEST(CollectivesFailures, a_call_that_comes_after_the_failure_fails_at_once_with_the_same_text) {
  CollectivesJob job({.world_size = 6, .ranks_per_host = 2, .fan_out = 2}, 4);
  job.call(Rank{0}, barrier());
  job.call(Rank{3}, allgather({}));
  for (std::uint32_t rank : {1u, 2u, 4u}) job.call(Rank{rank}, barrier());
  job.run();
  const CallId late = job.call(Rank{5}, barrier());
  ASSERT_NE(job.failure(Rank{5}, late), nullptr);
  ASSERT_NE(job.failure(Rank{0}, CallId{0}), nullptr);
  EXPECT_EQ(job.failure(Rank{5}, late)->text, job.failure(Rank{0}, CallId{0})->text);
  job.run();
  EXPECT_EQ(job.operations_kept(), 0u);
}

TEST(CollectivesFailures, a_rank_that_completed_what_failed_elsewhere_hears_of_it_by_its_next_call) {
  CollectivesJob job({.world_size = 4, .ranks_per_host = 1, .fan_out = 2}, 2);
  job.call(Rank{2}, broadcast(Rank{2}, Payload::copy("x")));
  ASSERT_NE(job.result<Payload>(Rank{2}, CallId{0}), nullptr);
  for (std::uint32_t rank : {0u, 1u, 3u}) job.call(Rank{rank}, barrier());
  job.run();
  const CallId next = job.call(Rank{2}, barrier());
  ASSERT_NE(job.failure(Rank{2}, next), nullptr);
  EXPECT_EQ(job.failure(Rank{2}, next)->code, FailureCode::mismatch);
  EXPECT_NE(job.failure(Rank{2}, next)->text.find("rank 2 called broadcast(root 2)"), std::string::npos);
  // It has taken part in that call all the same: the others' calls succeed.
  for (std::uint32_t rank : {0u, 1u, 3u}) job.call(Rank{rank}, barrier());
  job.run();
  for (std::uint32_t rank : {0u, 1u, 3u}) EXPECT_NE(job.result<Payload>(Rank{rank}, CallId{1}), nullptr);
  EXPECT_EQ(job.operations_kept(), 0u);
}

TEST(CollectivesFailures, mismatches_among_many_operations_harm_no_other) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed + 9000);
    CollectivesJob job(random_shape(random, 2, 20), seed);
    const std::uint64_t length = 150;
    const std::uint64_t period = random.between(3, 20);
    bool active = true;
    while (active) {
      active = false;
      for (std::uint32_t i = 0; i < job.world_size(); ++i) {
        for (std::uint64_t burst = random.below(12); burst > 0 && job.calls(Rank{i}) < length; --burst) {
          const bool wrong = job.calls(Rank{i}) % period == 0 && i == job.calls(Rank{i}) % job.world_size();
          job.call(Rank{i}, wrong ? barrier() : allreduce(Reduction::sum, ElementType::uint8, Payload::copy("a")));
        }
        active = active || job.calls(Rank{i}) < length;
        job.run(random.below(6));
      }
    }
    job.run();
    EXPECT_TRUE(job.tree.refusals().empty());
    EXPECT_EQ(job.operations_kept(), 0u);
    for (std::uint32_t i = 0; i < job.world_size(); ++i) {
      ASSERT_EQ(job.tree.completions(Rank{i}).size(), length);
      for (std::uint64_t step = 0; step < length; ++step) {
        const bool must_fail = step % period == 0;
        ASSERT_EQ(job.failure(Rank{i}, CallId{step}) != nullptr, must_fail) << "rank " << i << " step " << step;
      }
    }
    if (HasFailure()) return;
  }
}

Collective any_call(std::uint64_t seed, Rank rank, std::uint32_t world_size) {
  Random random(seed);
  const auto kind = random.below(10);
  const Rank root{static_cast<std::uint32_t>(random.below(world_size))};
  const Payload bytes = pattern(seed, 8 * (random.below(8) == 0 ? 20'000 : random.below(600)));
  switch (kind) {
    case 0: return barrier();
    case 1: return broadcast(root, bytes);
    case 2: return allgather(bytes);
    case 3: return gather(root, bytes);
    case 4: return scatter(root, rank == root ? std::vector<Payload>(world_size, bytes) : std::vector<Payload>{});
    case 5: return reduce(root, Reduction::sum, ElementType::uint64, bytes);
    case 6: return alltoall(std::vector<Payload>(world_size, bytes));
    case 7: return scan(CollectiveKind::scan, Reduction::product, ElementType::uint64, bytes);
    case 8: {
      std::vector<std::uint64_t> counts(world_size, 0);
      counts[raw(root)] = bytes.size();
      return reduce_scatter(Reduction::sum, ElementType::uint8, bytes, std::move(counts));
    }
    default: return allreduce(Reduction::min, ElementType::int8, bytes);
  }
}

TEST(CollectivesFailures, contradictions_and_timeouts_of_any_kind_leave_nothing_behind_and_break_no_link) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed + 70'000);
    CollectivesJob job(random_shape(random, 2, 16), seed);
    const std::uint64_t length = 80;
    const std::uint64_t wrong_in = random.between(2, 300);
    std::uint64_t left = length * job.world_size();
    while (left > 0) {
      const Rank rank{static_cast<std::uint32_t>(random.below(job.world_size()))};
      for (std::uint64_t burst = random.below(5); burst > 0 && job.calls(rank) < length; --burst, --left) {
        const bool wrong = random.below(wrong_in) == 0;
        const std::uint64_t which = seed * 1000 + job.calls(rank) + (wrong ? random.below(100'000) : 0);
        job.call(rank, any_call(which, rank, job.world_size()), random.below(4) == 0 ? 700ms : 60s);
      }
      job.run(random.below(10));
      if (random.below(30) == 0) {
        job.now += 250ms;
        for (std::uint32_t i = 0; i < job.world_size(); ++i) job.at(Rank{i}).on_time(job.now);
      }
    }
    job.run();
    EXPECT_TRUE(job.tree.refusals().empty());
    EXPECT_EQ(job.operations_kept(), 0u);
    for (std::uint32_t i = 0; i < job.world_size(); ++i) {
      EXPECT_EQ(job.tree.completions(Rank{i}).size(), length);
      EXPECT_EQ(job.at(Rank{i}).deadline(), kNever);
    }
    if (HasFailure()) return;
  }
}

TEST(CollectivesFailures, an_allgather_beyond_the_greatest_message_fails_on_all_ranks) {
  // Three quarters of the limit in one slice that stands for itself several times: nothing is allocated for it.
  const Slice block = Slice::adopt(std::vector<std::byte>(64 * 1024 * 1024));
  Payload big;
  for (int i = 0; i < 33; ++i) big.append(block);
  CollectivesJob job({.world_size = 2, .ranks_per_host = 1}, 1);
  job.call_all(allgather(big));
  job.run();
  for (std::uint32_t i = 0; i < 2; ++i) {
    ASSERT_NE(job.failure(Rank{i}, CallId{0}), nullptr);
    EXPECT_EQ(job.failure(Rank{i}, CallId{0})->code, FailureCode::too_large);
  }
  EXPECT_TRUE(job.tree.refusals().empty());
  EXPECT_EQ(job.operations_kept(), 0u);
  EXPECT_LT(job.tree.bytes_sent(Rank{1}), 10'000u) << "the votes alone tell that it is too much";
}

TEST(CollectivesFailures, a_call_that_timed_out_is_not_taken_for_one_that_went_well) {
  CollectivesJob job({.world_size = 3, .ranks_per_host = 1, .fan_out = 2}, 1);
  job.call(Rank{1}, broadcast(Rank{0}), 1s);
  job.run_for(2s);
  ASSERT_NE(job.failure(Rank{1}, CallId{0}), nullptr);
  job.call(Rank{0}, broadcast(Rank{0}, Payload::copy("late")));
  job.run();
  job.call(Rank{2}, barrier());
  job.run();
  ASSERT_NE(job.failure(Rank{2}, CallId{0}), nullptr);
  EXPECT_EQ(job.failure(Rank{2}, CallId{0})->code, FailureCode::mismatch);
  job.call(Rank{1}, barrier());
  job.run();
  EXPECT_EQ(job.failure(Rank{1}, CallId{1}), nullptr) << "its caller knows of the failure already";
}

// --- deadlines and who is missing
// --------------------------------------------------------------------------------------

TEST(CollectivesFailures, a_timed_out_call_names_all_ranks_that_have_not_called) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed + 100);
    CollectivesJob job(random_shape(random, 2, 64), seed);
    RankSet missing;
    for (std::uint64_t i = random.between(1, 1 + job.world_size() / 2); i > 0; --i) {
      missing.insert(Rank{static_cast<std::uint32_t>(random.below(job.world_size()))});
    }
    if (missing.count() == job.world_size()) continue;
    job.call_all(barrier(), 3s, missing);
    job.run_for(5s);
    const std::string text = "barrier() #0 timed out after 3 s; missing " + std::to_string(missing.count()) + " of " +
                             std::to_string(job.world_size()) + ": " + missing.to_string();
    for (std::uint32_t i = 0; i < job.world_size(); ++i) {
      if (missing.contains(Rank{i})) continue;
      const Failure* failure = job.failure(Rank{i}, CallId{0});
      ASSERT_NE(failure, nullptr) << "rank " << i;
      EXPECT_EQ(failure->code, FailureCode::timed_out);
      EXPECT_EQ(failure->ranks, missing) << "rank " << i;
      EXPECT_EQ(failure->text, text) << "rank " << i;
      EXPECT_EQ(failure->host, job.tree.table()->host(Rank{missing.ranges().front().first}));
    }
    // The late calls succeed: the others' duty did not end with their patience.
    for (const int rank : missing.to_vector(100)) job.call(Rank{static_cast<std::uint32_t>(rank)}, barrier());
    job.run();
    for (const int rank : missing.to_vector(100)) {
      EXPECT_NE(job.result<Payload>(Rank{static_cast<std::uint32_t>(rank)}, CallId{0}), nullptr);
    }
    EXPECT_EQ(job.operations_kept(), 0u);
    EXPECT_TRUE(job.tree.refusals().empty());
    if (HasFailure()) return;
  }
}

TEST(CollectivesFailures, the_missing_are_known_within_a_second_in_a_deep_tree) {
  CollectivesJob job({.world_size = 60, .ranks_per_host = 1, .fan_out = 2}, 9);
  job.call_all(barrier(), 1s, ranks({59}));
  job.run_for(1s);
  for (std::uint32_t i = 0; i < 59; ++i) {
    ASSERT_NE(job.failure(Rank{i}, CallId{0}), nullptr);
    EXPECT_EQ(job.failure(Rank{i}, CallId{0})->ranks, ranks({59})) << job.failure(Rank{i}, CallId{0})->text;
  }
}

TEST(CollectivesFailures, a_lone_caller_learns_that_all_others_are_missing) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    CollectivesJob job({.world_size = 21, .ranks_per_host = 3, .fan_out = 2}, seed);
    const Rank lone{static_cast<std::uint32_t>(job.tree.random().below(21))};
    job.call(lone, barrier(), 2s);
    job.run_for(3s);
    RankSet others = RankSet::all(21);
    others.erase(lone);
    ASSERT_NE(job.failure(lone, CallId{0}), nullptr);
    EXPECT_EQ(job.failure(lone, CallId{0})->ranks, others) << job.failure(lone, CallId{0})->text;
    if (HasFailure()) return;
  }
}

TEST(CollectivesFailures, who_comes_late_is_missed_no_more) {
  CollectivesJob job({.world_size = 15, .ranks_per_host = 1, .fan_out = 2}, 4);
  job.call(Rank{9}, barrier(), 10s);
  for (std::uint32_t i = 0; i < 9; ++i) {
    job.run_for(1s);
    if (Rank{i} != Rank{9}) job.call(Rank{i}, barrier(), 60s);
  }
  job.run_for(2s);
  ASSERT_NE(job.failure(Rank{9}, CallId{0}), nullptr);
  EXPECT_EQ(job.failure(Rank{9}, CallId{0})->text, "barrier() #0 timed out after 10 s; missing 5 of 15: 10-14");
}

TEST(CollectivesFailures, a_rank_that_was_missed_when_the_root_asked_does_not_name_itself) {
  CollectivesJob job({.world_size = 3, .ranks_per_host = 1, .fan_out = 2}, 4);
  job.call(Rank{0}, barrier(), 10s);
  job.run_for(500ms);
  job.call(Rank{1}, barrier(), 100ms);
  job.run_for(100ms);
  ASSERT_NE(job.failure(Rank{1}, CallId{0}), nullptr);
  EXPECT_EQ(job.failure(Rank{1}, CallId{0})->text, "barrier() #0 timed out after 0.1 s; missing 1 of 3: 2");
}

TEST(CollectivesFailures, a_lone_caller_hears_of_a_silent_rank_too) {
  CollectivesJob job({.world_size = 15, .ranks_per_host = 1, .fan_out = 2}, 6);
  std::vector<Rank> leaves;
  for (std::uint32_t i = 1; i < 15; ++i) {
    if (job.tree.topology(Rank{i}).children().empty()) leaves.push_back(Rank{i});
  }
  const Rank above = job.tree.topology(leaves[0]).parent().rank;
  job.tree.pause(leaves[0], above);
  job.tree.pause(above, leaves[0]);
  job.call(leaves.back(), barrier(), 5s);
  job.run_for(6s);
  RankSet others = RankSet::all(15);
  others.erase(leaves.back());
  ASSERT_NE(job.failure(leaves.back(), CallId{0}), nullptr);
  EXPECT_EQ(job.failure(leaves.back(), CallId{0})->ranks, others);
}

TEST(CollectivesFailures, no_rank_is_blamed_because_it_timed_out_first) {
  CollectivesJob job({.world_size = 12, .ranks_per_host = 3, .fan_out = 2}, 9);
  for (std::uint32_t i = 0; i < 11; ++i) job.call(Rank{i}, barrier(), i == 4 ? 1s : 10s);
  job.run_for(20s);
  ASSERT_NE(job.failure(Rank{4}, CallId{0}), nullptr);
  for (std::uint32_t i = 0; i < 11; ++i) EXPECT_EQ(job.failure(Rank{i}, CallId{0})->ranks, ranks({11}));
}

TEST(CollectivesFailures, a_rank_whose_engine_does_not_answer_is_named_and_not_those_above_it) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    CollectivesJob job({.world_size = 20, .ranks_per_host = 1, .fan_out = 2}, seed);
    // A leaf of the tree is stopped: nothing reaches it and nothing comes from it.
    Rank silent{};
    for (std::uint32_t i = 1; i < 20; ++i) {
      if (job.tree.topology(Rank{i}).children().empty()) silent = Rank{i};
    }
    const Rank above = job.tree.topology(silent).parent().rank;
    job.tree.pause(silent, above);
    job.tree.pause(above, silent);
    job.call_all(barrier(), 5s, RankSet::single(silent));
    job.run_for(10s);
    for (std::uint32_t i = 0; i < 20; ++i) {
      if (Rank{i} == silent) continue;
      ASSERT_NE(job.failure(Rank{i}, CallId{0}), nullptr);
      EXPECT_EQ(job.failure(Rank{i}, CallId{0})->ranks, RankSet::single(silent))
          << job.failure(Rank{i}, CallId{0})->text;
    }
    if (HasFailure()) return;
  }
}

TEST(CollectivesFailures, a_call_that_times_out_before_anything_is_known_blames_nobody) {
  CollectivesJob job({.world_size = 4, .ranks_per_host = 1, .fan_out = 2}, 3);
  const Rank leaf = [&] {
    for (std::uint32_t i = 1; i < 4; ++i) {
      if (job.tree.topology(Rank{i}).children().empty()) return Rank{i};
    }
    return Rank{0};
  }();
  job.call(leaf, barrier(), 100ms);
  job.run_for(200ms);
  ASSERT_NE(job.failure(leaf, CallId{0}), nullptr);
  EXPECT_TRUE(job.failure(leaf, CallId{0})->ranks.empty());
  EXPECT_EQ(job.failure(leaf, CallId{0})->text,
            "barrier() #0 timed out after 0.1 s; which ranks are missing is not known here");
}

TEST(CollectivesFailures, a_leader_that_times_out_early_names_its_own_hosts_missing_ranks) {
  CollectivesJob job({.world_size = 8, .ranks_per_host = 8, .fan_out = 2}, 3);
  job.call_all(barrier(), 50ms, ranks({3, 6}));
  job.run_for(100ms);
  EXPECT_EQ(job.failure(Rank{0}, CallId{0})->text,
            "barrier() #0 timed out after 0.05 s; missing at least 2 of 8: 3, 6");
  EXPECT_EQ(job.failure(Rank{0}, CallId{0})->ranks, ranks({3, 6}));
}

TEST(CollectivesFailures, calls_that_wait_behind_the_window_time_out_naming_those_who_hold_it_up) {
  CollectivesJob job({.world_size = 6, .ranks_per_host = 2, .fan_out = 2}, 3);
  for (int i = 0; i < 100; ++i) job.call_all(barrier(), 4s, ranks({5}));
  job.run_for(5s);
  for (std::uint32_t rank = 0; rank < 5; ++rank) {
    ASSERT_EQ(job.tree.completions(Rank{rank}).size(), 100u);
    for (std::uint64_t i = 0; i < 100; ++i) EXPECT_EQ(job.failure(Rank{rank}, CallId{i})->ranks, ranks({5}));
  }
  EXPECT_EQ(job.failure(Rank{0}, CallId{99})->text, "barrier() #99 timed out after 4 s; missing at least 1 of 6: 5");
  // Each has used up its sequence: rank 5 can catch up, and the next call is a new one for all.
  for (int i = 0; i < 100; ++i) job.call(Rank{5}, barrier());
  job.call_all(allgather(Payload::copy("x")));
  job.run();
  for (std::uint32_t rank = 0; rank < 6; ++rank) EXPECT_NE(job.result<Parts>(Rank{rank}, CallId{100}), nullptr);
  EXPECT_EQ(job.operations_kept(), 0u);
}

TEST(CollectivesFailures, operations_that_failed_don_t_keep_the_root_from_asking_who_is_missing_from_later_ones) {
  CollectivesJob job({.world_size = 6, .ranks_per_host = 1, .fan_out = 2}, 3);
  for (int i = 0; i < 6; ++i) {
    for (std::uint32_t rank = 0; rank < 5; ++rank) job.call(Rank{rank}, rank == 0 ? allgather({}) : barrier());
  }
  job.run();
  ASSERT_NE(job.failure(Rank{0}, CallId{5}), nullptr) << "all six have failed, though rank 5 has not called them";
  job.call_all(barrier(), 3s, ranks({5}));
  job.run_for(4s);
  for (std::uint32_t rank = 0; rank < 5; ++rank) {
    ASSERT_NE(job.failure(Rank{rank}, CallId{6}), nullptr);
    EXPECT_EQ(job.failure(Rank{rank}, CallId{6})->ranks, ranks({5})) << job.failure(Rank{rank}, CallId{6})->text;
  }
}

TEST(CollectivesFailures, a_late_result_is_dropped_and_the_next_operation_is_not_confused) {
  CollectivesJob job({.world_size = 5, .ranks_per_host = 1, .fan_out = 2}, 3);
  for (std::uint32_t rank = 0; rank < 4; ++rank)
    job.call(Rank{rank}, allgather(Payload::copy("first")), rank == 2 ? 1s : 60s);
  job.run_for(2s);
  ASSERT_NE(job.failure(Rank{2}, CallId{0}), nullptr);
  job.call(Rank{4}, allgather(Payload::copy("first")));
  job.call_all(allgather(Payload::copy("second")));
  job.run();
  for (std::uint32_t rank = 0; rank < 5; ++rank) {
    const auto* parts = job.result<Parts>(Rank{rank}, CallId{1});
    ASSERT_NE(parts, nullptr);
    ASSERT_EQ(parts->size(), 5u);
    for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ((*parts)[i].to_string(), "second");
  }
  EXPECT_EQ(job.tree.completions(Rank{2}).size(), 2u);
  EXPECT_EQ((*job.result<Parts>(Rank{0}, CallId{0}))[2].to_string(), "first");
}

TEST(CollectivesFailures, bytes_that_are_stuck_are_told_from_ranks_that_have_not_called) {
  CollectivesJob job({.world_size = 3, .ranks_per_host = 1, .fan_out = 2}, 3);
  job.call_all(broadcast(Rank{0}, pattern(1, 200'000)), 5s);
  // The votes and `go` pass, then the link to rank 2 stands still.
  while (job.done(Rank{0}, CallId{0}) == nullptr) job.run(1);
  job.run(3);
  job.tree.pause(Rank{0}, Rank{2});
  job.run_for(6s);
  const Failure* failure = job.failure(Rank{2}, CallId{0});
  ASSERT_NE(failure, nullptr);
  EXPECT_NE(failure->text.find("timed out after 5 s"), std::string::npos) << failure->text;
  EXPECT_FALSE(failure->ranks.contains(Rank{0}) || failure->ranks.contains(Rank{1}));
}

TEST(CollectivesFailures, ranges_beyond_what_a_frame_holds_are_counted) {
  CollectivesJob job({.world_size = 400, .ranks_per_host = 8, .fan_out = 3}, 3);
  RankSet missing;
  for (std::uint32_t i = 1; i < 400; i += 2) missing.insert(Rank{i});
  job.call_all(barrier(), 3s, missing);
  job.run_for(4s);
  const Failure* failure = job.failure(Rank{0}, CallId{0});
  ASSERT_NE(failure, nullptr);
  EXPECT_NE(failure->text.find("missing 200 of 400: "), std::string::npos) << failure->text;
  EXPECT_NE(failure->text.find(" more"), std::string::npos) << failure->text;
  EXPECT_TRUE(job.tree.refusals().empty());
}

// --- ranks that leave
// --------------------------------------------------------------------------------------------------

TEST(CollectivesFailures, operations_that_lack_a_left_ranks_call_fail_everywhere_and_earlier_ones_do_not) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    CollectivesJob job(random_shape(random, 3, 24), seed);
    Rank leaver{1};
    for (std::uint32_t i = 1; i < job.world_size(); ++i) {
      if (job.tree.topology(Rank{i}).children().empty()) leaver = Rank{i};
    }
    const Rank above = job.tree.topology(leaver).parent().rank;
    for (int i = 0; i < 3; ++i) job.call_all(allgather(Payload::copy("x")));
    // All frames of the leaver come before the news that it left.
    job.run();
    job.tree.topology(above).remove_child(job.tree.link(above, leaver));
    job.at(above).on_child_left(job.tree.link(above, leaver));
    job.run();
    const RankSet gone = RankSet::single(leaver);
    EXPECT_EQ(job.operations_kept(), 0u);
    for (int i = 0; i < 2; ++i) job.call_all(barrier(), 60s, gone);
    job.run_for(1s);
    job.call_all(barrier(), 60s, gone);
    for (std::uint32_t i = 0; i < job.world_size(); ++i) {
      if (Rank{i} == leaver) continue;
      for (std::uint64_t step = 0; step < 3; ++step) EXPECT_EQ(job.failure(Rank{i}, CallId{step}), nullptr);
      for (std::uint64_t step = 3; step < 6; ++step) {
        const Failure* failure = job.failure(Rank{i}, CallId{step});
        ASSERT_NE(failure, nullptr) << "rank " << i << " step " << step;
        EXPECT_EQ(failure->code, FailureCode::rank_left);
        EXPECT_EQ(failure->ranks, gone);
        EXPECT_NE(failure->text.find("rank " + std::to_string(raw(leaver)) + " left before it called "),
                  std::string::npos);
      }
    }
    EXPECT_TRUE(job.tree.refusals().empty());
    EXPECT_EQ(job.operations_kept(), 0u);
    if (HasFailure()) return;
  }
}

void leave(CollectivesJob& job, Rank leaver) {
  const Rank above = job.tree.topology(leaver).parent().rank;
  job.tree.topology(above).remove_child(job.tree.link(above, leaver));
  job.at(above).on_child_left(job.tree.link(above, leaver));
}

TEST(CollectivesFailures, a_gather_for_a_rank_that_has_left_does_not_stop_the_root) {
  CollectivesJob job({.world_size = 3, .ranks_per_host = 1, .fan_out = 2}, 1);
  leave(job, Rank{1});
  const CallId id = job.call(Rank{2}, gather(Rank{1}, pattern(1, 60'000)));
  job.run();
  job.call(Rank{2}, barrier());
  job.run();
  EXPECT_EQ(job.failure(Rank{2}, id), nullptr) << "its own part was done";
  ASSERT_NE(job.failure(Rank{2}, CallId{1}), nullptr);
  EXPECT_EQ(job.failure(Rank{2}, CallId{1})->ranks, ranks({1}));
}

TEST(CollectivesFailures, a_departure_is_told_even_if_the_first_operation_that_lacks_it_failed_already) {
  CollectivesJob job({.world_size = 9, .ranks_per_host = 1, .fan_out = 2}, 1);
  // A leaf three links below the root.
  Rank leaver{};
  for (std::uint32_t i = 1; i < 9; ++i) {
    const Rank above = job.tree.topology(Rank{i}).parent().rank;
    if (above == kRootRank || !job.tree.topology(Rank{i}).children().empty()) continue;
    if (job.tree.topology(above).parent().rank != kRootRank) leaver = Rank{i};
  }
  ASSERT_NE(leaver, Rank{});
  const RankSet gone = RankSet::single(leaver);
  const Rank odd = job.tree.topology(job.tree.topology(leaver).parent().rank).parent().rank;
  for (std::uint32_t i = 0; i < 9; ++i) {
    if (Rank{i} != leaver) job.call(Rank{i}, Rank{i} == odd ? barrier() : allgather(pattern(i, 60'000)));
  }
  job.run();
  leave(job, leaver);
  job.run();
  job.call_all(barrier(), kForever, gone);
  job.run();
  for (std::uint32_t i = 0; i < 9; ++i) {
    if (Rank{i} == leaver) continue;
    ASSERT_NE(job.failure(Rank{i}, CallId{1}), nullptr) << "rank " << i;
    EXPECT_EQ(job.failure(Rank{i}, CallId{1})->code, FailureCode::rank_left);
    EXPECT_EQ(job.failure(Rank{i}, CallId{1})->ranks, gone);
  }
  EXPECT_EQ(job.operations_kept(), 0u);
}

TEST(CollectivesFailures, ranks_that_leave_when_all_is_done_disturb_nobody) {
  CollectivesJob job({.world_size = 7, .ranks_per_host = 2, .fan_out = 2}, 3);
  job.call_all(barrier());
  job.run();
  const std::uint64_t before = job.tree.frames_sent();
  for (std::uint32_t i = 0; i < 7; ++i) {
    for (const Neighbour& child : job.tree.topology(Rank{i}).children()) job.at(Rank{i}).on_child_left(child.link);
  }
  job.run_for(10s);
  EXPECT_EQ(job.tree.frames_sent(), before);
}

TEST(CollectivesFailures, the_end_of_the_job_ends_all_calls_and_those_to_come) {
  CollectivesJob job({.world_size = 4, .ranks_per_host = 2, .fan_out = 2}, 3);
  for (int i = 0; i < 100; ++i) job.call(Rank{1}, barrier(), 5s);
  const Failure lost{FailureCode::rank_lost, Phase::running, RankSet::single(Rank{3}), "host-1", "rank 3 was lost"};
  job.at(Rank{1}).fail_all(lost);
  job.call(Rank{1}, barrier());
  for (std::uint64_t i = 0; i <= 100; ++i) {
    ASSERT_NE(job.failure(Rank{1}, CallId{i}), nullptr);
    EXPECT_EQ(job.failure(Rank{1}, CallId{i})->text, "rank 3 was lost");
  }
  EXPECT_EQ(job.at(Rank{1}).deadline(), kNever);
  EXPECT_EQ(job.operations_kept(), 0u);
}

}  // namespace
}  // namespace banyan::node
