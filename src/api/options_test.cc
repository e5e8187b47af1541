#include <functional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <banyan/error.hpp>
#include <banyan/options.hpp>

namespace banyan {
namespace {

using ::testing::HasSubstr;

// The error of a good job of eight after `spoil`.
std::string error_after(const std::function<void(Options&)>& spoil) {
  Options options;
  options.rank = 3;
  options.world_size = 8;
  options.rendezvous = "node1:4242";
  spoil(options);
  try {
    options.validate();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::misuse);
    EXPECT_EQ(error.phase(), ErrorPhase::setup);
    return error.what();
  }
  return "";
}

TEST(Validate, a_good_job_passes) {
  EXPECT_EQ(error_after([](Options&) {}), "");
  EXPECT_EQ(error_after([](Options& o) { o.rendezvous = "[fd00::2]:1, node1:4242"; }), "");
  EXPECT_EQ(error_after([](Options& o) { o.start_timeout = Timeout::none(); }), "");
  EXPECT_EQ(error_after([](Options& o) { o.start_timeout = Timeout(); }), "");
}

TEST(Validate, a_job_of_one_needs_no_rendezvous) {
  EXPECT_EQ(error_after([](Options& o) {
              o.rank = 0;
              o.world_size = 1;
              o.rendezvous.clear();
            }),
            "");
}

TEST(Validate, ranks_lie_in_the_job) {
  EXPECT_THAT(error_after([](Options& o) { o.rank = 8; }), HasSubstr("the rank is 8, which is not in 0 .. 7"));
  EXPECT_THAT(error_after([](Options& o) { o.rank = -2; }), HasSubstr("BANYAN_RANK"));
  EXPECT_THAT(error_after([](Options& o) { o.world_size = 0; }), HasSubstr("BANYAN_WORLD_SIZE"));
  EXPECT_THAT(error_after([](Options& o) { o.world_size = 1 << 30; }), HasSubstr("BANYAN_WORLD_SIZE"));
  EXPECT_THAT(error_after([](Options& o) {
                o.rank = -1;
                o.world_size = 0;
              }),
              HasSubstr("does not know its rank"));
}

TEST(Validate, what_nobody_has_set_is_not_called_a_wrong_number) {
  EXPECT_EQ(error_after([](Options& o) { o.world_size = 0; }),
            "banyan: the number of ranks is not known: set BANYAN_WORLD_SIZE, the same for all ranks");
  EXPECT_EQ(error_after([](Options& o) { o.rank = -1; }),
            "banyan: the rank is not known: set BANYAN_RANK, another for each process, from 0 to 7");
  EXPECT_EQ(error_after([](Options& o) {
              o.hosts = {"a:1", "b:1"};
            }),
            "banyan: the place of this host in the list of hosts is not known: set BANYAN_HOST_INDEX beside "
            "BANYAN_HOSTS, 0 on rank 0's host");
}

TEST(Validate, a_port_that_does_not_exist_is_told_which_do) {
  for (const char* rendezvous : {"node1:70000", "node1:-5"})
    EXPECT_THAT(error_after([&](Options& o) { o.rendezvous = rendezvous; }), HasSubstr("with a port from 1 to 65535"));
  EXPECT_THAT(error_after([&](Options& o) {
                o.hosts = {"a:70000"};
                o.host_index = 0;
              }),
              HasSubstr("with a port from 1 to 65535"));
}

TEST(Validate, a_rendezvous_can_be_found) {
  EXPECT_THAT(error_after([](Options& o) { o.rendezvous.clear(); }), HasSubstr("set BANYAN_RENDEZVOUS=host:port"));
  EXPECT_THAT(error_after([](Options& o) { o.rendezvous = "node1"; }), HasSubstr("\"node1\" can't be read"));
  EXPECT_THAT(error_after([](Options& o) { o.rendezvous = "node1:0"; }), HasSubstr("port 0"));
  EXPECT_EQ(error_after([](Options& o) {
              o.rendezvous = "node1:0";
              o.rendezvous_fd = 7;
            }),
            "");
}

TEST(Validate, a_list_of_hosts_says_where_this_one_stands) {
  EXPECT_EQ(error_after([](Options& o) {
              o.hosts = {"a:1", "b:1"};
              o.host_index = 1;
            }),
            "");
  EXPECT_EQ(error_after([](Options& o) {
              o.hosts = {"a:1", "b:1"};
              o.host_index = 7;
            }),
            "")
      << "the list may name the first hosts alone";
  EXPECT_THAT(error_after([](Options& o) { o.hosts = {"a:1", "b:1"}; }), HasSubstr("BANYAN_HOST_INDEX"));
  EXPECT_THAT(error_after([](Options& o) {
                o.hosts = {"a:1", "b:1"};
                o.host_index = -2;
              }),
              HasSubstr("must be a number from 0, not -2"));
  EXPECT_THAT(error_after([](Options& o) {
                o.hosts = {"a:1", "b"};
                o.host_index = 1;
              }),
              HasSubstr("\"b\""));
  EXPECT_THAT(error_after([](Options& o) {
                o.hosts = {"a:1", "b:1"};
                o.host_index = 1;
                o.rank = 0;
              }),
              HasSubstr("its host must be the first"));
}

TEST(Validate, what_has_a_limit_keeps_it) {
  EXPECT_THAT(error_after([](Options& o) { o.fan_out = 1; }), HasSubstr("BANYAN_FAN_OUT"));
  EXPECT_THAT(error_after([](Options& o) { o.blob.assign(32 * 1024 + 1, 'x'); }), HasSubstr("32768"));
  EXPECT_THAT(error_after([](Options& o) { o.first_port = 5; }), HasSubstr("BANYAN_PORT_RANGE"));
  EXPECT_THAT(error_after([](Options& o) { o.unexpected_bytes = 1; }), HasSubstr("BANYAN_UNEXPECTED_BYTES"));
  EXPECT_THAT(error_after([](Options& o) { o.store_bytes = 131'071; }), HasSubstr("BANYAN_STORE_BYTES"));
  EXPECT_THAT(error_after([](Options& o) { o.direct_links = -1; }), HasSubstr("BANYAN_DIRECT_LINKS"));
  EXPECT_THAT(error_after([](Options& o) { o.direct_bytes = 0; }), HasSubstr("BANYAN_DIRECT_BYTES"));
  EXPECT_THAT(error_after([](Options& o) { o.direct_messages = 0; }), HasSubstr("BANYAN_DIRECT_MESSAGES"));
  EXPECT_THAT(error_after([](Options& o) { o.call_timeout = std::chrono::seconds(-1); }),
              HasSubstr("BANYAN_CALL_TIMEOUT"));
  EXPECT_THAT(error_after([](Options& o) { o.local_size = 9; }), HasSubstr("BANYAN_LOCAL_SIZE"));
  EXPECT_THAT(error_after([](Options& o) { o.job_id = std::string(32, '0'); }), HasSubstr("BANYAN_JOB_ID"));
}

TEST(Timeouts, a_duration_too_long_for_nanoseconds_is_none) {
  EXPECT_TRUE(Timeout(std::chrono::hours::max()).is_none());
  EXPECT_TRUE(Timeout(std::chrono::duration<double>(1e300)).is_none());
  EXPECT_FALSE(Timeout(std::chrono::hours(24 * 365)).is_none());
  EXPECT_TRUE(Timeout().is_default());
  EXPECT_FALSE(Timeout().is_none());
}

}  // namespace
}  // namespace banyan
