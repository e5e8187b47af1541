#include "api/unknown_variables.hh"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace banyan::api {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> remarks(const std::map<std::string, std::string>& variables) {
  std::vector<std::string> names;
  names.reserve(variables.size());
  for (const auto& [name, value] : variables) names.push_back(name);
  return remarks_on(Environment([&](const char* name) {
                      const auto at = variables.find(name);
                      return at == variables.end() ? nullptr : at->second.c_str();
                    }),
                    names);
}

TEST(UnknownVariables, a_misspelt_name_is_told_and_the_right_one_beside_it) {
  EXPECT_THAT(remarks({{"BANYAN_FANOUT", "3"}}),
              ElementsAre("BANYAN_FANOUT is set, and Banyan knows no such variable: did you mean BANYAN_FAN_OUT?"));
  EXPECT_THAT(
      remarks({{"BANYAN_WORLDSIZE", "3"}}),
      ElementsAre("BANYAN_WORLDSIZE is set, and Banyan knows no such variable: did you mean BANYAN_WORLD_SIZE?"));
}

TEST(UnknownVariables, one_that_is_like_none_is_told_without_a_guess) {
  EXPECT_THAT(remarks({{"BANYAN_COFFEE", "black"}}),
              ElementsAre("BANYAN_COFFEE is set, and Banyan knows no such variable"));
}

TEST(UnknownVariables, what_is_known_and_what_is_not_banyans_is_passed_over) {
  EXPECT_THAT(remarks({{"BANYAN_RANK", "x"},
                       {"BANYAN_SECRET_FILE", "/nowhere"},
                       {"BANYAN_LOG", "warn"},
                       {"BANYAN_PROGRESS_FD", "7"},
                       {"BANYANS", "1"},
                       {"PATH", "/bin"}}),
              IsEmpty());
}

TEST(UnknownVariables, a_host_index_without_hosts_is_told) {
  EXPECT_THAT(remarks({{"BANYAN_HOST_INDEX", "1"}}),
              ElementsAre("BANYAN_HOST_INDEX is set without BANYAN_HOSTS, and counts for nothing: set both or none"));
  EXPECT_THAT(remarks({{"BANYAN_HOST_INDEX", "1"}, {"BANYAN_HOSTS", "a:1,b:2"}}), IsEmpty());
}

}  // namespace
}  // namespace banyan::api
