#include "cli/rank_output.hh"

#include <unistd.h>

#include <gtest/gtest.h>

#include "cli/error.hh"

namespace banyan::cli {
namespace {

TEST(RankOutput, a_pipe_that_cannot_be_watched_does_not_count) {
  Console console;
  RankOutput output(console, 2);
  ::close(output.ready_event().get());
  EXPECT_THROW(output.add(Rank{0}, Stream::out), Error);
  EXPECT_TRUE(output.all_closed());
  output.close_all();
  EXPECT_TRUE(output.all_closed());
}

}  // namespace
}  // namespace banyan::cli
