#include "api/secret.hh"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <banyan/error.hpp>

namespace banyan::api {
namespace {

using ::testing::HasSubstr;

class SecretFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "banyan-secret-XXXXXX").string();
    const int file = ::mkstemp(pattern.data());
    ASSERT_GE(file, 0);
    ::close(file);
    path_ = pattern;
  }
  void TearDown() override { std::filesystem::remove(path_); }

  void write(const std::string& text, mode_t mode = 0600) const {
    std::ofstream(path_) << text;
    ASSERT_EQ(::chmod(path_.c_str(), mode), 0);
  }
  std::string error() const {
    try {
      read_secret_file(path_);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::misuse);
      return error.what();
    }
    return "";
  }

  std::string path_;
};

TEST_F(SecretFile, is_read_without_its_last_line_break) {
  write("hush hush\n");
  EXPECT_EQ(read_secret_file(path_), "hush hush");
  write("hush\r\n");
  EXPECT_EQ(read_secret_file(path_), "hush");
  write("hush");
  EXPECT_EQ(read_secret_file(path_), "hush");
}

TEST_F(SecretFile, that_others_can_read_is_refused_without_showing_it) {
  for (const mode_t mode : {0640, 0604, 0620, 0644}) {
    write("hush", mode);
    EXPECT_THAT(error(), HasSubstr("chmod 600"));
    EXPECT_THAT(error(), HasSubstr(path_));
    EXPECT_THAT(error(), Not(HasSubstr("hush")));
  }
}

TEST_F(SecretFile, that_can_hold_no_secret_is_refused) {
  write("\n");
  EXPECT_THAT(error(), HasSubstr("is empty"));
  write(std::string(5000, 'x'));
  EXPECT_THAT(error(), HasSubstr("longer than"));
}

TEST_F(SecretFile, that_is_not_there_says_why) {
  try {
    read_secret_file(path_ + ".not");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::resources);
    EXPECT_THAT(error.what(), HasSubstr("No such file"));
  }
}

}  // namespace
}  // namespace banyan::api
