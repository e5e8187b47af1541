// Neighbours that break the protocol: their frames are refused, or at least harm nothing.
#include <functional>

#include <gtest/gtest.h>

#include "node/collective_entries.hh"
#include "node/collective_roll_call.hh"
#include "node/collective_stream.hh"
#include "node/collectives_job.hh"
#include "wire/control.hh"

namespace banyan::node {
namespace {

using namespace std::chrono_literals;
using wire::Part;

const CallSignature kBarrier{.kind = CollectiveKind::barrier};
const CallSignature kAllgather{.kind = CollectiveKind::allgather};
const CallSignature kAllreduce{CollectiveKind::allreduce, Reduction::sum, ElementType::uint8, kNoRank, 8};
const CallSignature kLargeAllreduce{CollectiveKind::allreduce, Reduction::sum, ElementType::uint8, kNoRank,
                                    1024 * 1024};

CallSignature rooted(CollectiveKind kind, std::uint32_t root) { return {.kind = kind, .root = Rank{root}}; }

Payload entry(std::uint32_t rank, std::uint32_t bytes, std::uint64_t offset, std::uint64_t total, std::size_t follow) {
  Writer writer;
  Entry{Rank{rank}, bytes, offset, total}.write(writer);
  for (std::size_t i = 0; i < follow; ++i) writer.number(std::uint8_t{7});
  return Payload(std::move(writer).finish());
}
Payload entry(std::uint32_t rank, std::uint32_t bytes) { return entry(rank, bytes, 0, bytes, bytes); }

// Rank 0 is the root, its children 1 and 2 lead hosts of their own, each with one more rank below: 3 or 4 hold the
// places under 1 or 2. What stands where is asked of the topology, since the seed deals the places.
class CollectivesPeers : public testing::Test {
 protected:
  struct Frame {
    Frame(Part part, std::uint64_t sequence, const CallSignature& call) {
      head.part = part;
      head.sequence = Sequence{sequence};
      head.call = call;
      head.caller = Rank{1};
    }
    Frame& caller(std::uint32_t rank) { return head.caller = Rank{rank}, *this; }
    Frame& about(std::uint32_t rank) { return head.about = Rank{rank}, *this; }
    Frame& place(std::uint64_t offset, std::uint64_t total) { return head.offset = offset, head.total = total, *this; }
    Frame& with(Payload bytes) { return tail = std::move(bytes), *this; }
    wire::Collective head;
    Payload tail;
  };

  CollectivesPeers() : job({.world_size = 5, .ranks_per_host = 1, .fan_out = 2}, 1) {
    child = job.tree.topology(Rank{0}).children()[0].rank;
    other_child = job.tree.topology(Rank{0}).children()[1].rank;
    for (std::uint32_t i = 1; i < 5; ++i) {
      const Topology& topology = job.tree.topology(Rank{i});
      if (Rank{i} != child && topology.parent().rank == child) below_child = Rank{i};
    }
  }

  // Hands the frame to `at` as if its neighbour `from` had sent it.
  bool give(Rank at, Rank from, const Frame& frame) {
    return job.at(at).on_frame(job.now, job.tree.link(at, from), frame.head, frame.tail);
  }
  // At the root, from its first child.
  bool up(const Frame& frame) { return give(kRootRank, child, frame); }
  // At the root's first child, from the root.
  bool down(const Frame& frame) { return give(child, kRootRank, frame); }

