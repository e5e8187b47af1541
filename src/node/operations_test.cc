// What all kinds of calls have in common: that each can be given up before its time.
#include "node/operations.hh"

#include <vector>

#include <gtest/gtest.h>

#include "node/collectives_job.hh"

namespace banyan::node {
namespace {

constexpr Rank R(std::uint32_t rank) { return Rank{rank}; }
constexpr wire::Tag kTag{7, wire::Space::application, kWorld};

Collective barrier() {
  Collective barrier;
  barrier.call.kind = wire::CollectiveKind::barrier;
  return barrier;
}

StoreCall get(const std::string& key) {
  return {.what = StoreCall::What::get, .key = key, .value = {}, .expected = {}, .delta = 0};
}

TEST(Operations, a_call_that_is_given_up_ends_as_if_its_time_were_up) {
  FormedShape shape{.world_size = 6, .ranks_per_host = 2};
  shape.lazy_table = true;
  CollectivesJob job(shape, 3);
  const std::vector<CallId> calls{job.call(R(4), barrier()), job.call(R(4), Receive{R(1), kTag}),
                                  job.call(R(4), Send{R(1), kTag, Payload::copy("kept")}),
                                  job.call(R(4), get("nothing")), job.call(R(4), FetchBlob{R(0)})};
  for (const CallId id : calls) {
    ASSERT_EQ(job.done(R(4), id), nullptr) << raw(id);
    const CallId given_up = job.call(R(4), Expire{id});
    EXPECT_NE(job.result<Payload>(R(4), given_up), nullptr);
    const Failure* failure = job.failure(R(4), id);
    ASSERT_NE(failure, nullptr) << raw(id);
    EXPECT_EQ(failure->code, FailureCode::timed_out) << failure->text;
  }
}

TEST(Operations, a_receive_that_was_given_up_takes_no_message_from_the_next) {
  CollectivesJob job({.world_size = 6, .ranks_per_host = 2}, 4);
  const CallId first = job.call(R(4), Receive{R(1), kTag});
  job.run();
  job.call(R(4), Expire{first});
  job.call(R(1), Send{R(4), kTag, Payload::copy("late")});
  const CallId second = job.call(R(4), Receive{R(1), kTag});
  job.run();
  ASSERT_NE(job.result<Payload>(R(4), second), nullptr);
  EXPECT_EQ(job.result<Payload>(R(4), second)->to_string(), "late");
}

TEST(Operations, giving_up_what_is_done_or_was_never_called_does_nothing) {
  CollectivesJob job({.world_size = 2, .ranks_per_host = 2}, 5);
  const CallId sent = job.call(R(0), Send{R(1), kTag, Payload::copy("x")});
  const CallId received = job.call(R(1), Receive{R(0), kTag});
  job.run();
  for (const CallId id : {received, CallId{1000}})
    EXPECT_NE(job.result<Payload>(R(1), job.call(R(1), Expire{id})), nullptr);
  job.call(R(0), Expire{sent});
  EXPECT_NE(job.result<Payload>(R(1), received), nullptr);
  EXPECT_NE(job.result<Payload>(R(0), sent), nullptr);
}

}  // namespace
}  // namespace banyan::node
