// The store: what its calls bring, who waits for what, and that neither time nor a rank that breaks the rules leaves
// anything behind.
#include "node/store.hh"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "node/collectives_job.hh"

namespace banyan::node {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using What = StoreCall::What;

constexpr Rank R(std::uint32_t rank) { return Rank{rank}; }
Slice bytes(const std::string& text) { return Slice::copy(text); }

StoreCall put(std::string key, const std::string& value) { return {What::put, std::move(key), bytes(value), {}, 0}; }
StoreCall get(std::string key) { return {What::get, std::move(key), {}, {}, 0}; }
StoreCall find(std::string key) { return {What::find, std::move(key), {}, {}, 0}; }
StoreCall add(std::string key, std::int64_t delta) { return {What::add, std::move(key), {}, {}, delta}; }
StoreCall remove(std::string key) { return {What::remove, std::move(key), {}, {}, 0}; }
StoreCall set_if_absent(std::string key, const std::string& value) {
  return {What::compare_set, std::move(key), bytes(value), {}, 0};
}
StoreCall set_if(std::string key, const std::string& expected, const std::string& value) {
  return {What::compare_set, std::move(key), bytes(value), bytes(expected), 0};
}

class StoreJob : public CollectivesJob {
 public:
  using CollectivesJob::CollectivesJob;

  // The result in words: "value", "(nothing)", "set value", "(pending)", ...
  std::string said(Rank rank, CallId id) {
    if (done(rank, id) == nullptr) return "(pending)";
    if (const Failure* failed = failure(rank, id)) return failed->text;
    if (const auto* payload = result<Payload>(rank, id)) return payload->to_string();
    const Parts parts = *result<Parts>(rank, id);
    std::string text;
    for (std::size_t i = 0; i < parts.size(); ++i) text += (i == 0 ? "" : " ") + parts[i].to_string();
    return parts.empty() ? "(nothing)" : text;
  }
  std::string ask(Rank rank, StoreCall what) {
    const CallId id = call(rank, std::move(what));
    run();
    return said(rank, id);
  }
  std::int64_t count(Rank rank, CallId id) { return values_of<std::int64_t>(*result<Payload>(rank, id)).at(0); }

  StoreKeeper const& keeper(Rank rank) { return operations(rank).store().keeper(); }
  // A key that this rank keeps.
  std::string key_of(Rank rank, int which = 0) const {
    for (int i = 0;; ++i) {
      std::string key = "key " + std::to_string(i);
      if (keeper_of(key, world_size()) == rank && which-- == 0) return key;
    }
  }
  std::size_t requests() {
    std::size_t all = 0;
    for (std::uint32_t i = 0; i < world_size(); ++i) all += operations(R(i)).store().asker().requests();
    return all;
  }
  // What a rank says that does not follow the protocol.
  CallId send(Rank from, Rank to, std::uint32_t number, const Payload& message) {
    const CallId id{(std::uint64_t{static_cast<std::uint8_t>(Caller::store)} << kCallerShift) + (1 << 20) + forged_++};
    operations(from).messages().carry_out(now, {id, Send{to, wire::store_tag(number), message}});
    operations(from).settle(now);
    return id;
  }

