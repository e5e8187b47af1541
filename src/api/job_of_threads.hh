// For tests: the ranks of a job as threads of this process, and what an error of theirs must be.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>
#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <banyan/hierarchical_bootstrap.hpp>

namespace banyan::api {

// A socket that listens on a free port of this host, and the port.
inline std::pair<int, int> listening_socket() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener, generic, length) != 0 || ::listen(listener, SOMAXCONN) != 0) std::abort();
  if (::getsockname(listener, generic, &length) != 0) std::abort();
  return {listener, ntohs(address.sin_port)};
}

// Options of every rank of a job that meets at a port of its own. Each may be changed before it is used.
inline std::vector<Options> job_options(int world_size) {
  const auto [listener, port] = listening_socket();
  Options common;
  common.world_size = world_size;
  common.rendezvous = "127.0.0.1:" + std::to_string(port);
  common.secret = "a secret of the tests";
  common.start_timeout = std::chrono::seconds(60);
  common.call_timeout = std::chrono::seconds(60);
  std::vector<Options> all(static_cast<std::size_t>(world_size), common);
  for (int rank = 0; rank < world_size; ++rank) all[static_cast<std::size_t>(rank)].rank = rank;
  all[0].rendezvous_fd = listener;
  return all;
}

// Calls `body` in a thread for each rank; the first exception that one lets out comes out here.
inline void run_ranks(const std::vector<Options>& all,
                      const std::function<void(HierarchicalBootstrap&, const Options&)>& body) {
  std::vector<std::exception_ptr> thrown(all.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < all.size(); ++i) {
    threads.emplace_back([&, i] {
      try {
        HierarchicalBootstrap job;
        body(job, all[i]);
      } catch (...) {
        thrown[i] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& exception : thrown) {
    if (exception) std::rethrow_exception(exception);
  }
}

// The same for ranks that have been started.
inline void run_job(int world_size, const std::function<void(HierarchicalBootstrap&)>& body) {
  run_ranks(job_options(world_size), [&](HierarchicalBootstrap& job, const Options& options) {
    job.init(options);
    job.start();
    body(job);
    job.close();
  });
}

// Expects that `call` throws an Error with this code and with `text` in its what().
inline void expect_error(ErrorCode code, const std::string& text, const std::function<void()>& call) {
  try {
    call();
    ADD_FAILURE() << "no error; expected " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.what(), ::testing::HasSubstr(text));
  }
}

inline void expect_misuse(const std::string& text, const std::function<void()>& call) {
  expect_error(ErrorCode::misuse, text, call);
}

}  // namespace banyan::api
