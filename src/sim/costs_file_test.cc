// Costs as a file: what is written is what is read, and what makes no sense is refused by name.
#include "sim/costs_file.hh"

#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace banyan::sim {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

class CostsFile : public testing::Test {
 protected:
  ~CostsFile() override { std::remove(path_.c_str()); }
  Costs read(const std::string& text) {
    std::ofstream(path_) << text;
    return read_costs(path_);
  }

  const std::string path_ = testing::TempDir() + "costs-" +
                            std::to_string(::testing::UnitTest::GetInstance()->random_seed()) +
                            testing::UnitTest::GetInstance()->current_test_info()->name() + ".json";
};

TEST_F(CostsFile, what_was_written_is_read) {
  Costs costs = built_in_costs();
  costs.wake = 12'345;
  const Costs again = read(to_json(costs));
  EXPECT_EQ(again.wake, 12'345);
  EXPECT_EQ(to_json(again), to_json(costs));
}

TEST_F(CostsFile, a_missing_or_senseless_cost_is_named) {
  std::string text = to_json(built_in_costs());
  EXPECT_THAT([&] { read("{}"); }, ThrowsMessage<std::runtime_error>(HasSubstr("has no \"start\"")));
  EXPECT_THAT([&] { read("wake"); }, ThrowsMessage<std::runtime_error>(HasSubstr("is not a JSON object")));
  text.replace(text.find("\"wake\": "), 8, "\"wake\": -");
  EXPECT_THAT([&] { read(text); }, ThrowsMessage<std::runtime_error>(HasSubstr("\"wake\" must be a whole number")));
  EXPECT_THAT([] { read_costs("/nonexistent/costs"); },
              ThrowsMessage<std::runtime_error>(HasSubstr("/nonexistent/costs")));
}

}  // namespace
}  // namespace banyan::sim