 private:
  std::uint64_t forged_ = 0;
};

const std::string kNotSet("\0", 1);
const std::string kSet("\1", 1);

TEST(Store, what_one_rank_puts_any_rank_finds_and_the_last_put_counts) {
  StoreJob job({.world_size = 7, .ranks_per_host = 2}, 1);
  EXPECT_EQ(job.ask(R(3), find("colour")), "(nothing)");
  EXPECT_EQ(job.ask(R(3), put("colour", "red")), "");
  EXPECT_EQ(job.ask(R(5), put("colour", "blue")), "");
  for (std::uint32_t i = 0; i < 7; ++i) {
    EXPECT_EQ(job.ask(R(i), find("colour")), "blue");
    EXPECT_EQ(job.ask(R(i), get("colour")), "blue");
  }
  EXPECT_EQ(job.ask(R(0), remove("colour")), kSet);
  EXPECT_EQ(job.ask(R(0), remove("colour")), kNotSet);
  EXPECT_EQ(job.ask(R(1), find("colour")), "(nothing)");
  EXPECT_EQ(job.requests(), 0u);
}

TEST(Store, an_empty_value_is_a_value_and_keys_and_values_may_be_as_long_as_they_may) {
  StoreJob job({.world_size = 3}, 1);
  EXPECT_EQ(job.ask(R(0), put("empty", "")), "");
  EXPECT_EQ(job.ask(R(1), find("empty")), "") << "found, and not nothing";
  const std::string key(kMaxStoreKeyBytes, '\xff');
  const std::string value(kMaxStoreValueBytes, 'v');
  EXPECT_EQ(job.ask(R(0), put(key, value)), "");
  EXPECT_TRUE(job.ask(R(1), get(key)) == value);
  EXPECT_TRUE(job.ask(R(2), set_if(key, value, "")) == kSet + " ");
  const std::string half(kMaxStoreValueBytes / 2, 'h');
  EXPECT_EQ(job.ask(R(0), put(key, half)), "");
  EXPECT_TRUE(job.ask(R(2), set_if(key, half, half)) == kSet + " " + half);
}

TEST(Store, keys_are_spread_over_the_ranks_and_the_keeper_of_one_never_changes) {
  EXPECT_EQ(keeper_of("a key", 1000), R(775)) << "it is a part of the protocol";
  std::map<Rank, int> kept;
  for (int i = 0; i < 1000; ++i) ++kept[keeper_of(std::to_string(i), 10)];
  ASSERT_EQ(kept.size(), 10u);
  for (const auto& [rank, keys] : kept) EXPECT_GT(keys, 50);
}

TEST(Store, a_get_waits_for_its_key_and_all_who_wait_are_told) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    StoreJob job({.world_size = 9, .ranks_per_host = 3}, seed);
    std::vector<CallId> gets;
    for (std::uint32_t i = 0; i < 9; ++i) gets.push_back(job.call(R(i), get("answer")));
    job.run(seed * 3);
    job.call(R(4), put("answer", "42"));
    job.run();
    for (std::uint32_t i = 0; i < 9; ++i) EXPECT_EQ(job.said(R(i), gets[i]), "42");
    EXPECT_EQ(job.requests(), 0u);
  }
}

TEST(Store, whatever_brings_a_value_wakes_those_who_wait_for_it) {
  StoreJob job({.world_size = 4}, 1);
  const CallId counted = job.call(R(1), get("count"));
  const CallId chosen = job.call(R(2), get("choice"));
  job.run();
  job.ask(R(0), add("count", 3));
  EXPECT_EQ(job.count(R(1), counted), 3);
  job.ask(R(0), set_if_absent("choice", "this"));
  EXPECT_EQ(job.said(R(2), chosen), "this");
}

TEST(Store, a_counter_starts_at_nothing_and_every_add_has_another_result) {
  StoreJob job({.world_size = 8, .ranks_per_host = 2}, 3);
  std::vector<std::pair<Rank, CallId>> adds;
  for (int i = 0; i < 5; ++i) {
    for (std::uint32_t rank = 0; rank < 8; ++rank) adds.emplace_back(R(rank), job.call(R(rank), add("tickets", 1)));
  }
  job.run();
  std::set<std::int64_t> counts;
  for (const auto& [rank, id] : adds) counts.insert(job.count(rank, id));
  EXPECT_EQ(counts.size(), 40u);
  EXPECT_EQ(*counts.begin(), 1);
  EXPECT_EQ(*counts.rbegin(), 40);
  const CallId back = job.call(R(0), add("tickets", -50));
  job.run();
  EXPECT_EQ(job.count(R(0), back), -10);
}

