#include "api/parse.hh"

#include <gtest/gtest.h>

#include "api/job_id.hh"

namespace banyan::api {
namespace {

using namespace std::chrono_literals;

TEST(Parse, a_number_is_the_whole_text) {
  EXPECT_EQ(parse_number("42"), 42);
  EXPECT_EQ(parse_number("-1"), -1);
  for (const char* text : {"", "4 2", "42x", "0x2a", "four", "99999999999999999999"}) {
    EXPECT_EQ(parse_number(text), std::nullopt) << text;
  }
}

TEST(Parse, a_duration_is_seconds_unless_it_says_otherwise) {
  EXPECT_EQ(parse_duration("30"), 30s);
  EXPECT_EQ(parse_duration("30s"), 30s);
  EXPECT_EQ(parse_duration("0.5"), 500ms);
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("2m"), 2min);
  EXPECT_EQ(parse_duration("1h"), 1h);
  EXPECT_EQ(parse_duration("none"), std::chrono::nanoseconds::max());
  EXPECT_EQ(parse_duration("1e30"), std::chrono::nanoseconds::max());
  for (const char* text : {"", "-1", "soon", "3 s", "3d", "inf", "nan", "ms"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Parse, bytes_may_have_a_unit) {
  EXPECT_EQ(parse_bytes("4096"), 4096u);
  EXPECT_EQ(parse_bytes("64K"), 65536u);
  EXPECT_EQ(parse_bytes("4M"), 4u << 20);
  EXPECT_EQ(parse_bytes("1G"), 1u << 30);
  for (const char* text : {"4 MiB", "4MiB", "4mib", "4 M", "4m"}) EXPECT_EQ(parse_bytes(text), 4u << 20) << text;
  EXPECT_EQ(parse_bytes("8k"), 8192u);
  EXPECT_EQ(parse_bytes("8KiB"), 8192u);
  for (const char* text : {"", "-1", "4X", "M", "99999999999G", "4MB", "4iB", "4  M", "4 ", "4Mi", "4 MiBs"})
    EXPECT_EQ(parse_bytes(text), std::nullopt) << text;
}

TEST(Parse, a_port_range_lies_in_the_ports_and_ascends) {
  EXPECT_EQ(parse_port_range("5000-5100"), std::pair(5000, 5100));
  EXPECT_EQ(parse_port_range("5000"), std::pair(5000, 5000));
  for (const char* text : {"", "0-10", "10-5", "5000-65536", "5000-", "a-b", "1-2-3"}) {
    EXPECT_EQ(parse_port_range(text), std::nullopt) << text;
  }
}

TEST(Parse, a_list_is_split_at_commas) {
  EXPECT_EQ(split_list("a:1, b:2,,[::1]:3 "), (std::vector<std::string>{"a:1", "b:2", "[::1]:3"}));
  EXPECT_TRUE(split_list("").empty());
  EXPECT_TRUE(split_list(" , ").empty());
}

TEST(Parse, the_first_host_of_a_slurm_list_is_found_behind_brackets) {
  EXPECT_EQ(first_slurm_host("n1"), "n1");
  EXPECT_EQ(first_slurm_host("n1,n2"), "n1");
  EXPECT_EQ(first_slurm_host("n[1-4]"), "n1");
  EXPECT_EQ(first_slurm_host("n[007-009,020]"), "n007");
  EXPECT_EQ(first_slurm_host("n[3,5-6],gpu[1-2]"), "n3");
  EXPECT_EQ(first_slurm_host("rack[02-04]n[07,09]-ib,gpu1"), "rack02n07-ib");
  EXPECT_EQ(first_slurm_host("host-1.cluster.example,x"), "host-1.cluster.example");
  for (const char* text : {"", ",n1", "n[1-4", "n]1", "n[]", "n[[1]]"})
    EXPECT_EQ(first_slurm_host(text), std::nullopt) << text;
}

TEST(JobIds, hexadecimal_text_is_taken_as_it_is_and_other_text_is_hashed) {
  const std::string digits = "00112233445566778899aabbccddeeff";
  EXPECT_EQ(to_string(parse_job_id(digits)), digits);
  EXPECT_FALSE(parse_job_id("").known());
  EXPECT_TRUE(parse_job_id("run-17").known());
  EXPECT_EQ(parse_job_id("run-17"), parse_job_id("run-17"));
  EXPECT_NE(parse_job_id("run-17"), parse_job_id("run-18"));
  // As long as digits, but none.
  EXPECT_EQ(to_string(parse_job_id("0x112233445566778899aabbccddeeff")).size(), 32u);
  EXPECT_NE(to_string(parse_job_id("+0112233445566778899aabbccddeeff")).substr(2, 4), "1122");
}

TEST(JobIds, parts_are_kept_apart) {
  EXPECT_NE(hashed_job_id({"ab", "c"}), hashed_job_id({"a", "bc"}));
  EXPECT_EQ(hashed_job_id({"ab", "c"}), hashed_job_id({"ab", "c"}));
  EXPECT_EQ(hashed_job_id({"ab"}).size(), 32u);
}

TEST(JobIds, the_port_of_a_job_lies_below_those_that_clients_get) {
  for (int i = 0; i < 1000; ++i) {
    const int port = port_of(parse_job_id(hashed_job_id({std::to_string(i)})));
    EXPECT_GE(port, 20'000);
    EXPECT_LT(port, 30'000);
  }
}

}  // namespace
}  // namespace banyan::api
