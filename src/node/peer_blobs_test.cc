// Blobs where the table is lazy: that everybody gets everybody's, how many are asked for at a time, and that neither
// time nor a rank that breaks the rules leaves anything behind.
#include "node/peer_blobs.hh"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "node/collectives_job.hh"
#include "wire/blob.hh"

namespace banyan::node {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Rank R(std::uint32_t rank) { return Rank{rank}; }
std::string blob_of(std::uint32_t rank) { return "blob of " + std::to_string(rank); }

FormedShape lazy(FormedShape shape) {
  shape.lazy_table = true;
  return shape;
}

class BlobJob : public CollectivesJob {
 public:
  explicit BlobJob(const FormedShape& shape, std::uint64_t seed = 1, const Limits& limits = {})
      : CollectivesJob(lazy(shape), seed, limits) {}

  CallId fetch(Rank rank, Rank owner, Duration timeout = kForever) { return call(rank, FetchBlob{owner}, timeout); }
  // The blob, or why there is none.
  std::string said(Rank rank, CallId id) {
    if (done(rank, id) == nullptr) return "(pending)";
    const Failure* failed = failure(rank, id);
    return failed != nullptr ? failed->text : result<Payload>(rank, id)->to_string();
  }
  std::string ask(Rank rank, Rank owner) {
    const CallId id = fetch(rank, owner);
    run();
    return said(rank, id);
  }
  const BlobAsker& asker(Rank rank) { return operations(rank).blobs().asker(); }
  const BlobAnswerer& answerer(Rank rank) { return *operations(rank).blobs().answerer(); }
  void expect_nothing_left() {
    for (std::uint32_t i = 0; i < world_size(); ++i) {
      EXPECT_EQ(asker(R(i)).requests(), 0u);
      EXPECT_EQ(asker(R(i)).under_way(), 0u);
      for (std::uint32_t k = 0; k < world_size(); ++k) EXPECT_EQ(answerer(R(i)).owed(R(k)), 0u);
      EXPECT_EQ(operations(R(i)).messages().unexpected_bytes(), 0u);
      EXPECT_EQ(tree.completions(R(i)).size(), calls(R(i))) << "each call completes once";
    }
    EXPECT_EQ(next_deadline(), kNever);
    EXPECT_TRUE(tree.refusals().empty());
  }
  // What a rank does that does not follow the protocol.
  void send(Rank from, Rank to, const wire::Tag& tag, const Payload& message) { forge(from, Send{to, tag, message}); }
  void receive(Rank rank, Rank from, const wire::Tag& tag) { forge(rank, Receive{from, tag}); }

 private:
  template <typename What>
  void forge(Rank rank, What what) {
    const CallId id{(std::uint64_t{static_cast<std::uint8_t>(Caller::blobs)} << kCallerShift) + (1 << 20) + forged_++};
    operations(rank).messages().carry_out(now, {id, std::move(what)});
    operations(rank).settle(now);
  }