TEST(Store, what_add_has_not_put_is_no_counter) {
  StoreJob job({.world_size = 3}, 1);
  job.ask(R(0), put("text", "12345678"));
  const CallId added = job.call(R(1), add("text", 1));
  job.run();
  ASSERT_NE(job.failure(R(1), added), nullptr);
  EXPECT_EQ(job.failure(R(1), added)->code, FailureCode::mismatch);
  EXPECT_EQ(job.ask(R(2), find("text")), "12345678");
  job.ask(R(2), remove("text"));
  EXPECT_EQ(job.count(R(1), (job.run(), job.call(R(1), add("text", 1)), job.run(), CallId{job.calls(R(1)) - 1})), 1);
}

TEST(Store, compare_set_sets_what_is_as_expected_and_says_what_is_there) {
  StoreJob job({.world_size = 3}, 1);
  EXPECT_EQ(job.ask(R(0), set_if("leader", "0", "1")), kNotSet);
  EXPECT_EQ(job.ask(R(0), set_if_absent("leader", "0")), kSet + " 0");
  EXPECT_EQ(job.ask(R(1), set_if_absent("leader", "1")), kNotSet + " 0");
  EXPECT_EQ(job.ask(R(1), set_if("leader", "2", "1")), kNotSet + " 0");
  EXPECT_EQ(job.ask(R(1), set_if("leader", "0", "1")), kSet + " 1");
  EXPECT_EQ(job.ask(R(2), find("leader")), "1");
}

TEST(Store, of_those_who_set_an_absent_key_one_succeeds_and_all_agree_on_it) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    StoreJob job({.world_size = 9, .ranks_per_host = 2}, seed);
    std::vector<CallId> calls;
    for (std::uint32_t i = 0; i < 9; ++i) calls.push_back(job.call(R(i), set_if_absent("who", std::to_string(i))));
    job.run();
    const std::string winner = job.ask(R(0), get("who"));
    for (std::uint32_t i = 0; i < 9; ++i)
      EXPECT_EQ(job.said(R(i), calls[i]), (std::to_string(i) == winner ? kSet : kNotSet) + " " + winner);
  }
}

TEST(Store, calls_of_one_rank_on_one_key_keep_their_order_beyond_the_window_too) {
  StoreJob job({.world_size = 5, .ranks_per_host = 2}, 2);
  std::vector<CallId> finds;
  for (int i = 0; i < 200; ++i) {
    job.call(R(3), put("place", std::to_string(i)));
    finds.push_back(job.call(R(3), i % 2 == 0 ? find("place") : get("place")));
  }
  job.run();
  for (int i = 0; i < 200; ++i) EXPECT_EQ(job.said(R(3), finds[static_cast<std::size_t>(i)]), std::to_string(i));
}

TEST(Store, a_rank_whose_gets_wait_in_any_number_can_still_put_what_they_wait_for) {
  StoreJob job({.world_size = 2}, 1);
  constexpr std::uint32_t kGets = 2 * kMaxStoreWaits + 10;
  std::vector<std::string> keys;
  std::vector<CallId> gets;
  for (std::uint32_t i = 0; i < kGets; ++i) {
    keys.push_back(job.key_of(R(1), static_cast<int>(i)));
    gets.push_back(job.call(R(0), get(keys[i])));
  }
  job.run();
  EXPECT_EQ(job.keeper(R(1)).waiting(), kMaxStoreWaits);
  // The last ones first: they are not at the keeper yet, and hold up nobody.
  for (std::uint32_t i = kGets; i-- > 0;) EXPECT_EQ(job.ask(R(0), put(keys[i], std::to_string(i))), "");
  for (std::uint32_t i = 0; i < kGets; ++i) EXPECT_EQ(job.said(R(0), gets[i]), std::to_string(i));
  EXPECT_EQ(job.requests(), 0u);
}

TEST(Store, a_rank_asks_itself_too) {
  StoreJob job({.world_size = 1}, 1);
  const CallId waits = job.call(R(0), get("a"));
  EXPECT_EQ(job.said(R(0), waits), "(pending)");
  EXPECT_EQ(job.ask(R(0), put("a", "1")), "");
  EXPECT_EQ(job.said(R(0), waits), "1");
  EXPECT_EQ(job.tree.frames_sent(), 0u);
}

