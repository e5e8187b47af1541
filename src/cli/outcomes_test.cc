#include "cli/outcomes.hh"

#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace banyan::cli {
namespace {

using ::testing::ElementsAre;

constexpr int exited(int code) { return code << 8; }  // waitpid's

Outcomes of(const std::vector<std::pair<std::uint32_t, int>>& ends) {
  Outcomes outcomes(static_cast<std::uint32_t>(ends.size()));
  for (const auto& [rank, status] : ends) outcomes.record_start(Rank{rank});
  for (const auto& [rank, status] : ends) outcomes.record_end(Rank{rank}, status);
  return outcomes;
}

TEST(Outcomes, ranks_that_ended_well_before_the_first_failure_are_named) {
  EXPECT_THAT(of({{4, 0}, {1, 0}, {0, exited(1)}, {2, 0}, {3, SIGTERM}}).summary(),
              ElementsAre("rank 0 exited with code 1; 4 others ended", "ranks 1, 4 had ended with code 0 before",
                          "then rank 3 was killed by signal 15 (Terminated)"));
  EXPECT_THAT(of({{1, 0}, {0, exited(1)}}).summary(),
              ElementsAre("rank 0 exited with code 1; 1 other ended", "rank 1 had ended with code 0 before"));
}

TEST(Outcomes, ranks_that_ended_well_after_it_are_not) {
  EXPECT_THAT(of({{0, exited(1)}, {1, 0}}).summary(), ElementsAre("rank 0 exited with code 1; 1 other ended"));
}

}  // namespace
}  // namespace banyan::cli
