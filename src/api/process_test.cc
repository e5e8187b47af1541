// A bootstrap and the process around it: what it inherits, what it runs out of, and its children.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <banyan/hierarchical_bootstrap.hpp>

#include "api/environment.hh"
#include "api/job_of_threads.hh"
#include "driver/sockets/child_of_fork.hh"

namespace banyan::api {
namespace {

using namespace std::chrono_literals;

// What a process is told under `banyan run`, read anew for each job.
std::vector<Options> told(const std::vector<Options>& launched) {
  std::vector<Options> all;
  for (const Options& options : launched) {
    std::map<std::string, std::string> variables = {{"BANYAN_RANK", std::to_string(options.rank)},
                                                    {"BANYAN_WORLD_SIZE", std::to_string(options.world_size)},
                                                    {"BANYAN_RENDEZVOUS", options.rendezvous},
                                                    {"BANYAN_SECRET", options.secret}};
    if (options.rendezvous_fd >= 0) variables["BANYAN_RENDEZVOUS_FD"] = std::to_string(options.rendezvous_fd);
    all.push_back(options_from(Environment([variables](const char* name) {
      const auto place = variables.find(name);
      return place == variables.end() ? nullptr : place->second.c_str();
    })));
  }
  return all;
}

void meet(HierarchicalBootstrap& job, const Options& options) {
  job.init(options);
  job.start();
  job.barrier();
  job.close();
}

TEST(Inheritance, a_second_job_of_the_same_processes_leaves_a_descriptor_that_is_another_file_by_now_alone) {
  const auto launched = job_options(2);
  run_ranks(told(launched), meet);
  const int number = launched[0].rendezvous_fd;
  EXPECT_LT(::fcntl(number, F_GETFD), 0);
  const int file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (file != number) {
    ASSERT_EQ(::dup2(file, number), number);
  }
  run_ranks(told(launched), meet);
  EXPECT_GE(::fcntl(number, F_GETFD), 0);
  ::close(number);
  if (file != number) ::close(file);
}

TEST(Resources, a_start_without_descriptors_fails_with_an_error_and_may_be_repeated) {
  run_job(1, [](HierarchicalBootstrap&) {});  // raises the limit, once in the life of the process
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit low{64, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &low);
  std::vector<int> taken;
  for (int number = ::open("/dev/null", O_RDONLY); number >= 0; number = ::dup(number)) taken.push_back(number);
  HierarchicalBootstrap job;
  job.init(0, 1, "127.0.0.1", 0);
  try {
    job.start();
    ADD_FAILURE() << "started";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::resources) << error.what();
  }
  for (const int number : taken) ::close(number);
  ::setrlimit(RLIMIT_NOFILE, &before);
  job.start();
  job.barrier();
}

TEST(SharedMemory, a_large_table_and_large_results_come_whole) {
  std::vector<Options> all = job_options(6);
  for (Options& options : all) options.blob = std::string(30'000, static_cast<char>('a' + options.rank));
  run_ranks(all, [](HierarchicalBootstrap& job, const Options& options) {
    job.init(options);
    job.start();
    const std::string own(40'000, static_cast<char>('A' + options.rank));
    const Handle gathered = job.begin_allgather(own);
    gathered.wait();
    std::string message(200'000, 'm');
    if (options.rank != 3) message.clear();
    job.broadcast(3, message);
    const std::vector<std::int64_t> sums = job.allreduce(std::vector<std::int64_t>(50'000, 1), Reduction::sum);
    // All hold their results; those of the ranks that lead nobody are mapped.
    std::ifstream maps("/proc/self/maps");
    EXPECT_THAT((std::string{std::istreambuf_iterator<char>(maps), {}}), testing::HasSubstr("/memfd:banyan"));
    job.barrier();
    const std::vector<std::string> results = gathered.messages();
    for (int rank = 0; rank < 6; ++rank) {
      EXPECT_EQ(job.peer_blob(rank), std::string(30'000, static_cast<char>('a' + rank)));
      EXPECT_EQ(results[static_cast<std::size_t>(rank)], std::string(40'000, static_cast<char>('A' + rank)));
    }
    EXPECT_EQ(message, std::string(200'000, 'm'));
    EXPECT_EQ(sums, std::vector<std::int64_t>(50'000, 6));
    job.close();
  });
}

// The memory file of Banyan's that the process has `address` from; 0: none.
std::uint64_t memory_file_at(const void* address) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t start = 0;
    std::uintptr_t end = 0;
    char dash = 0;
    std::string rights;
    std::string offset;
    std::string device;
    std::uint64_t file = 0;
    std::istringstream(line) >> std::hex >> start >> dash >> end >> rights >> offset >> device >> std::dec >> file;
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    if (start <= at && at < end) return line.find("/memfd:banyan") != std::string::npos ? file : 0;
  }
  return 0;
}

TEST(SharedMemory, what_the_ranks_of_a_host_share_is_read_where_it_lies) {
  constexpr int kRanks = 6;
  run_job(kRanks, [](HierarchicalBootstrap& job) {
    const Handle gathered = job.begin_allgather(std::string(40'000, static_cast<char>('A' + job.rank())));
    const std::vector<std::int64_t> ones(50'000, 1);
    const Handle sums = job.begin_allreduce(ones.data(), ones.size(), Reduction::sum);
    gathered.wait();
    sums.wait();
    for (std::size_t i = 0; i < kRanks; ++i) {
      const MessageView view = gathered.view(i);
      EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(view.data()), view.size()),
                std::string(40'000, static_cast<char>('A' + i)));
    }
    EXPECT_EQ(sums.elements<std::int64_t>(), std::vector<std::int64_t>(50'000, kRanks));
    // Of results of this size their leader has what they are made of, and so has rank 0 where another rank is their
    // leader.
    const bool in_place = memory_file_at(gathered.view(0).data()) != 0;
    EXPECT_EQ(in_place, job.statistics().local_links == 1);
    if (!in_place) return;
    EXPECT_NE(memory_file_at(sums.view().data()), 0u);
    for (std::size_t i = 1; i < kRanks; ++i) EXPECT_EQ(gathered.view(i).data(), gathered.view(0).data() + i * 40'000);
  });
}

TEST(SharedMemory, the_leader_reads_a_large_result_where_the_ranks_of_its_host_do) {
  constexpr int kRanks = 4;
  constexpr std::size_t kBytes = 400'000;
  std::vector<std::uint64_t> files(kRanks);
  std::vector<std::uint64_t> files_of_sums(kRanks);
  std::vector<int> links;
  run_job(kRanks, [&](HierarchicalBootstrap& job) {
    const std::vector<int> links_of = job.allgather_value(job.statistics().local_links);
    const Handle gathered = job.begin_allgather(std::string(kBytes, static_cast<char>('A' + job.rank())));
    for (std::size_t i = 0; i < kRanks; ++i) {
      const MessageView view = gathered.view(i);
      EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(view.data()), view.size()),
                std::string(kBytes, static_cast<char>('A' + i)));
    }
    const std::vector<std::uint32_t> ones(kBytes, 1);
    const Handle sums = job.begin_allreduce(ones.data(), ones.size(), Reduction::sum);
    EXPECT_EQ(sums.elements<std::uint32_t>(), std::vector<std::uint32_t>(kBytes, kRanks));
    files[static_cast<std::size_t>(job.rank())] = memory_file_at(gathered.view(3).data());
    files_of_sums[static_cast<std::size_t>(job.rank())] = memory_file_at(sums.view().data());
    if (job.rank() == 0) links = links_of;
    job.barrier();
  });
  const auto leader = static_cast<std::size_t>(std::ranges::max_element(links) - links.begin());
  EXPECT_NE(files[leader], 0u);
  EXPECT_NE(files_of_sums[leader], 0u);
  for (std::size_t rank = 0; rank < kRanks; ++rank) {
    // None: rank 0 where another rank is the leader.
    if (links[rank] > 0) {
      EXPECT_EQ(files[rank], files[leader]) << rank;
      EXPECT_EQ(files_of_sums[rank], files_of_sums[leader]) << rank;
    }
  }
}

TEST(SharedMemory, a_large_broadcast_is_written_once_for_all_ranks_of_a_host) {
  constexpr int kRanks = 4;
  std::vector<std::uint64_t> files(kRanks);
  std::uint64_t written = 0;
  run_job(kRanks, [&](HierarchicalBootstrap& job) {
    const std::string sent(5'000'003, 's');
    const std::vector<int> links = job.allgather_value(job.statistics().local_links);
    const auto leader = static_cast<int>(std::ranges::max_element(links) - links.begin());
    std::string own = job.rank() == leader ? sent : "";
    const Handle handle = job.begin_broadcast(leader, own);
    own.assign(own.size(), 'x');
    const MessageView view = handle.view();
    EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(view.data()), view.size()), sent);
    files[static_cast<std::size_t>(job.rank())] = memory_file_at(view.data());
    if (job.rank() == leader) written = memory_file_at(view.data());
    job.barrier();
  });
  EXPECT_NE(written, 0u);
  // Rank 0, where it is not the leader, is above it in the tree, and given the bytes themselves.
  EXPECT_GE(std::ranges::count(files, written), kRanks - 1);
}

TEST(LongStreams, go_from_host_to_host_over_direct_links) {
  constexpr int kRanks = 8;
  constexpr std::size_t kBytes = 3'000'000;
  const auto text_of = [](int rank, std::size_t bytes) { return std::string(bytes, static_cast<char>('a' + rank)); };
  std::vector<Options> all = job_options(kRanks);
  for (Options& options : all) options.host_id = "host " + std::to_string(options.rank / 2);
  std::atomic<std::uint64_t> opened = 0;
  std::atomic<std::uint64_t> lost = 0;
  run_ranks(all, [&](HierarchicalBootstrap& job, const Options& options) {
    job.init(options);
    job.start();
    ASSERT_EQ(job.statistics().hosts, 4);
    std::string message = options.rank == 5 ? text_of(5, kBytes) : "";
    job.broadcast(5, message);
    EXPECT_EQ(message, text_of(5, kBytes));
    EXPECT_EQ(job.allreduce(std::vector<std::uint32_t>(kBytes / 4, 1), Reduction::sum),
              std::vector<std::uint32_t>(kBytes / 4, kRanks));
    const std::vector<std::string> gathered = job.allgather(text_of(options.rank, kBytes / 4));
    for (int rank = 0; rank < kRanks; ++rank)
      EXPECT_EQ(gathered[static_cast<std::size_t>(rank)], text_of(rank, kBytes / 4));
    opened += job.statistics().direct_links_opened;
    lost += job.statistics().direct_links_lost;
    job.barrier();
    job.close();
  });
  EXPECT_GT(opened, 0u);
  EXPECT_EQ(lost, 0u) << "a frame that was as long as direct links have them was refused";
}

bool is_misuse(const std::function<void()>& call) {
  try {
    call();
    return false;
  } catch (const Error& error) {
    return error.code() == ErrorCode::misuse;
  }
}

TEST(Fork, a_child_is_told_that_its_parents_bootstrap_is_not_its_own) {
  auto job = std::make_unique<HierarchicalBootstrap>();
  job->init(0, 1, "127.0.0.1", 0);
  job->start();
  const Handle pending = job->begin_recv(0);
  const Handle done = job->begin_send(0, "x", 1);
  done.wait();
  const std::vector<std::function<void()>> refused = {[&] { pending.wait(); },    [&] { pending.wait_for(1s); },
                                                      [&] { pending.fd(); },      [&] { pending.on_done([] {}); },
                                                      [&] { job->barrier(); },    [&] { job->begin_barrier(); },
                                                      [&] { job->statistics(); }, [&] { job->close(); }};
  const int verdict = driver::child_of_fork([&] {
    for (std::size_t i = 0; i < refused.size(); ++i) {
      if (!is_misuse(refused[i])) return static_cast<int>(i) + 1;
    }
    bool called = false;
    done.wait();
    done.on_done([&called] { called = true; });
    if (!called) return 100;
    job.reset();
// Sanitizers allow no threads in the child of a process that has some: one dies, the other may wait for its own lock.
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
    run_job(1, [](HierarchicalBootstrap& own) { own.barrier(); });
#endif
    return 0;
  });
  EXPECT_EQ(verdict, 0);
  job->send(0, "y");
  EXPECT_EQ(pending.message(), "y");
}

TEST(Fork, a_child_that_drops_a_large_result_closes_no_other_file) {
  HierarchicalBootstrap job;
  job.init(0, 1, "127.0.0.1", 0);
  job.start();
  Handle large = job.begin_broadcast(0, std::string(2'000'000, 'x'));
  large.wait();
  const int verdict = driver::child_of_fork([&] {
    // As many as this process has, at least: they take the places of all that the child was not left.
    std::vector<int> files;
    for (int i = 0; i < 100; ++i) files.push_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    large = {};
    return std::ranges::all_of(files, [](int file) { return ::fcntl(file, F_GETFD) >= 0; }) ? 0 : 1;
  });
  EXPECT_EQ(verdict, 0);
}

}  // namespace
}  // namespace banyan::api