  std::uint64_t forged_ = 0;
};

TEST(PeerBlobs, every_rank_gets_the_blob_of_every_rank_in_any_tree_and_order) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Random random(seed);
    const FormedShape shape{.world_size = 1 + static_cast<std::uint32_t>(random.below(20)),
                            .ranks_per_host = 1 + static_cast<std::uint32_t>(random.below(4)),
                            .fan_out = 2 + static_cast<std::uint32_t>(random.below(4)),
                            .root_leads = random.below(2) == 0};
    BlobJob job(shape, seed);
    for (std::uint32_t k = 0; k < shape.world_size; ++k) {
      for (std::uint32_t i = 0; i < shape.world_size; ++i) job.fetch(R(i), R((i + k) % shape.world_size));
      job.run(random.below(100));
    }
    job.run_for(seconds(3));
    for (std::uint32_t i = 0; i < shape.world_size; ++i) {
      for (std::uint32_t k = 0; k < shape.world_size; ++k)
        EXPECT_EQ(job.said(R(i), CallId{k}), blob_of((i + k) % shape.world_size));
    }
    job.expect_nothing_left();
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(PeerBlobs, what_the_table_has_and_ones_own_need_no_frame) {
  CollectivesJob eager({.world_size = 3}, 1);
  BlobJob job({.world_size = 3});
  const CallId others = eager.call(R(0), FetchBlob{R(2)});
  EXPECT_EQ(eager.result<Payload>(R(0), others)->to_string(), blob_of(2));
  EXPECT_FALSE(eager.operations(R(0)).blobs().answerer().has_value());
  EXPECT_EQ(job.said(R(1), job.fetch(R(1), R(1))), blob_of(1));
  for (const auto* tree : {&eager.tree, &job.tree}) EXPECT_EQ(tree->frames_sent(), 0u);
}

TEST(PeerBlobs, a_rank_that_is_none_of_the_job_is_refused) {
  BlobJob job({.world_size = 3});
  const CallId nobody = job.fetch(R(1), R(3));
  ASSERT_NE(job.failure(R(1), nobody), nullptr);
  EXPECT_EQ(job.failure(R(1), nobody)->code, FailureCode::misuse);
  EXPECT_EQ(job.said(R(1), nobody), "there is no rank 3: the job has 3 ranks");
}

TEST(PeerBlobs, all_who_want_the_same_one_share_a_request) {
  BlobJob job({.world_size = 2});
  std::vector<CallId> calls;
  for (int i = 0; i < 100; ++i) calls.push_back(job.fetch(R(0), R(1)));
  EXPECT_EQ(job.asker(R(0)).requests(), 1u);
  job.run();
  for (const CallId id : calls) EXPECT_EQ(job.said(R(0), id), blob_of(1));
  EXPECT_EQ(job.tree.frames_sent(), 4u) << "request and answer, and the acceptance of each";
  EXPECT_EQ(job.ask(R(0), R(1)), blob_of(1)) << "and who comes later asks again";
  job.expect_nothing_left();
}

TEST(PeerBlobs, only_so_many_are_asked_for_at_a_time_and_the_others_in_turn) {
  BlobJob job({.world_size = 200, .ranks_per_host = 8, .fan_out = 4});
  for (std::uint32_t i = 1; i < 200; ++i) job.fetch(R(0), R(i));
  EXPECT_EQ(job.asker(R(0)).under_way(), kMaxBlobRequests);
  EXPECT_EQ(job.asker(R(0)).requests(), 199u);
  job.run();
  for (std::uint32_t i = 1; i < 200; ++i) EXPECT_EQ(job.said(R(0), CallId{i - 1}), blob_of(i));
  job.expect_nothing_left();
}

// --- deadlines -----------------------------------------------------------------------------------------------------

TEST(PeerBlobTimeouts, a_blob_that_does_not_come_says_whose_it_is_and_what_helps) {
  BlobJob job({.world_size = 3, .fan_out = 3});
  job.tree.pause(R(0), R(2));
  const CallId late = job.fetch(R(1), R(2), seconds(2));
  const CallId patient = job.fetch(R(1), R(2), seconds(60));
  job.run_for(seconds(3));
  ASSERT_NE(job.failure(R(1), late), nullptr);
  EXPECT_EQ(job.failure(R(1), late)->code, FailureCode::timed_out);
  EXPECT_EQ(job.failure(R(1), late)->phase, Phase::running);
  EXPECT_EQ(job.failure(R(1), late)->ranks, RankSet::single(R(2)));
  EXPECT_EQ(job.failure(R(1), late)->host, "host-2");
  EXPECT_EQ(job.said(R(1), late),
            "the blob of rank 2 on host-2 has not come within 2.0 s: it has not answered; give it more time "
            "(BANYAN_CALL_TIMEOUT), or set BANYAN_TABLE=eager at rank 0");
  EXPECT_EQ(job.said(R(1), patient), "(pending)");
  job.tree.resume(R(0), R(2));
  job.run();
  EXPECT_EQ(job.said(R(1), patient), blob_of(2));
  job.expect_nothing_left();
}

TEST(PeerBlobTimeouts, who_asks_after_all_have_given_up_waits_for_the_answer_that_is_under_way) {
  BlobJob job({.world_size = 3, .fan_out = 3});
  job.tree.pause(R(0), R(2));
  job.fetch(R(1), R(2), seconds(2));
  job.run_for(seconds(3));
  EXPECT_EQ(job.asker(R(1)).under_way(), 1u);
  const CallId again = job.fetch(R(1), R(2));
  EXPECT_EQ(job.asker(R(1)).under_way(), 1u);
  job.tree.resume(R(0), R(2));
  job.run();
  EXPECT_EQ(job.said(R(1), again), blob_of(2));
  job.expect_nothing_left();
}

TEST(PeerBlobTimeouts, one_that_was_not_asked_for_yet_says_so) {
  const std::uint32_t ranks = kMaxBlobRequests + 3;
  BlobJob job({.world_size = ranks, .fan_out = 1024});
  for (std::uint32_t i = 2; i < ranks; ++i) {
    job.tree.pause(R(0), R(i));
    job.fetch(R(1), R(i), i + 1 < ranks ? kForever : seconds(1));
  }
  job.run_for(seconds(2));
  EXPECT_EQ(job.said(R(1), CallId{kMaxBlobRequests}),
            "the blob of rank 66 on host-66 has not come within 1.0 s: 64 others that were asked before have not "
            "answered; give it more time (BANYAN_CALL_TIMEOUT), or set BANYAN_TABLE=eager at rank 0");
  EXPECT_EQ(job.asker(R(1)).requests(), kMaxBlobRequests) << "and leaves the queue";
  for (std::uint32_t i = 2; i < ranks; ++i) job.tree.resume(R(0), R(i));
  job.run();
  job.expect_nothing_left();
}

TEST(PeerBlobTimeouts, random_timeouts_leave_nothing_behind) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Random random(seed);
    const auto ranks = static_cast<std::uint32_t>(2 + random.below(8));
    BlobJob job({.world_size = ranks, .ranks_per_host = 2}, seed);
    for (int i = 0; i < 200; ++i) {
      const Rank rank = R(static_cast<std::uint32_t>(random.below(ranks)));
      const Rank owner = R(static_cast<std::uint32_t>(random.below(ranks)));
      switch (random.below(4)) {
        case 0: job.run(random.below(40)); break;
        case 1: job.run_for(milliseconds(random.below(20))); break;
        default: job.fetch(rank, owner, milliseconds(random.below(30)));
      }
    }
    job.run_for(seconds(3));
    job.expect_nothing_left();
    if (::testing::Test::HasFailure()) return;
  }
}