TEST(Store, an_empty_or_overlong_key_and_an_overlong_value_are_refused_at_once) {
  StoreJob job({.world_size = 2}, 1);
  const CallId empty = job.call(R(0), put("", "1"));
  EXPECT_EQ(job.said(R(0), empty), "put(): the key is empty");
  EXPECT_EQ(job.failure(R(0), empty)->code, FailureCode::misuse);
  const CallId key = job.call(R(0), find(std::string(kMaxStoreKeyBytes + 1, 'k')));
  EXPECT_EQ(job.said(R(0), key), "find(): the key has 1025 bytes and may have 1024");
  EXPECT_EQ(job.failure(R(0), key)->code, FailureCode::too_large);
  const std::string value(kMaxStoreValueBytes + 1, 'v');
  for (const StoreCall& call :
       {put("a", value), set_if_absent("a", value), set_if("a", value, ""), set_if("a", value.substr(1), "1")}) {
    const CallId refused = job.call(R(0), call);
    ASSERT_NE(job.failure(R(0), refused), nullptr);
    EXPECT_EQ(job.failure(R(0), refused)->code, FailureCode::too_large);
  }
  EXPECT_EQ(job.tree.frames_sent(), 0u);
}

TEST(Store, a_keeper_that_is_full_says_so_and_has_room_again_when_something_is_removed) {
  Limits limits;
  limits.store_bytes = 3000;
  StoreJob job({.world_size = 2}, 1, limits);
  const std::string one = job.key_of(R(1), 0);
  const std::string other = job.key_of(R(1), 1);
  EXPECT_EQ(job.ask(R(0), put(one, std::string(2000, 'x'))), "");
  for (const StoreCall& call : {put(other, std::string(1000, 'x')), set_if_absent(other, std::string(1000, 'x')),
                                put(one, std::string(3000, 'x'))}) {
    const CallId refused = job.call(R(0), call);
    job.run();
    ASSERT_NE(job.failure(R(0), refused), nullptr);
    EXPECT_EQ(job.failure(R(0), refused)->code, FailureCode::too_large);
    EXPECT_EQ(job.said(R(0), refused),
              std::string(call.name()) + " of key '" + call.key +
                  "', which rank 1 on host-1 keeps, failed: it keeps as many bytes as it may; remove what is not "
                  "needed, or raise store_bytes (BANYAN_STORE_BYTES)");
  }
  EXPECT_EQ(job.ask(R(0), find(one)).size(), 2000u) << "what could not be replaced is still there";
  EXPECT_EQ(job.ask(R(0), put(one, std::string(2600, 'x'))), "") << "in place of the shorter one";
  EXPECT_EQ(job.ask(R(0), remove(one)), kSet);
  EXPECT_EQ(job.keeper(R(1)).kept_bytes(), 0u);
  EXPECT_EQ(job.ask(R(0), put(other, std::string(1000, 'x'))), "");
}

// --- deadlines -----------------------------------------------------------------------------------------------------

TEST(StoreTimeouts, a_get_that_nobody_puts_names_the_key_and_its_keeper_and_is_forgotten_there) {
  StoreJob job({.world_size = 6, .ranks_per_host = 2}, 1);
  const std::string key = job.key_of(R(5));
  const CallId asked = job.call(R(0), get(key), seconds(2));
  job.run_for(milliseconds(1999));
  EXPECT_EQ(job.said(R(0), asked), "(pending)");
  EXPECT_EQ(job.keeper(R(5)).waiting(), 1u);
  job.run_for(milliseconds(1));
  ASSERT_NE(job.failure(R(0), asked), nullptr);
  EXPECT_EQ(job.said(R(0), asked),
            "get of key '" + key + "', which rank 5 on host-2 keeps, timed out after 2.0 s: nobody has put it");
  EXPECT_EQ(job.failure(R(0), asked)->code, FailureCode::timed_out);
  EXPECT_EQ(job.failure(R(0), asked)->ranks, RankSet::single(R(5)));
  EXPECT_EQ(job.failure(R(0), asked)->host, "host-2");
  job.run();
  EXPECT_EQ(job.keeper(R(5)).waiting(), 0u);
  EXPECT_EQ(job.requests(), 0u);
  EXPECT_EQ(job.next_deadline(), kNever);
}

