#include <numeric>

#include <gtest/gtest.h>

#include "node/collectives_job.hh"

namespace banyan::node {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Collective split(std::int32_t color, std::int32_t key, CommunicatorId parent = kWorld) {
  Writer writer;
  writer.number(color);
  writer.number(key);
  return {parent, {.kind = CollectiveKind::split}, Payload(std::move(writer).finish()), {}};
}

Collective in(CommunicatorId communicator, Collective call) {
  call.communicator = communicator;
  return call;
}

// A communicator as one of its members knows it.
struct Made {
  CommunicatorId id{};
  std::vector<Rank> job_ranks;
};

Made made_of(const Payload& result) {
  const Slice flat = result.flatten();
  Reader reader(flat.bytes());
  Made made;
  made.id = reader.number<CommunicatorId>();
  for (std::size_t i = 0; i < (result.size() - 8) / 4; ++i) made.job_ranks.push_back(reader.number<Rank>());
  return made;
}

std::vector<Rank> ranks(std::initializer_list<std::uint32_t> numbers) {
  std::vector<Rank> all;
  for (const std::uint32_t number : numbers) all.push_back(Rank{number});
  return all;
}

class Job : public CollectivesJob {
 public:
  using CollectivesJob::CollectivesJob;

  // All ranks split the job, rank i with colors[i] and its rank as key.
  std::vector<Made> split_all(const std::vector<std::int32_t>& colors) {
    std::vector<CallId> calls;
    for (std::uint32_t i = 0; i < world_size(); ++i) calls.push_back(call(Rank{i}, split(colors[i], 0)));
    run();
    std::vector<Made> made;
    for (std::uint32_t i = 0; i < world_size(); ++i) {
      const auto* result = this->result<Payload>(Rank{i}, calls[i]);
      EXPECT_NE(result, nullptr);
      made.push_back(result == nullptr || result->empty() ? Made{} : made_of(*result));
    }
    return made;
  }
  std::vector<std::string> parts(Rank rank, CallId id) {
    std::vector<std::string> texts;
    const auto* parts = result<Parts>(rank, id);
    for (std::size_t i = 0; parts != nullptr && i < parts->size(); ++i) texts.push_back((*parts)[i].to_string());
    return texts;
  }
};

TEST(Subcommunicators, a_split_orders_those_of_a_color_by_key_and_then_by_rank) {
  Job job({.world_size = 6, .ranks_per_host = 2}, 1);
  const std::vector<std::pair<int, int>> wishes = {{7, 5}, {7, -3}, {kNoColor, 0}, {7, 5}, {9, 0}, {7, 4}};
  std::vector<CallId> calls;
  for (std::uint32_t i = 0; i < 6; ++i) calls.push_back(job.call(Rank{i}, split(wishes[i].first, wishes[i].second)));
  job.run();
  for (const std::uint32_t i : {0u, 1u, 3u, 5u}) {
    const Made made = made_of(*job.result<Payload>(Rank{i}, calls[i]));
    EXPECT_EQ(made.job_ranks, ranks({1, 5, 0, 3}));
    EXPECT_EQ(made.id, communicator_of_split(kWorld, Sequence{0}, 7));
  }
  EXPECT_TRUE(job.result<Payload>(Rank{2}, calls[2])->empty());
  EXPECT_EQ(made_of(*job.result<Payload>(Rank{4}, calls[4])).job_ranks, ranks({4}));
}

TEST(Subcommunicators, random_splits_of_splits_do_all_operations_right_in_any_order) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed * 77);
    const FormedShape shape{.world_size = 2 + static_cast<std::uint32_t>(random.below(24)),
                            .ranks_per_host = 1 + static_cast<std::uint32_t>(random.below(5)),
                            .fan_out = 2 + static_cast<std::uint32_t>(random.below(3)),
                            .root_leads = random.below(2) == 0};
    Job job(shape, seed);
    std::vector<std::int32_t> colors;
    for (std::uint32_t i = 0; i < shape.world_size; ++i)
      colors.push_back(static_cast<std::int32_t>(random.below(3)) - (random.below(5) == 0 ? 1 : 0));
    std::vector<Made> groups = job.split_all(colors);
    // Once more, in each of them: by halves, the other way round.
    std::vector<CallId> again(shape.world_size);
    for (std::uint32_t i = 0; i < shape.world_size; ++i) {
      if (groups[i].id == kWorld) continue;
      again[i] =
          job.call(Rank{i}, split(static_cast<std::int32_t>(i % 2), -static_cast<std::int32_t>(i), groups[i].id));
    }
    job.run();
    struct Due {
      Rank rank{};
      CallId call{};
      std::vector<Rank> members;
    };
    std::vector<Due> due;
    for (int round = 0; round < 5; ++round) {
      for (std::uint32_t i = 0; i < shape.world_size; ++i) {
        if (groups[i].id == kWorld) continue;
        const Made half = made_of(*job.result<Payload>(Rank{i}, again[i]));
        for (const Made& group : {groups[i], half}) {
          const std::string text = std::to_string(i) + std::string(round == 3 ? 20'000 : 3, 'x');
          due.push_back({Rank{i}, job.call(Rank{i}, in(group.id, allgather(Payload::copy(text)))), group.job_ranks});
        }
        if (random.below(4) == 0) job.run(random.below(30));
      }
    }
    job.run();
    for (std::size_t at = 0; at < due.size(); ++at) {
      const auto parts = job.parts(due[at].rank, due[at].call);
      ASSERT_EQ(parts.size(), due[at].members.size());
      for (std::size_t i = 0; i < parts.size(); ++i) {
        const std::string who = std::to_string(raw(due[at].members[i]));
        EXPECT_EQ(parts[i].substr(0, who.size() + 1), who + "x");
      }
    }
    EXPECT_EQ(job.operations_kept(), 0U);
    EXPECT_TRUE(job.tree.refusals().empty());
  }
}