// --- ends ----------------------------------------------------------------------------------------------------------

Failure closed(Rank rank) { return {FailureCode::closed, Phase::closing, RankSet::single(rank), {}, "closed"}; }

TEST(PeerBlobEnds, the_blob_of_a_rank_that_has_left_is_named_with_what_would_have_helped) {
  BlobJob job({.world_size = 4, .fan_out = 4});
  job.tree.pause(R(0), R(2));
  const CallId asked = job.fetch(R(1), R(2));
  job.run();
  job.operations(R(2)).close(job.now, closed(R(2)));
  job.tree.resume(R(0), R(2));
  job.run_for(seconds(3));
  const std::string gone =
      "the blob of rank 2 on host-2 can't be had any more: the rank has left; with BANYAN_TABLE=eager at rank 0 it "
      "would be here";
  ASSERT_NE(job.failure(R(1), asked), nullptr);
  EXPECT_EQ(job.failure(R(1), asked)->code, FailureCode::rank_left);
  EXPECT_EQ(job.failure(R(1), asked)->ranks, RankSet::single(R(2)));
  EXPECT_EQ(job.said(R(1), asked), gone);
  EXPECT_EQ(job.ask(R(1), R(2)), gone);
  EXPECT_EQ(job.operations(R(1)).deadline(), kNever) << "nothing waits for the answer";
  EXPECT_EQ(job.ask(R(1), R(3)), blob_of(3));
  EXPECT_EQ(job.asker(R(1)).requests(), 0u);
}