TEST(StoreTimeouts, a_request_without_an_answer_says_whether_it_may_have_been_done) {
  StoreJob job({.world_size = 2}, 1);
  const std::string key = job.key_of(R(1));
  const std::string of = " of key '" + key + "', which rank 1 on host-1 keeps, timed out after 1.0 s: ";
  job.tree.pause(R(0), R(1));
  const CallId found = job.call(R(0), find(key), seconds(1));
  const CallId stored = job.call(R(0), put(key, "1"), seconds(1));
  for (std::uint32_t i = 2; i < kMaxStoreRequests; ++i) job.call(R(0), find(key));
  const CallId late = job.call(R(0), put(key, "2"), seconds(1));
  job.run_for(seconds(1));
  EXPECT_EQ(job.said(R(0), found), "find" + of + "it has not been answered");
  EXPECT_EQ(job.said(R(0), stored), "put" + of + "it has not been answered, and may have been done");
  EXPECT_EQ(job.said(R(0), late), "put" + of + "64 earlier requests have not been answered; this one was not sent");
  job.tree.resume(R(0), R(1));
  EXPECT_EQ(job.ask(R(1), get(key)), "1");
  EXPECT_EQ(job.requests(), 0u);
}

TEST(StoreTimeouts, a_get_behind_too_many_others_that_wait_says_so) {
  StoreJob job({.world_size = 2}, 1);
  for (std::uint32_t i = 0; i < kMaxStoreWaits; ++i) job.call(R(0), get(job.key_of(R(1))));
  const std::string key = job.key_of(R(1), 1);
  const CallId late = job.call(R(0), get(key), seconds(1));
  job.run_for(seconds(1));
  EXPECT_EQ(job.said(R(0), late), "get of key '" + key +
                                      "', which rank 1 on host-1 keeps, timed out after 1.0 s: nobody had put it, and "
                                      "64 earlier ones still wait there");
  job.ask(R(1), put(job.key_of(R(1)), "1"));
  EXPECT_EQ(job.requests(), 0u);
}

TEST(StoreTimeouts, control_characters_of_a_key_stay_out_of_a_sentence_and_a_long_key_is_cut) {
  StoreJob job({.world_size = 1}, 1);
  const CallId asked = job.call(R(0), get("a\x1b[2J" + std::string(100, 'k')), seconds(1));
  job.run_for(seconds(1));
  EXPECT_EQ(job.said(R(0), asked).substr(0, 80), "get of key 'a?[2J" + std::string(59, 'k') + "...'");
}