  CollectivesJob job;
  Rank child{};
  Rank other_child{};
  Rank below_child{};
};

TEST_F(CollectivesPeers, frames_from_strangers_or_for_unknown_communicators_are_refused) {
  Frame vote(Part::vote, 0, kBarrier);
  EXPECT_FALSE(job.at(kRootRank).on_frame(job.now, LinkId{999}, vote.head, {}));
  EXPECT_FALSE(job.at(kRootRank).on_frame(job.now, kNoLink, vote.head, {}));
  vote.head.communicator = CommunicatorId{1};
  EXPECT_FALSE(up(vote));
}

TEST_F(CollectivesPeers, votes_come_once_and_in_order_from_below) {
  EXPECT_FALSE(up(Frame(Part::vote, 1, kBarrier)));
  EXPECT_FALSE(up(Frame(Part::vote, 0, kBarrier).with(Payload::copy("x"))));
  EXPECT_FALSE(up(Frame(Part::vote, 0, kBarrier).caller(5)));
  EXPECT_FALSE(up(Frame(Part::vote, 0, rooted(CollectiveKind::barrier, 0))));
  EXPECT_FALSE(up(Frame(Part::vote, 0, rooted(CollectiveKind::broadcast, 5))));
  EXPECT_FALSE(down(Frame(Part::vote, 0, kBarrier)));
  EXPECT_TRUE(up(Frame(Part::vote, 0, kBarrier)));
  EXPECT_FALSE(up(Frame(Part::vote, 0, kBarrier)));
  for (std::uint64_t i = 1; i < kMaxCollectivesInFlight; ++i) EXPECT_TRUE(up(Frame(Part::vote, i, kBarrier)));
  EXPECT_FALSE(up(Frame(Part::vote, kMaxCollectivesInFlight, kBarrier)));
}

TEST_F(CollectivesPeers, only_the_sources_subtree_says_how_long_a_broadcast_is) {
  const CallSignature own = rooted(CollectiveKind::broadcast, 0);
  EXPECT_FALSE(up(Frame(Part::vote, 0, own).place(0, 1'000'000)));
  const CallSignature others = rooted(CollectiveKind::broadcast, raw(other_child));
  EXPECT_FALSE(up(Frame(Part::vote, 0, others).place(0, 1'000'000)));
  EXPECT_TRUE(up(Frame(Part::vote, 0, others)));
  EXPECT_TRUE(give(kRootRank, other_child, Frame(Part::vote, 0, others).place(0, 1'000'000)));
}

TEST_F(CollectivesPeers, a_child_that_has_left_says_no_more) {
  job.at(kRootRank).on_child_left(job.tree.link(kRootRank, child));
  EXPECT_FALSE(up(Frame(Part::vote, 0, kBarrier)));
}

TEST_F(CollectivesPeers, what_only_the_root_knows_comes_from_above_and_once) {
  EXPECT_FALSE(up(Frame(Part::go, 0, kBarrier)));
  EXPECT_FALSE(up(Frame(Part::retired, 0, {})));
  EXPECT_FALSE(up(Frame(Part::question, 0, {})));
  // This rank's subtree has not voted yet: not all can have called.
  EXPECT_FALSE(down(Frame(Part::go, 0, kBarrier)));
  EXPECT_FALSE(down(Frame(Part::retired, 0, {})));
  job.call_all(barrier(), kForever, RankSet::single(kRootRank));
  job.run();
  EXPECT_FALSE(down(Frame(Part::go, 0, kBarrier).with(Payload::copy("x"))));
  EXPECT_FALSE(down(Frame(Part::go, 0, kAllgather)));
  EXPECT_FALSE(down(Frame(Part::go, 0, kBarrier).place(1, 1)));
  EXPECT_TRUE(down(Frame(Part::go, 0, kBarrier)));
  EXPECT_FALSE(down(Frame(Part::go, 0, kBarrier)));
  EXPECT_FALSE(down(Frame(Part::retired, 0, {})));
}

TEST_F(CollectivesPeers, a_child_that_counts_too_many_missing_does_not_make_its_parent_count_more_than_there_are) {
  MissingRanks all;
  for (std::uint32_t i = 0; i < 5; ++i) all.insert(Rank{i});
  EXPECT_TRUE(give(child, below_child, Frame(Part::missing, 0, kBarrier).with(all.write())));
  job.run_for(2s);
  EXPECT_TRUE(job.tree.refusals().empty());
}

TEST_F(CollectivesPeers, a_barrier_has_no_bytes) {
  EXPECT_FALSE(up(Frame(Part::data, 0, kBarrier)));
  EXPECT_FALSE(down(Frame(Part::data, 0, kBarrier).place(0, 1).with(Payload::copy("x"))));
}

TEST_F(CollectivesPeers, a_broadcast_comes_from_its_roots_side_in_order_and_large_only_after_go) {
  const CallSignature own = rooted(CollectiveKind::broadcast, raw(child));
  EXPECT_FALSE(give(kRootRank, other_child, Frame(Part::data, 0, own).place(0, 1).with(Payload::copy("x"))));
  EXPECT_FALSE(down(Frame(Part::data, 0, own).place(0, 1).with(Payload::copy("x"))));
  EXPECT_FALSE(up(Frame(Part::data, 0, own).place(0, 2).with(Payload::copy("x"))));
  EXPECT_FALSE(up(Frame(Part::data, 0, own).place(0, 1).about(1).with(Payload::copy("x"))));
  EXPECT_FALSE(up(Frame(Part::data, 0, own).place(0, 100'000).with(pattern(1, kChunkBytes))));
  EXPECT_FALSE(up(Frame(Part::data, kMaxCollectivesInFlight, own).place(0, 1).with(Payload::copy("x"))));
  const std::uint64_t total = kChunkBytes + 10;
  EXPECT_FALSE(up(Frame(Part::data, 0, own).place(kChunkBytes, total).with(pattern(1, 10))));
  EXPECT_TRUE(up(Frame(Part::data, 0, own).place(0, total).with(pattern(1, kChunkBytes))));
  EXPECT_FALSE(up(Frame(Part::data, 0, own).place(0, total).with(pattern(1, kChunkBytes))));
  EXPECT_FALSE(up(Frame(Part::data, 0, own).place(kChunkBytes, total + 1).with(pattern(1, 11))));
  EXPECT_TRUE(up(Frame(Part::data, 0, own).place(kChunkBytes, total).with(pattern(1, 10))));
  EXPECT_FALSE(up(Frame(Part::data, 0, own).place(kChunkBytes, total).with(pattern(1, 10))));
}

TEST_F(CollectivesPeers, long_streams_have_larger_chunks_and_reductions_have_not) {
  job.call_all(broadcast(kRootRank, pattern(1, 1)), kForever, RankSet::single(kRootRank));
  job.run();
  const CallSignature call = rooted(CollectiveKind::broadcast, 0);
  const std::uint64_t total = kStreamChunks * kChunkBytes + 1;
  EXPECT_TRUE(down(Frame(Part::go, 0, call)));
  EXPECT_FALSE(down(Frame(Part::data, 0, call).place(0, total).with(pattern(1, kChunkBytes))));
  EXPECT_TRUE(down(Frame(Part::data, 0, call).place(0, total).with(pattern(1, 2 * kChunkBytes))));
  EXPECT_FALSE(down(Frame(Part::data, 0, call).place(3 * kChunkBytes, total).with(pattern(1, 2 * kChunkBytes))));
  EXPECT_TRUE(down(Frame(Part::data, 0, call).place(2 * kChunkBytes, total).with(pattern(1, 2 * kChunkBytes))));
}

TEST_F(CollectivesPeers, a_long_reductions_chunks_are_short) {
  CallSignature call = kLargeAllreduce;
  call.count = kStreamChunks * kChunkBytes + 1;
  job.call_all(allreduce(Reduction::sum, ElementType::uint8, pattern(1, call.count)), kForever, RankSet::single(child));
  job.run();
  job.at(kRootRank).on_frame(job.now, job.tree.link(kRootRank, child), Frame(Part::vote, 0, call).head, {});
  EXPECT_FALSE(up(Frame(Part::data, 0, call).place(0, call.count).with(pattern(1, 2 * kChunkBytes))));
  EXPECT_TRUE(up(Frame(Part::data, 0, call).place(0, call.count).with(pattern(1, kChunkBytes))));
}

TEST_F(CollectivesPeers, entries_name_ranks_that_lie_where_they_come_from_and_bytes_that_add_up) {
  const auto gives = [&](Payload tail) { return up(Frame(Part::data, 0, kAllgather).with(std::move(tail))); };
  const std::uint32_t below = raw(below_child);
  EXPECT_FALSE(gives({}));
  EXPECT_FALSE(gives(pattern(1, Entry::kBytes - 1)));
  EXPECT_FALSE(gives(entry(5, 1)));
  EXPECT_FALSE(gives(entry(raw(other_child), 1)));
  EXPECT_FALSE(gives(entry(0, 1)));
  EXPECT_FALSE(gives(entry(below, 2, 0, 1, 2)));
  EXPECT_FALSE(gives(entry(below, 2, 0, 2, 1)));
  EXPECT_FALSE(gives(entry(below, 0, 0, 1, 0)));
  EXPECT_FALSE(gives(entry(below, 1, 1, 2, 1)));
  EXPECT_FALSE(gives(entry(below, 1000, 0, kEagerCollectiveBytes + 1, 1000)));
  EXPECT_FALSE(gives(entry(below, 8, 0, kMaxMessageBytes + 1, 8)));
  EXPECT_FALSE(gives(entry(below, 1, 0, 1026, 1)));
  EXPECT_FALSE(gives(entry(below, 1023, 0, 1026, 1023)));
  EXPECT_TRUE(gives(entry(below, 1024, 0, 1026, 1024)));
  EXPECT_FALSE(gives(entry(below, 1024, 0, 1026, 1024)));
  EXPECT_FALSE(gives(entry(below, 1, 1024, 1026, 1)));
  EXPECT_FALSE(gives(entry(below, 1, 1024, 1025, 1)));
  EXPECT_TRUE(gives(entry(below, 2, 1024, 1026, 2)));
  EXPECT_FALSE(gives(entry(below, 0, 1026, 1026, 0)));
  EXPECT_TRUE(gives(entry(raw(child), 0)));
  EXPECT_FALSE(gives(entry(raw(child), 0)));
  EXPECT_FALSE(up(Frame(Part::data, 0, kAllgather).with(pattern(1, kMaxCollectiveTail))));
}

TEST_F(CollectivesPeers, entries_that_are_only_passed_on_are_checked_too) {
  std::uint64_t sequence = 0;  // a different operation each time
  const auto gives = [&](const CallSignature& call, Payload tail) {
    return give(child, below_child, Frame(Part::data, sequence++, call).with(std::move(tail)));
  };
  EXPECT_FALSE(gives(kAllgather, {}));
  EXPECT_FALSE(gives(kAllgather, entry(5, 1)));
  EXPECT_FALSE(gives(kAllgather, entry(1, 2, 0, 2, 1)));
  EXPECT_FALSE(gives(kAllgather, entry(raw(below_child), 1, 0, 2000, 1)));
  // Back to where it came from.
  EXPECT_FALSE(gives(rooted(CollectiveKind::gather, raw(below_child)), entry(1, 1)));
  EXPECT_FALSE(gives(rooted(CollectiveKind::scatter, raw(below_child)), entry(raw(below_child), 1)));
  // From the wrong side.
  EXPECT_FALSE(gives(rooted(CollectiveKind::scatter, 0), entry(raw(child), 1)));
  const CallSignature elsewhere = rooted(CollectiveKind::gather, raw(other_child));
  EXPECT_FALSE(down(Frame(Part::data, sequence, elsewhere).with(entry(0, 1))));
}

TEST_F(CollectivesPeers, a_part_of_a_scatter_comes_once_and_in_order) {
  const CallSignature scatter = rooted(CollectiveKind::scatter, 0);
  const auto gives = [&](Payload tail) { return down(Frame(Part::data, 0, scatter).with(std::move(tail))); };
  const std::uint32_t own = raw(child);
  EXPECT_FALSE(gives({}));
  EXPECT_FALSE(gives(entry(0, 1)));
  EXPECT_FALSE(gives(entry(own, 1, 1, 2, 1)));
  EXPECT_FALSE(gives(entry(own, 100, 0, kEagerCollectiveBytes + 1, 100)));
  EXPECT_FALSE(gives(entry(own, 1, 0, 2, 1)));
  EXPECT_FALSE(gives(entry(own, 1023, 0, 1025, 1023)));
  EXPECT_TRUE(gives(entry(own, 1024, 0, 1025, 1024)));
  EXPECT_FALSE(gives(entry(own, 2, 1024, 1026, 2)));
  EXPECT_TRUE(gives(entry(own, 1, 1024, 1025, 1)));
  EXPECT_FALSE(gives(entry(own, 0, 1025, 1025, 0)));
}

TEST_F(CollectivesPeers, vectors_have_the_size_that_the_call_says_and_keep_to_the_window) {
  EXPECT_FALSE(up(Frame(Part::data, 0, kAllreduce).place(0, 9).with(pattern(1, 9))));
  EXPECT_FALSE(up(Frame(Part::data, 0, kAllreduce).place(0, 8).with(pattern(1, 7))));
  EXPECT_FALSE(up(Frame(Part::data, 0, kAllreduce).place(0, 8).about(1).with(pattern(1, 8))));
  EXPECT_TRUE(up(Frame(Part::data, 0, kAllreduce).place(0, 8).with(pattern(1, 8))));
  EXPECT_FALSE(up(Frame(Part::data, 0, kAllreduce).place(0, 8).with(pattern(1, 8))));
  // Large: nothing before `go`.
  EXPECT_FALSE(up(Frame(Part::data, 1, kLargeAllreduce).place(0, kLargeAllreduce.count).with(pattern(1, kChunkBytes))));
  // A result that cannot be, since this rank has not given its vector.
  EXPECT_FALSE(down(Frame(Part::data, 0, kAllreduce).place(0, 8).with(pattern(1, 8))));
}

TEST_F(CollectivesPeers, credit_goes_forward_and_stays_within_the_vector) {
  const std::uint64_t total = kLargeAllreduce.count;
  job.call_all(allreduce(Reduction::sum, ElementType::uint8, pattern(1, total)), kForever, RankSet::single(kRootRank));
  job.run();
  const auto credit = [&](std::uint64_t chunks) {
    return down(Frame(Part::go, 0, kLargeAllreduce).place(chunks * kChunkBytes, total));
  };
  EXPECT_FALSE(credit(10));  // before `go`
  EXPECT_TRUE(down(Frame(Part::go, 0, kLargeAllreduce).place(0, total)));
  EXPECT_FALSE(credit(8));
  EXPECT_TRUE(credit(12));
  EXPECT_FALSE(credit(12));
  EXPECT_TRUE(credit(32));
  EXPECT_FALSE(down(Frame(Part::go, 0, kLargeAllreduce).place(33 * kChunkBytes, 40 * kChunkBytes)));
  EXPECT_FALSE(down(Frame(Part::data, 0, kLargeAllreduce).place(kChunkBytes, total).with(pattern(1, kChunkBytes))));
}

TEST_F(CollectivesPeers, the_result_of_an_allgather_follows_the_contribution_and_adds_up) {
  const auto result = [&](const Payload& stream) {
    return down(Frame(Part::data, 0, kAllgather).place(0, stream.size()).with(stream));
  };
  const Payload good = Parts::join(std::vector<Payload>(5, Payload::copy("abc"))).stream();
  EXPECT_FALSE(result(good));
  // Called, but the ranks below have not, so that nothing of theirs or its own has gone up.
  job.call(child, allgather(Payload::copy("abc")));
  EXPECT_FALSE(result(good));
  for (const bool too_short : {true, false}) {
    CollectivesJob fresh({.world_size = 5, .ranks_per_host = 1, .fan_out = 2}, 1);
    fresh.call_all(allgather(Payload::copy("abc")), kForever, RankSet::single(kRootRank));
    fresh.run();
    const Payload bad = too_short ? good.part(0, good.size() - 1) : good.part(0, 39);
    Frame frame(Part::data, 0, kAllgather);
    frame.place(0, bad.size());
    EXPECT_FALSE(fresh.at(child).on_frame(fresh.now, fresh.tree.link(child, kRootRank), frame.head, bad));
  }
}

TEST_F(CollectivesPeers, bytes_of_an_operation_that_is_over_are_refused) {
  job.call_all(allreduce(Reduction::sum, ElementType::uint8, pattern(1, 8)));
  job.call_all(gather(kRootRank, pattern(1, 8)));
  job.run();
  EXPECT_FALSE(up(Frame(Part::data, 0, kAllreduce).place(0, 8).with(pattern(1, 8))));
  EXPECT_FALSE(down(Frame(Part::data, 0, kAllreduce).place(0, 8).with(pattern(1, 8))));
  EXPECT_FALSE(up(Frame(Part::data, 1, rooted(CollectiveKind::gather, 0)).with(entry(raw(child), 8))));
  EXPECT_FALSE(up(Frame(Part::data, 1, rooted(CollectiveKind::broadcast, raw(child))).with({})));
}

TEST_F(CollectivesPeers, malformed_failures_and_lists_are_refused) {
  EXPECT_FALSE(up(Frame(Part::failed, 0, kBarrier).with(Payload::copy("?"))));
  EXPECT_FALSE(down(Frame(Part::failed, 0, kBarrier)));
  Writer names_a_stranger;
  wire::write(names_a_stranger, Failure{FailureCode::mismatch, Phase::running, RankSet::single(Rank{5}), {}, "?"});
  EXPECT_FALSE(up(Frame(Part::failed, 0, kBarrier).with(Payload(std::move(names_a_stranger).finish()))));
  EXPECT_FALSE(up(Frame(Part::missing, 0, {})));
  EXPECT_FALSE(up(Frame(Part::missing, 0, {}).with(MissingRanks{RankSet::single(Rank{5}), 1}.write())));
  EXPECT_FALSE(up(Frame(Part::missing, 0, {}).with(MissingRanks{RankSet::single(Rank{1}), 0}.write())));
  EXPECT_FALSE(up(Frame(Part::missing, 0, {}).with(MissingRanks{RankSet::single(Rank{1}), 6}.write())));
  EXPECT_FALSE(up(Frame(Part::missing, 2 * kMaxCollectivesInFlight, {}).with(MissingRanks{}.write())));
  EXPECT_FALSE(down(Frame(Part::question, 0, {}).with(Payload::copy("x"))));
  EXPECT_FALSE(down(Frame(Part::question, 2 * kMaxCollectivesInFlight, {})));
}

TEST_F(CollectivesPeers, failures_of_operations_long_retired_are_refused_and_others_told_once) {
  constexpr std::uint64_t kCalls = 300;
  for (std::uint64_t i = 0; i < kCalls; ++i) {
    job.call_all(barrier());
    job.run();
  }
  const auto told = [&](std::uint64_t sequence) {
    Writer writer;
    wire::write(writer, Failure{FailureCode::mismatch, Phase::running, {}, {}, "?"});
    const bool fine = up(Frame(Part::failed, sequence, kBarrier).with(Payload(std::move(writer).finish())));
    std::size_t frames = 0;
    for (const Effect& effect : job.tree.effects(kRootRank).take()) {
      const auto* send = std::get_if<effect::SendFrame>(&effect);
      if (send != nullptr) ++frames;
    }
    return std::pair(fine, frames);
  };
  using Told = std::pair<bool, std::size_t>;
  const std::uint64_t oldest = kCalls - 2 * kMaxCollectivesInFlight;
  EXPECT_EQ(told(0), Told(false, 0));
  EXPECT_EQ(told(oldest - 1), Told(false, 0));
  for (std::uint64_t i = 0; i < 4 * kMaxCollectivesInFlight; ++i) EXPECT_EQ(told(oldest + i), Told(true, 2)) << i;
  for (std::uint64_t i = 0; i < 4 * kMaxCollectivesInFlight; ++i) EXPECT_EQ(told(oldest + i), Told(true, 0)) << i;
  EXPECT_EQ(told(oldest + 4 * kMaxCollectivesInFlight), Told(false, 0));
  EXPECT_FALSE(down(Frame(Part::question, 0, {})));
}

TEST_F(CollectivesPeers, a_disputed_call_waits_for_the_roots_word_and_the_dispute_is_reported_once) {
  const CallSignature message = rooted(CollectiveKind::broadcast, 0);
  EXPECT_TRUE(down(Frame(Part::data, 0, message).place(0, 1).caller(0).with(Payload::copy("x"))));
  EXPECT_TRUE(give(child, below_child, Frame(Part::vote, 0, kBarrier).caller(raw(below_child))));
  EXPECT_TRUE(down(Frame(Part::data, 0, kAllgather)));
  const CallId id = job.call(child, broadcast(kRootRank));
  EXPECT_EQ(job.done(child, id), nullptr);
  std::size_t reports = 0;
  job.tree.run([&](Rank to, LinkId from, const wire::Frame& frame) {
    const auto decoded = wire::decode_with_tail<wire::Collective>(frame.body);
    if (to == kRootRank && decoded->message.part == Part::failed) ++reports;
    return job.deliver(to, from, frame);
  });
  EXPECT_EQ(reports, 1u);
  ASSERT_NE(job.failure(child, id), nullptr);
  EXPECT_EQ(job.failure(child, id)->text,
            "rank " + std::to_string(raw(below_child)) + " called barrier() where rank 0 called broadcast(root 0)");
}

// What `rank` says with Part::missing to its neighbour `to` when all frames are taken from the links and thrown away.
std::vector<std::pair<RankSet, bool>> heard(CollectivesJob& job, Rank rank, Rank to) {
  std::vector<std::pair<RankSet, bool>> answers;
  job.tree.run([&](Rank at, LinkId from, const wire::Frame& frame) {
    const auto decoded = wire::decode_with_tail<wire::Collective>(frame.body);
    if (at != to || job.tree.neighbour(at, from) != rank || decoded->message.part != Part::missing) return true;
    const auto missing = MissingRanks::read(decoded->tail, job.world_size());
    answers.emplace_back(missing->named, decoded->message.deferred);
    return true;
  });
  return answers;
}

TEST_F(CollectivesPeers, a_child_is_missing_only_if_a_whole_round_went_by_without_its_answer) {
  using Answers = std::vector<std::pair<RankSet, bool>>;
  job.call(child, barrier());
  EXPECT_TRUE(down(Frame(Part::question, 0, {})));
  EXPECT_EQ(heard(job, child, kRootRank), (Answers{{RankSet{}, true}}));
  RankSet below;
  for (const Neighbour& neighbour : job.tree.topology(child).children()) below.insert(neighbour.rank);
  EXPECT_TRUE(down(Frame(Part::question, 0, {})));
  EXPECT_EQ(heard(job, child, kRootRank), (Answers{{below, false}}));
}

TEST_F(CollectivesPeers, the_root_tells_who_is_missing_when_all_have_answered_for_good) {
  using Answers = std::vector<std::pair<RankSet, bool>>;
  const auto answer = [&](Rank from, const RankSet& missing, bool provisional) {
    Frame frame(Part::missing, 0, {});
    frame.head.deferred = provisional;
    return give(kRootRank, from, frame.with(MissingRanks{missing, missing.count()}.write()));
  };
  job.call(kRootRank, barrier(), 10s);
  job.now += 300ms;
  job.at(kRootRank).on_time(job.now);
  EXPECT_TRUE(answer(other_child, {}, false));
  EXPECT_TRUE(answer(child, RankSet::single(child), true));
  EXPECT_EQ(heard(job, kRootRank, child), Answers{});
  EXPECT_TRUE(answer(child, RankSet::single(below_child), false));
  EXPECT_EQ(heard(job, kRootRank, child), (Answers{{RankSet::single(below_child), false}}));
}

TEST(EntryCollector, it_keeps_what_has_come_and_room_for_all_ranks_only_once_this_rank_has_called) {
  EntryCollector collector(kMaxWorldSize);
  EXPECT_TRUE(collector.accept({Rank{7}, 2, 0, 2}, Payload::copy("hi")));
  EXPECT_TRUE(collector.accept({Rank{3}, 1024, 0, 2000}, pattern(1, 1024)));
  EXPECT_FALSE(collector.accept({Rank{7}, 2, 0, 2}, Payload::copy("hi")));
  EXPECT_EQ(collector.slots(), 2u);

  EntryCollector small(3);
  EXPECT_TRUE(small.accept({Rank{2}, 1024, 0, 1026}, pattern(2, 1024)));
  EXPECT_TRUE(small.accept({Rank{1}, 0, 0, 0}, {}));
  small.expect_all();
  small.put(Rank{0}, Payload::copy("own"));
  EXPECT_FALSE(small.accept({Rank{1}, 0, 0, 0}, {}));
  EXPECT_FALSE(small.complete());
  EXPECT_TRUE(small.accept({Rank{2}, 2, 1024, 1026}, Payload::copy("xy")));
  ASSERT_TRUE(small.complete());
  const auto parts = small.take();
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].to_string(), "own");
  EXPECT_TRUE(parts[1].empty());
  EXPECT_EQ(parts[2].size(), 1026u);
}

// Takes true frames and changes a byte, a length or the sender now and then.
TEST(CollectivesFuzz, damaged_frames_never_do_more_than_end_a_link) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    CollectivesJob job({.world_size = 9, .ranks_per_host = 2, .fan_out = 2, .root_leads = seed % 2 == 0}, seed);
    Random random(seed);
    std::vector<std::pair<wire::Collective, Payload>> seen;
    const auto deliver = [&](Rank to, LinkId from, const wire::Frame& frame) {
      if (frame.kind != wire::Kind::collective) return job.deliver(to, from, frame);
      auto body = values_of<std::uint8_t>(frame.body);
      if (random.below(6) == 0)
        body[random.below(std::min<std::size_t>(body.size(), 120))] = static_cast<std::uint8_t>(random.next());
      if (random.below(30) == 0) body.resize(random.below(body.size() + 1));
      const auto decoded = wire::decode_with_tail<wire::Collective>(payload_of(std::move(body)));
      if (!decoded) return true;
      seen.emplace_back(decoded->message, decoded->tail);
      job.at(to).on_frame(job.now, from, decoded->message, decoded->tail);
      if (random.below(4) == 0) {
        const auto& [head, tail] = seen[random.below(seen.size())];
        job.at(to).on_frame(job.now, from, head, tail);
      }
      job.operations(to).settle(job.now);
      return true;
    };
    for (int step = 0; step < 20; ++step) {
      const Payload bytes = pattern(seed, random.below(10) == 0 ? 150'000 : 4 * random.below(300));
      const Rank root{static_cast<std::uint32_t>(random.below(9))};
      const auto all_to = [&](Rank rank) {
        std::vector<std::uint64_t> counts(9, 0);
        counts[raw(rank)] = bytes.size();
        return counts;
      };
      const std::vector<Collective> choices = {
          barrier(),
          broadcast(root, bytes),
          allgather(bytes),
          gather(root, bytes),
          scatter(root, std::vector<Payload>(9, bytes)),
          reduce(root, Reduction::sum, ElementType::int16, bytes),
          allreduce(Reduction::max, ElementType::float32, bytes),
          alltoall(std::vector<Payload>(9, bytes)),
          reduce_scatter(Reduction::sum, ElementType::uint8, bytes, all_to(root)),
          scan(CollectiveKind::exclusive_scan, Reduction::min, ElementType::int32, bytes)};
      job.call_all(choices[random.below(choices.size())], 10s);
      job.tree.run(deliver, random.below(40));
    }
    for (int i = 0; i < 12; ++i) {
      job.tree.run(deliver, 5000);
      job.now += 1s;
      for (std::uint32_t rank = 0; rank < 9; ++rank) job.at(Rank{rank}).on_time(job.now);
    }
    job.tree.collect_all();
    for (std::uint32_t rank = 0; rank < 9; ++rank) {
      EXPECT_EQ(job.tree.completions(Rank{rank}).size(), 20u) << "rank " << rank;
      EXPECT_LE(job.at(Rank{rank}).operations_kept(), 3 * kMaxCollectivesInFlight);
    }
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace banyan::node