TEST(PeerBlobEnds, a_rank_that_closes_ends_its_calls_and_every_later_one) {
  BlobJob job({.world_size = 3});
  const CallId waits = job.fetch(R(0), R(1));
  job.operations(R(0)).close(job.now, closed(R(0)));
  EXPECT_EQ(job.said(R(0), waits), "closed");
  EXPECT_EQ(job.ask(R(0), R(1)), "closed");
  EXPECT_EQ(job.asker(R(0)).requests(), 0u);
  EXPECT_EQ(job.answerer(R(1)).owed(R(0)), 0u);
}

TEST(PeerBlobEnds, when_the_job_ends_all_calls_fail_with_its_cause) {
  BlobJob job({.world_size = 3});
  const CallId waits = job.fetch(R(0), R(1));
  const Failure lost{FailureCode::rank_lost, Phase::running, RankSet::single(R(2)), "host-2", "rank 2 was lost"};
  job.operations(R(0)).fail_all(job.now, lost);
  EXPECT_EQ(job.said(R(0), waits), "rank 2 was lost");
  EXPECT_EQ(job.ask(R(0), R(1)), "rank 2 was lost");
}

// --- ranks that break the rules ------------------------------------------------------------------------------------

TEST(HostileBlobs, an_answer_of_another_rank_than_the_owner_is_not_believed) {
  BlobJob job({.world_size = 3, .fan_out = 3});
  job.tree.pause(R(0), R(1));
  const CallId waits = job.fetch(R(0), R(1));
  job.send(R(2), R(0), wire::kBlobAnswers, Payload::copy("forged"));
  job.run();
  EXPECT_EQ(job.said(R(0), waits), "(pending)");
  job.tree.resume(R(0), R(1));
  job.run();
  EXPECT_EQ(job.said(R(0), waits), blob_of(1));
}

TEST(HostileBlobs, an_answer_longer_than_a_blob_may_be_is_never_asked_for) {
  BlobJob job({.world_size = 2});
  job.send(R(1), R(0), wire::kBlobAnswers, Payload::copy(std::string(kMaxBlobBytes + 1, 'x')));
  const CallId waits = job.fetch(R(0), R(1));
  job.run();
  EXPECT_EQ(job.said(R(0), waits), "(pending)");
  EXPECT_LT(job.tree.bytes_sent(R(1)), 1000u);
}

TEST(HostileBlobs, requests_that_say_something_are_ignored) {
  BlobJob job({.world_size = 2});
  job.send(R(0), R(1), wire::kBlobRequests, Payload::copy("give me all"));
  job.run();
  EXPECT_EQ(job.operations(R(0)).messages().unexpected_bytes(), 0u) << "no answer has come";
  EXPECT_EQ(job.ask(R(0), R(1)), blob_of(1)) << "it still answers";
}

TEST(HostileBlobs, who_takes_no_answers_is_owed_a_bounded_number_of_them) {
  Limits limits;
  limits.unexpected_bytes = 0;
  BlobJob job({.world_size = 3, .fan_out = 3}, 1, limits);
  for (int i = 0; i < 1000; ++i) job.send(R(0), R(1), wire::kBlobRequests, {});
  job.run();
  EXPECT_EQ(job.answerer(R(1)).owed(R(0)), BlobAnswerer::kMostOwed);
  EXPECT_EQ(job.ask(R(2), R(1)), blob_of(1)) << "others are served";
  for (std::uint32_t i = 0; i < BlobAnswerer::kMostOwed; ++i) job.receive(R(0), R(1), wire::kBlobAnswers);
  job.run();
  EXPECT_EQ(job.answerer(R(1)).owed(R(0)), 0u);
}

}  // namespace
}  // namespace banyan::node
