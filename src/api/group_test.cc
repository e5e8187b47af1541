#include "api/group.hh"

#include <gtest/gtest.h>

namespace banyan::api {
namespace {

TEST(Group, knows_its_ranks_by_the_jobs_and_strangers_as_nobody) {
  const Group group(CommunicatorId{7}, {4, 0, 2}, Speaker{2, "host"});
  EXPECT_EQ(group.rank(), 2);
  EXPECT_EQ(group.rank_of(4), 0);
  EXPECT_EQ(group.rank_of(0), 1);
  EXPECT_EQ(group.job_rank(0), 4);
  for (const int stranger : {1, 3, 5}) EXPECT_EQ(group.rank_of(stranger), -1);
}

}  // namespace
}  // namespace banyan::api