TEST(StoreTimeouts, random_timeouts_leave_no_request_and_no_wait_behind) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    const auto ranks = static_cast<std::uint32_t>(random.between(1, 6));
    StoreJob job({.world_size = ranks, .ranks_per_host = 2}, seed);
    for (int step = 0; step < 300; ++step) {
      const Rank rank = R(static_cast<std::uint32_t>(random.below(ranks)));
      const std::string key = "key " + std::to_string(random.below(10));
      const Duration timeout = milliseconds(random.between(1, 50));
      switch (random.below(8)) {
        case 0: job.call(rank, put(key, std::string(random.below(3) == 0 ? 10'000 : 10, 'x')), timeout); break;
        case 1: job.call(rank, remove(key), timeout); break;
        case 2: job.call(rank, find(key), timeout); break;
        case 3: job.run(random.below(40)); break;
        case 4: job.run_for(milliseconds(random.below(20))); break;
        default: job.call(rank, get(key), timeout);
      }
    }
    job.run_for(seconds(1));
    EXPECT_EQ(job.requests(), 0u);
    for (std::uint32_t i = 0; i < ranks; ++i) {
      EXPECT_EQ(job.keeper(R(i)).waiting(), 0u);
      job.tree.collect_all();
      EXPECT_EQ(job.tree.completions(R(i)).size(), job.calls(R(i))) << "each call completes once";
      EXPECT_EQ(job.operations(R(i)).messages().unexpected_bytes(), 0u);
    }
    EXPECT_EQ(job.next_deadline(), kNever);
    if (::testing::Test::HasFailure()) return;
  }
}

// --- ends ----------------------------------------------------------------------------------------------------------

Failure closed(Rank rank) { return {FailureCode::closed, Phase::closing, RankSet::single(rank), {}, "closed"}; }

TEST(StoreEnds, calls_to_a_keeper_that_closes_fail_by_naming_key_and_keeper) {
  StoreJob job({.world_size = 4, .fan_out = 4}, 1);
  const std::string key = job.key_of(R(2));
  const std::string other = job.key_of(R(3));
  const CallId waits = job.call(R(1), get(key));
  const CallId elsewhere = job.call(R(1), get(other));
  job.ask(R(0), put(job.key_of(R(2), 1), "kept"));
  EXPECT_GT(job.keeper(R(2)).kept_bytes(), 0u);
  job.operations(R(2)).close(job.now, closed(R(2)));
  job.run_for(seconds(2));
  ASSERT_NE(job.failure(R(1), waits), nullptr);
  EXPECT_EQ(job.failure(R(1), waits)->code, FailureCode::rank_left);
  EXPECT_EQ(job.said(R(1), waits), "get of key '" + key + "', which rank 2 on host-2 keeps, failed: the rank has left");
  EXPECT_EQ(job.ask(R(1), put(key, "1")),
            "put of key '" + key +
                "', which rank 2 on host-2 keeps, failed: the rank has left; it may have been done before");
  EXPECT_EQ(job.ask(R(1), put(other, "1")), "");
  EXPECT_EQ(job.said(R(1), elsewhere), "1");
  EXPECT_EQ(job.keeper(R(2)).kept_bytes(), 0u);
  EXPECT_EQ(job.requests(), 0u);
}

TEST(StoreEnds, a_rank_that_closes_ends_its_calls_and_every_later_one) {
  StoreJob job({.world_size = 3}, 1);
  const CallId waits = job.call(R(0), get(job.key_of(R(1))));
  job.run();
  job.operations(R(0)).close(job.now, closed(R(0)));
  EXPECT_EQ(job.said(R(0), waits), "closed");
  EXPECT_EQ(job.ask(R(0), find("a")), "closed");
  EXPECT_EQ(job.requests(), 0u);
}

TEST(StoreEnds, when_the_job_ends_all_calls_fail_with_its_cause) {
  StoreJob job({.world_size = 3}, 1);
  const CallId waits = job.call(R(0), get(job.key_of(R(1))));
  job.run();
  const CallId asked = job.call(R(0), put(job.key_of(R(1), 1), "1"));
  const Failure lost{FailureCode::rank_lost, Phase::running, RankSet::single(R(2)), "host-2", "rank 2 was lost"};
  job.operations(R(0)).fail_all(job.now, lost);
  for (const CallId id : {waits, asked}) EXPECT_EQ(job.said(R(0), id), "rank 2 was lost");
  EXPECT_EQ(job.ask(R(0), find("a")), "rank 2 was lost");
}

// --- ranks that break the rules ------------------------------------------------------------------------------------

TEST(HostileStore, an_answer_of_another_rank_than_the_keeper_is_not_believed) {
  StoreJob job({.world_size = 3, .fan_out = 3}, 1);
  const CallId waits = job.call(R(0), get(job.key_of(R(1))));
  job.run();
  const Payload forged = wire::StoreAnswer{wire::StoreAnswer::Status::done}.to_message(Payload::copy("forged"));
  job.send(R(2), R(0), 1, forged);
  job.run();
  EXPECT_EQ(job.said(R(0), waits), "(pending)");
  job.ask(R(1), put(job.key_of(R(1)), "true"));
  EXPECT_EQ(job.said(R(0), waits), "true");
}

TEST(HostileStore, an_answer_that_does_not_fit_is_not_believed_and_the_next_one_may) {
  using enum wire::StoreAnswer::Status;
  StoreJob job({.world_size = 2}, 1);
  const CallId waits = job.call(R(0), get(job.key_of(R(1))));
  job.run();
  const auto answer = [](wire::StoreAnswer::Status status) { return wire::StoreAnswer{status}.to_message({}); };
  for (const Payload& wrong :
       {answer(absent), answer(differs), answer(mismatch), answer(full), Payload(), Payload::copy("\7"),
        wire::StoreAnswer{done}.to_message(Payload::copy(std::string(kMaxStoreValueBytes + 1, 'v')))}) {
    job.send(R(1), R(0), 1, wrong);
    job.run();
    EXPECT_EQ(job.said(R(0), waits), "(pending)");
  }
  job.ask(R(1), put(job.key_of(R(1)), "true"));
  EXPECT_EQ(job.said(R(0), waits), "true");
}

TEST(HostileStore, requests_that_make_no_sense_are_ignored) {
  StoreJob job({.world_size = 2}, 1);
  const auto request = [](std::string key) {
    return wire::StoreRequest{wire::StoreRequest::What::put, 5, std::move(key), {}, bytes("1"), 0}.to_message();
  };
  for (const Payload& wrong : {Payload(), Payload::copy("noise"), request(job.key_of(R(0)))}) {
    const CallId sent = job.send(R(0), R(1), wire::kRequests, wrong);
    job.run();
    EXPECT_NE(sent, CallId{});
  }
  EXPECT_EQ(job.keeper(R(1)).kept_bytes(), 0u);
  EXPECT_EQ(job.ask(R(0), put(job.key_of(R(1)), "1")), "") << "it still keeps";
}

TEST(HostileStore, a_flood_of_gets_keeps_no_more_than_a_window_of_them_waiting) {
  StoreJob job({.world_size = 3, .fan_out = 3}, 1);
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const wire::StoreRequest wait{wire::StoreRequest::What::wait, 1000 + i, job.key_of(R(1)), {}, {}, 0};
    job.send(R(0), R(1), wire::kRequests, wait.to_message());
  }
  job.run();
  EXPECT_EQ(job.keeper(R(1)).waiting(), kMaxStoreWaits);
  const CallId waits = job.call(R(2), get(job.key_of(R(1))));
  EXPECT_EQ(job.ask(R(2), put(job.key_of(R(1)), "1")), "") << "others are served";
  EXPECT_EQ(job.said(R(2), waits), "1");
}

