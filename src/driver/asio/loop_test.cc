#include "driver/asio/loop.hh"

#include <string>

#include <gtest/gtest.h>

namespace banyan::driver {
namespace {

TEST(Loop, an_exception_out_of_a_handler_ends_the_process_whoever_runs_it) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        Loop loop([] { return false; }, [](const std::string&) {});
        try {
          loop.post_or_run([] { throw 1; });
        } catch (int) {
        }
      },
      "terminate");
}

}  // namespace
}  // namespace banyan::driver