TEST(Subcommunicators, all_operations_work_in_one) {
  Job job({.world_size = 12, .ranks_per_host = 3}, 5);
  const auto groups = job.split_all({0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1});
  std::map<std::uint32_t, std::vector<CallId>> calls;
  for (std::uint32_t i = 0; i < 12; ++i) {
    const CommunicatorId id = groups[i].id;
    const Rank self{i / 2};
    std::vector<Payload> to_scatter;
    if (raw(self) == 5) {
      for (std::uint32_t part = 0; part < 6; ++part) to_scatter.push_back(pattern(part, 40'000));
    }
    calls[i] = {job.call(Rank{i}, in(id, barrier())),
                job.call(Rank{i}, in(id, broadcast(Rank{4}, raw(self) == 4 ? pattern(i % 2, 3'000'000) : Payload{}))),
                job.call(Rank{i}, in(id, gather(Rank{3}, pattern(i, 50'000)))),
                job.call(Rank{i}, in(id, scatter(Rank{5}, to_scatter))),
                job.call(Rank{i}, in(id, allreduce(Reduction::sum, ElementType::uint64,
                                                   payload_of<std::uint64_t>(std::vector<std::uint64_t>(50'000, i)))))};
  }
  job.run();
  for (std::uint32_t i = 0; i < 12; ++i) {
    EXPECT_NE(job.result<Payload>(Rank{i}, calls[i][0]), nullptr);
    EXPECT_EQ(*job.result<Payload>(Rank{i}, calls[i][1]), pattern(i % 2, 3'000'000));
    if (i / 2 == 3) {
      const auto* parts = job.result<Parts>(Rank{i}, calls[i][2]);
      ASSERT_NE(parts, nullptr);
      for (std::uint32_t part = 0; part < 6; ++part) EXPECT_EQ((*parts)[part], pattern(2 * part + i % 2, 50'000));
    }
    EXPECT_EQ(*job.result<Payload>(Rank{i}, calls[i][3]), pattern(i / 2, 40'000));
    const std::uint64_t sum = i % 2 == 0 ? 0 + 2 + 4 + 6 + 8 + 10 : 1 + 3 + 5 + 7 + 9 + 11;
    EXPECT_EQ(values_of<std::uint64_t>(*job.result<Payload>(Rank{i}, calls[i][4])),
              std::vector<std::uint64_t>(50'000, sum));
  }
}

TEST(Subcommunicators, one_made_of_ranks_needs_no_word_from_others_and_each_time_is_another) {
  Job job({.world_size = 8, .ranks_per_host = 2}, 3);
  std::vector<CommunicatorId> ids;
  for (int time = 0; time < 2; ++time) {
    for (const std::uint32_t i : {6u, 1u, 3u}) {
      const CallId id{1000 + static_cast<std::uint64_t>(time)};
      job.operations(Rank{i}).call(job.now, {id, kNever, MakeCommunicator{kWorld, ranks({6, 1, 3})}});
      const Made made = made_of(*job.result<Payload>(Rank{i}, id));
      EXPECT_EQ(made.job_ranks, ranks({6, 1, 3}));
      ids.push_back(made.id);
    }
  }
  EXPECT_EQ(ids[0], ids[1]);
  EXPECT_EQ(ids[0], ids[2]);
  EXPECT_NE(ids[0], ids[3]);
  EXPECT_EQ(job.tree.frames_sent(), 0U);
  std::vector<CallId> calls;
  for (const std::uint32_t i : {6u, 1u, 3u})
    calls.push_back(job.call(Rank{i}, in(ids[0], allgather(Payload::copy(std::to_string(i))))));
  job.run();
  EXPECT_EQ(job.parts(Rank{3}, calls[2]), (std::vector<std::string>{"6", "1", "3"}));
}

TEST(Subcommunicators, what_comes_for_one_that_a_rank_has_yet_to_make_waits) {
  Job job({.world_size = 4}, 2);
  const auto make = [&](std::uint32_t rank) {
    job.operations(Rank{rank}).call(job.now, {CallId{1000}, kNever, MakeCommunicator{kWorld, ranks({3, 2})}});
    return made_of(*job.result<Payload>(Rank{rank}, CallId{1000})).id;
  };
  const CommunicatorId id = make(3);
  const CallId early = job.call(Rank{3}, in(id, broadcast(Rank{0}, Payload::copy("early"))));
  const CallId met = job.call(Rank{3}, in(id, barrier()));
  job.run_for(seconds(3));
  EXPECT_NE(job.done(Rank{3}, early), nullptr);
  EXPECT_EQ(job.done(Rank{3}, met), nullptr);
  make(2);
  const CallId late = job.call(Rank{2}, in(id, broadcast(Rank{0})));
  job.call(Rank{2}, in(id, barrier()));
  job.run();
  EXPECT_EQ(job.result<Payload>(Rank{2}, late)->to_string(), "early");
  EXPECT_NE(job.done(Rank{3}, met), nullptr);
}

TEST(Subcommunicators, errors_name_ranks_as_the_job_does) {
  Job job({.world_size = 8, .ranks_per_host = 2}, 4);
  const auto groups = job.split_all({0, 0, 1, 1, 0, 0, 1, 1});
  const CommunicatorId id = groups[2].id;  // of 2, 3, 6 and 7
  // Two that call different things.
  std::vector<CallId> calls;
  for (const std::uint32_t i : {2u, 3u, 6u}) calls.push_back(job.call(Rank{i}, in(id, barrier())));
  calls.push_back(job.call(Rank{7}, in(id, broadcast(Rank{1}))));
  job.run();
  for (std::size_t i = 0; i < 4; ++i) {
    const Failure* failure = job.failure(groups[2].job_ranks[i], calls[i]);
    ASSERT_NE(failure, nullptr);
    EXPECT_EQ(failure->code, FailureCode::mismatch);
    EXPECT_TRUE(failure->ranks.contains(Rank{7})) << failure->text;
    EXPECT_NE(failure->text.find("rank 7 called broadcast(root 1)"), std::string::npos) << failure->text;
  }
  // One that does not call.
  for (const std::uint32_t i : {2u, 3u, 7u}) calls.push_back(job.call(Rank{i}, in(id, barrier()), seconds(5)));
  job.run_for(seconds(6));
  const Failure* failure = job.failure(Rank{3}, calls[5]);
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->ranks, RankSet::single(Rank{6}));
  EXPECT_NE(failure->text.find("missing 1 of 4: 6"), std::string::npos) << failure->text;
  EXPECT_EQ(failure->host, "host-3");
}

TEST(Subcommunicators, whoever_closes_one_is_named_to_those_who_go_on) {
  Job job({.world_size = 8, .ranks_per_host = 2}, 6);
  const auto groups = job.split_all({0, 0, 0, 0, 0, 0, 0, 0});
  const CommunicatorId id = groups[0].id;
  job.operations(Rank{5}).call(job.now, {CallId{1000}, kNever, LeaveCommunicator{id}});
  std::vector<CallId> calls;
  for (std::uint32_t i = 0; i < 8; ++i) {
    if (i != 5) calls.push_back(job.call(Rank{i}, in(id, barrier())));
  }
  job.run_for(seconds(2));
  const Failure* failure = job.failure(Rank{0}, calls[0]);
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->code, FailureCode::rank_left);
  EXPECT_EQ(failure->ranks, RankSet::single(Rank{5}));
  EXPECT_EQ(job.at(Rank{5}).communicators(), 0U);
  // Nobody else is concerned, and the job goes on.
  for (std::uint32_t i = 0; i < 8; ++i) {
    if (i != 5) job.operations(Rank{i}).call(job.now, {CallId{1000}, kNever, LeaveCommunicator{id}});
  }
  const CallId last = job.call(Rank{0}, barrier());
  for (std::uint32_t i = 1; i < 8; ++i) job.call(Rank{i}, barrier());
  job.run();
  EXPECT_NE(job.result<Payload>(Rank{0}, last), nullptr);
  for (std::uint32_t i = 0; i < 8; ++i) EXPECT_EQ(job.at(Rank{i}).communicators(), 0U);
}

TEST(Subcommunicators, a_rank_that_closes_stays_until_those_below_it_have_left) {
  Job job({.world_size = 3}, 8);
  const auto groups = job.split_all({0, 0, 0});
  const Failure closed{FailureCode::closed, Phase::closing, {}, {}, "closed"};
  // Rank 0 is above the other two; it has given its call before it closed, and the others get what they need.
  job.call(Rank{0}, in(groups[0].id, allgather(pattern(0, 200'000))));
  job.operations(Rank{0}).close(job.now, closed);
  job.run();
  EXPECT_TRUE(job.operations(Rank{0}).owes_bytes());
  std::vector<CallId> calls;
  for (std::uint32_t i = 1; i < 3; ++i)
    calls.push_back(job.call(Rank{i}, in(groups[0].id, allgather(pattern(i, 200'000)))));
  job.run();
  EXPECT_EQ((*job.result<Parts>(Rank{2}, calls[1]))[0], pattern(0, 200'000));
  EXPECT_TRUE(job.operations(Rank{0}).owes_bytes());
  for (std::uint32_t i = 1; i < 3; ++i) job.operations(Rank{i}).close(job.now, closed);
  job.run();
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_FALSE(job.operations(Rank{i}).owes_bytes());
}

TEST(Subcommunicators, a_member_that_does_not_take_its_bytes_costs_the_one_above_waiting_and_not_memory) {
  // 0 - 1 - 2 in a chain of hosts: what rank 0 sends to 2 goes through 1.
  Job job({.world_size = 7, .fan_out = 2}, 9);
  const auto groups = job.split_all({0, 0, 0, 0, 0, 0, 0});
  const CommunicatorId id = groups[0].id;
  const Topology& tree = job.tree.topology(Rank{0});
  ASSERT_EQ(tree.world_size(), 7U);
  // In the communicator 3 stands below 1, which stands below 0. Nothing reaches rank 3 for now.
  const Rank above = job.tree.topology(Rank{3}).parent().rank;
  job.tree.pause(above, Rank{3});
  constexpr std::size_t kBytes = 64 << 20;
  for (std::uint32_t i = 0; i < 7; ++i) job.call(Rank{i}, in(id, barrier()));
  std::vector<CallId> calls;
  for (std::uint32_t i = 0; i < 7; ++i)
    calls.push_back(job.call(Rank{i}, in(id, gather(Rank{3}, i == 0 ? pattern(0, kBytes) : Payload{}))));
  job.run();
  EXPECT_LE(job.operations(Rank{1}).messages().outbound_bytes(), 4 * kMaxStreamFrameBytes);
  job.tree.resume(above, Rank{3});
  job.run();
  EXPECT_EQ((*job.result<Parts>(Rank{3}, calls[3]))[0], pattern(0, kBytes));
}

// Whoever leaves, wherever it stands: the root, one between, a leaf.
TEST(Subcommunicators, a_rank_that_closes_one_is_named_wherever_it_stands_in_its_tree) {
  for (const std::uint32_t leaver : {0u, 1u, 6u}) {
    SCOPED_TRACE(leaver);
    Job job({.world_size = 7, .fan_out = 2}, 11);
    const auto groups = job.split_all(std::vector<std::int32_t>(7, 0));
    job.operations(Rank{leaver}).call(job.now, {CallId{1000}, kNever, LeaveCommunicator{groups[0].id}});
    job.run();
    std::vector<std::pair<Rank, CallId>> calls;
    for (std::uint32_t i = 0; i < 7; ++i) {
      if (i != leaver) calls.emplace_back(Rank{i}, job.call(Rank{i}, in(groups[0].id, barrier())));
    }
    job.run_for(seconds(3));
    for (const auto& [rank, call] : calls) {
      const Failure* failure = job.failure(rank, call);
      ASSERT_NE(failure, nullptr);
      EXPECT_EQ(failure->code, FailureCode::rank_left);
      EXPECT_EQ(failure->ranks, RankSet::single(Rank{leaver})) << failure->text;
    }
  }
}

TEST(Subcommunicators, all_close_one_in_any_order_and_nothing_is_left_of_it) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    const auto size = 2 + static_cast<std::uint32_t>(random.below(12));
    Job job({.world_size = size, .ranks_per_host = 1 + static_cast<std::uint32_t>(random.below(3))}, seed);
    const auto groups = job.split_all(std::vector<std::int32_t>(size, 0));
    std::vector<std::size_t> flows;
    for (std::uint32_t i = 0; i < size; ++i) flows.push_back(job.operations(Rank{i}).messages().inbound_flows());
    // The last calls are still on their way.
    for (std::uint32_t i = 0; i < size; ++i) {
      job.call(Rank{i}, in(groups[0].id, broadcast(Rank{0}, i == 0 ? pattern(1, 60'000) : Payload{})));
      job.call(Rank{i}, in(groups[0].id, gather(Rank{size - 1}, pattern(i, 3'000))));
    }
    std::vector<std::uint32_t> order(size);
    std::iota(order.begin(), order.end(), 0u);
    for (std::uint32_t i = size; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
    for (const std::uint32_t rank : order) {
      job.run(random.below(40));
      job.operations(Rank{rank}).call(job.now, {CallId{1000}, kNever, LeaveCommunicator{groups[0].id}});
    }
    job.run_for(seconds(3));
    for (std::uint32_t i = 0; i < size; ++i) {
      EXPECT_EQ(job.at(Rank{i}).communicators(), 0u);
      EXPECT_EQ(job.operations(Rank{i}).messages().unexpected_bytes(), 0u);
      EXPECT_EQ(job.operations(Rank{i}).messages().outbound_bytes(), 0u);
      EXPECT_LT(job.operations(Rank{i}).messages().inbound_flows(), flows[i]) << "nothing of its lanes is remembered";
    }
    EXPECT_TRUE(job.tree.refusals().empty());
  }
}

TEST(Subcommunicators, a_split_that_its_caller_does_not_wait_for_any_more_is_told_to_those_who_count_on_it) {
  Job job({.world_size = 4, .ranks_per_host = 2}, 12);
  const CallId early = job.call(Rank{0}, split(0, 0), seconds(1));
  job.run_for(seconds(2));
  ASSERT_NE(job.failure(Rank{0}, early), nullptr);
  std::vector<CallId> calls;
  for (std::uint32_t i = 1; i < 4; ++i) calls.push_back(job.call(Rank{i}, split(0, 0)));
  job.run();
  const Made made = made_of(*job.result<Payload>(Rank{1}, calls[0]));
  EXPECT_EQ(made.job_ranks, ranks({0, 1, 2, 3}));
  std::vector<CallId> barriers;
  for (std::uint32_t i = 1; i < 4; ++i) barriers.push_back(job.call(Rank{i}, in(made.id, barrier())));
  job.run_for(seconds(2));
  for (std::uint32_t i = 1; i < 4; ++i) {
    const Failure* failure = job.failure(Rank{i}, barriers[i - 1]);
    ASSERT_NE(failure, nullptr);
    EXPECT_EQ(failure->ranks, RankSet::single(Rank{0})) << failure->text;
  }
}

// Rank 1 leads rank 3 and 4 in the communicator's tree; it says what nobody may say there.
TEST(Subcommunicators, a_member_that_breaks_the_protocol_is_named_and_the_job_goes_on) {
  Job job({.world_size = 5, .fan_out = 2}, 13);
  const auto groups = job.split_all(std::vector<std::int32_t>(5, 0));
  const wire::Tag tag(0, wire::Space::link_data, groups[0].id);
  MessageRequests bad(Caller::store);
  for (int i = 0; i < 1000; ++i) bad.receive(Rank{0}, tag);  // numbers that nobody else uses
  bad.take();
  bad.send(Rank{0}, tag, pattern(9, 3));
  for (MessageRequest& request : bad.take()) job.operations(Rank{1}).messages().carry_out(job.now, std::move(request));
  const CallId waits = job.call(Rank{2}, in(groups[0].id, barrier()));
  job.call(Rank{0}, in(groups[0].id, barrier()));
  job.run_for(seconds(2));
  const Failure* failure = job.failure(Rank{2}, waits);
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->ranks, RankSet::single(Rank{1})) << failure->text;
  const CallId met = job.call(Rank{0}, barrier());
  for (std::uint32_t i = 1; i < 5; ++i) job.call(Rank{i}, barrier());
  job.run();
  EXPECT_NE(job.result<Payload>(Rank{0}, met), nullptr);
}

TEST(Subcommunicators, a_member_that_goes_without_a_word_while_it_owes_bytes_is_named) {
  Job job({.world_size = 3, .fan_out = 2}, 16);
  const auto groups = job.split_all({0, 0, 0});
  const auto collect = [&](std::uint32_t rank) {
    return job.call(Rank{rank}, in(groups[0].id, gather(Rank{0}, pattern(rank, 1 << 20))));
  };
  collect(1);
  job.run();
  job.operations(Rank{1}).fail_all(job.now, {FailureCode::closed, Phase::closing, {}, {}, "gone"});
  job.run();
  const std::vector<CallId> calls = {collect(0), collect(2)};
  job.run_for(seconds(3));
  const Failure* failure = job.failure(Rank{0}, calls[0]);
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->code, FailureCode::rank_left);
  EXPECT_EQ(failure->ranks, RankSet::single(Rank{1})) << failure->text;
}

TEST(Subcommunicators, a_frame_that_is_longer_than_frames_may_be_is_not_taken) {
  Job job({.world_size = 3, .fan_out = 2}, 14);
  const auto groups = job.split_all(std::vector<std::int32_t>(3, 0));
  MessageRequests bad(Caller::store);
  for (int i = 0; i < 1000; ++i) bad.receive(Rank{0}, {0, wire::Space::link_control, groups[0].id});
  bad.take();
  bad.send(Rank{0}, {0, wire::Space::link_control, groups[0].id}, pattern(9, kMaxFrameBytes + 1));
  for (MessageRequest& request : bad.take()) job.operations(Rank{1}).messages().carry_out(job.now, std::move(request));
  const CallId waits = job.call(Rank{2}, in(groups[0].id, barrier()));
  job.call(Rank{0}, in(groups[0].id, barrier()));
  job.run_for(seconds(2));
  const Failure* failure = job.failure(Rank{2}, waits);
  EXPECT_GT(job.operations(Rank{1}).messages().outbound_bytes(), kMaxFrameBytes);
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->ranks, RankSet::single(Rank{1})) << failure->text;
}

// A rank that closes goes on for its communicators and takes nothing more for the application.
TEST(Subcommunicators, while_a_rank_that_closes_stays_for_others_sends_to_it_fail_at_once) {
  Job job({.world_size = 3}, 15);
  const auto groups = job.split_all({0, 0, 0});
  const Failure closed{FailureCode::closed, Phase::closing, {}, {}, "closed"};
  const auto message = [&](std::uint64_t id, std::size_t bytes) {
    job.operations(Rank{2}).call(job.now, {CallId{id}, kNever, Send{Rank{0}, 5, pattern(id, bytes)}});
    return CallId{id};
  };
  const CallId before = message(2000, 100'000);
  job.run();
  job.operations(Rank{0}).close(job.now, closed);
  job.run();
  const CallId after_it = message(2001, 3);
  job.operations(Rank{2}).call(job.now, {CallId{2002}, kNever, Receive{Rank{0}, 6}});
  job.run_for(seconds(3));
  EXPECT_TRUE(job.operations(Rank{0}).owes_bytes());
  for (const CallId id : {before, after_it, CallId{2002}}) {
    const Failure* failure = job.failure(Rank{2}, id);
    ASSERT_NE(failure, nullptr) << raw(id);
    EXPECT_EQ(failure->code, FailureCode::rank_left);
  }
  // Its communicator's links still stand.
  for (std::uint32_t i = 1; i < 3; ++i) job.operations(Rank{i}).close(job.now, closed);
  job.run();
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_FALSE(job.operations(Rank{i}).owes_bytes());
}

}  // namespace
}  // namespace banyan::node
