#include "api/progress.hh"

#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include <gtest/gtest.h>

namespace banyan::api {
namespace {

TEST(Progress, to_a_socket_that_takes_nothing_more_is_dropped) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  ::shutdown(ends[0], SHUT_WR);  // it still polls as writable, and writing to it is a fatal signal
  Progress(ends[0]).line("waiting for 1 of 2: 1");
  char byte = 0;
  EXPECT_EQ(::read(ends[1], &byte, 1), 0);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(Progress, to_a_pipe_is_dropped_whole_when_there_is_no_room) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const Progress progress(ends[1]);
  const std::string line(1000, 'x');
  for (int i = 0; i < 100; ++i) progress.line(line);  // more than a pipe holds
  ::close(ends[1]);
  std::size_t size = 0;
  char buffer[4096];
  for (ssize_t count = 0; (count = ::read(ends[0], buffer, sizeof(buffer))) > 0;)
    size += static_cast<std::size_t>(count);
  EXPECT_GT(size, 0u);
  EXPECT_EQ(size % (line.size() + 1), 0u);
  ::close(ends[0]);
}

}  // namespace
}  // namespace banyan::api
