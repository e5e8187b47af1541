// When the launcher asks ranks to end, when it makes them, and when it stops hoping.
#include "cli/escalation.hh"

#include <chrono>
#include <csignal>

#include <gtest/gtest.h>

namespace banyan::cli {
namespace {

using std::chrono::seconds;

constexpr Time kStart = Time(seconds(1000));

TEST(Escalation, nothing_is_due_while_no_rank_failed) {
  Escalation escalation(seconds(5));
  EXPECT_EQ(escalation.deadline(), kNever);
  EXPECT_EQ(escalation.advance(kStart + std::chrono::hours(1)), std::nullopt);
}

TEST(Escalation, after_a_failure_comes_a_grace_then_sigterm_then_a_grace_then_sigkill) {
  Escalation escalation(seconds(5));
  escalation.begin(kStart);
  EXPECT_EQ(escalation.advance(kStart + seconds(4)), std::nullopt);
  EXPECT_EQ(escalation.deadline(), kStart + seconds(5));
  EXPECT_EQ(escalation.advance(kStart + seconds(5)), SIGTERM);
  EXPECT_EQ(escalation.advance(kStart + seconds(5)), std::nullopt);
  EXPECT_EQ(escalation.advance(kStart + seconds(10)), SIGKILL);
  EXPECT_FALSE(escalation.given_up());
}

TEST(Escalation, a_later_failure_gives_no_new_grace) {
  Escalation escalation(seconds(5));
  escalation.begin(kStart);
  escalation.begin(kStart + seconds(4));
  EXPECT_EQ(escalation.advance(kStart + seconds(5)), SIGTERM);
}

TEST(Escalation, without_grace_both_signals_are_due_at_once) {
  Escalation escalation(seconds(0));
  escalation.begin(kStart);
  EXPECT_EQ(escalation.advance(kStart), SIGTERM);
  EXPECT_EQ(escalation.advance(kStart), SIGKILL);
  EXPECT_EQ(escalation.advance(kStart), std::nullopt);
}

TEST(Escalation, in_a_hurry_only_sigkill_is_sent) {
  Escalation escalation(seconds(5));
  escalation.hurry(kStart);
  EXPECT_EQ(escalation.advance(kStart), SIGKILL);
}

TEST(Escalation, a_rank_that_survives_sigkill_is_given_up) {
  Escalation escalation(seconds(0));
  escalation.hurry(kStart);
  escalation.advance(kStart);
  EXPECT_EQ(escalation.advance(escalation.deadline()), std::nullopt);
  EXPECT_TRUE(escalation.given_up());
  EXPECT_EQ(escalation.deadline(), kNever);
}

}  // namespace
}  // namespace banyan::cli