TEST(HostileStore, who_takes_no_answers_is_owed_a_bounded_number_of_them) {
  Limits limits;
  limits.unexpected_bytes = 0;
  StoreJob job({.world_size = 3, .fan_out = 3}, 1, limits);
  const std::string key = job.key_of(R(1));
  job.ask(R(1), put(key, std::string(10'000, 'v')));
  const std::uint64_t before = job.tree.frames_sent(R(1));
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const wire::StoreRequest found{wire::StoreRequest::What::find, 1000 + i, key, {}, {}, 0};
    job.send(R(0), R(1), wire::kRequests, found.to_message());
  }
  job.run();
  EXPECT_EQ(job.keeper(R(1)).owed(R(0)), StoreKeeper::kMostOwed);
  EXPECT_LE(job.tree.frames_sent(R(1)) - before, 1000 + kMaxMessagesInFlight) << "acceptances and few announcements";
  EXPECT_EQ(job.ask(R(2), find(key)).size(), 10'000u) << "others are served";
}

TEST(HostileStore, a_request_that_is_only_announced_is_never_asked_for_and_holds_up_nobody) {
  StoreJob job({.world_size = 3, .fan_out = 3}, 1);
  job.send(R(0), R(1), wire::kRequests, Payload::copy(std::string(kEagerMessageBytes + 1, 'x')));
  job.run();
  EXPECT_LT(job.tree.bytes_sent(R(0)), 1000u);
  EXPECT_EQ(job.ask(R(2), put(job.key_of(R(1)), "1")), "");
}

}  // namespace
}  // namespace banyan::node
