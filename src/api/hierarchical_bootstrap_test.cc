// The public class over real sockets, with the ranks as threads: every form of every operation.
#include <poll.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <banyan/hierarchical_bootstrap.hpp>

#include "api/job_of_threads.hh"

namespace banyan::api {
namespace {

using namespace std::chrono_literals;
using ByteVector = std::vector<std::byte>;

constexpr int kRanks = 5;

template <typename Message>
Message made_of(int rank) {
  using Element = typename Message::value_type;
  return Message(static_cast<std::size_t>(rank * 100), static_cast<Element>(rank));
}

template <typename Message>
void exchange_messages(HierarchicalBootstrap& job) {
  const int rank = job.rank();
  const int root = kRanks - 2;
  std::vector<Message> all;
  for (int other = 0; other < kRanks; ++other) all.push_back(made_of<Message>(other));
  const Message& mine = all[static_cast<std::size_t>(rank)];

  Message message = rank == root ? mine : Message();
  job.broadcast(root, message);
  EXPECT_EQ(message, made_of<Message>(root));
  EXPECT_EQ(job.allgather(mine), all);
  EXPECT_EQ(job.gather(root, mine), rank == root ? all : std::vector<Message>());
  EXPECT_EQ(job.scatter(root, rank == root ? all : std::vector<Message>()), mine);
  EXPECT_EQ(job.alltoall(all), std::vector<Message>(kRanks, mine));
  job.send((rank + 1) % kRanks, mine, 7);
  EXPECT_EQ(job.recv<Message>((rank + kRanks - 1) % kRanks, 7), made_of<Message>((rank + kRanks - 1) % kRanks));
}

TEST(Operations, carry_strings) { run_job(kRanks, exchange_messages<std::string>); }
TEST(Operations, carry_bytes) { run_job(kRanks, exchange_messages<ByteVector>); }
TEST(Operations, carry_chars) { run_job(kRanks, exchange_messages<std::vector<char>>); }
TEST(Operations, carry_unsigned_chars) { run_job(kRanks, exchange_messages<std::vector<std::uint8_t>>); }

TEST(Operations, a_message_of_any_rank_comes_with_its_source) {
  run_job(kRanks, [](HierarchicalBootstrap& job) {
    if (job.rank() > 0) return job.send(0, "from " + std::to_string(job.rank()), 3);
    std::vector<int> sources;
    for (int i = 1; i < kRanks; ++i) {
      const auto [source, message] = job.recv_any(3);
      EXPECT_EQ(message, "from " + std::to_string(source));
      sources.push_back(source);
    }
    std::sort(sources.begin(), sources.end());
    EXPECT_EQ(sources, (std::vector<int>{1, 2, 3, 4}));
    EXPECT_FALSE(job.probe_any(3).has_value());
    expect_error(ErrorCode::timed_out, "recv from any rank (tag 3)", [&] { job.recv_any(3, 10ms); });
  });
}

TEST(Operations, the_store_has_every_form_of_every_call) {
  run_job(kRanks, [](HierarchicalBootstrap& job) {
    const std::string own = "name of " + std::to_string(job.rank());
    const std::string next = "name of " + std::to_string((job.rank() + 1) % kRanks);
    job.put(own, "first");
    EXPECT_EQ(job.get(next), "first");
    job.barrier();
    job.put_async(own, ByteVector(10, std::byte{42})).get();
    job.barrier();
    EXPECT_EQ(job.get<ByteVector>(next), ByteVector(10, std::byte{42}));
    EXPECT_EQ(job.get_async<ByteVector>(next).get(), ByteVector(10, std::byte{42}));
    EXPECT_EQ(job.find<std::vector<char>>(next), std::vector<char>(10, 42));
    EXPECT_EQ(job.find_async("nobody").get(), std::nullopt);
    const Handle found = job.begin_find(own);
    EXPECT_EQ(found.messages<ByteVector>(), std::vector<ByteVector>(1, ByteVector(10, std::byte{42})));
    EXPECT_EQ(job.begin_find("nobody").message_count(), 0u);
    job.barrier();
    EXPECT_TRUE(job.remove(own));
    EXPECT_FALSE(job.remove_async(own).get());
    EXPECT_FALSE(job.begin_remove(own).value<bool>());

    job.put_value(own, 1.5 * job.rank());
    EXPECT_EQ(job.get_value<double>(own), 1.5 * job.rank());
    EXPECT_EQ(job.begin_get(own).value<double>(), 1.5 * job.rank());
    job.barrier();
  });
}

TEST(Operations, a_counter_of_the_store_counts_every_add_once) {
  run_job(kRanks, [](HierarchicalBootstrap& job) {
    const std::int64_t one = job.add("tickets", 1);
    const std::int64_t other = job.add_async("tickets", 1).get();
    EXPECT_EQ(job.begin_add("own " + std::to_string(job.rank()), -3).value<std::int64_t>(), -3);
    auto all = job.allgather_value(one);
    for (const std::int64_t ticket : job.allgather_value(other)) all.push_back(ticket);
    std::sort(all.begin(), all.end());
    for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i], static_cast<std::int64_t>(i + 1));
    EXPECT_EQ(job.get_value<std::int64_t>("tickets"), 2 * kRanks);
    job.barrier();
  });
}

TEST(Operations, of_those_who_compare_and_set_one_succeeds_and_all_know_what_is_there) {
  run_job(kRanks, [](HierarchicalBootstrap& job) {
    const std::string mine = std::to_string(job.rank());
    const auto first = job.compare_set("leader", std::nullopt, mine);
    EXPECT_EQ(job.allreduce(first.set ? 1 : 0, Reduction::sum), 1);
    EXPECT_EQ(first.value, job.get("leader"));
    const auto absent = job.compare_set_async("nobody", MessageView("x"), mine).get();
    EXPECT_FALSE(absent.set);
    EXPECT_EQ(absent.value, std::nullopt);
    job.barrier();
    const Handle again = job.begin_compare_set("leader", MessageView(*first.value), "all");
    EXPECT_EQ(again.message(1), "all") << "the others find what the first of them has put";
    job.barrier();
  });
}

TEST(Operations, what_the_store_can_not_do_is_said_with_the_key_and_its_keeper) {
  run_job(2, [](HierarchicalBootstrap& job) {
    expect_error(ErrorCode::timed_out, "get of key 'nobody', which rank ", [&] { job.get("nobody", 10ms); });
    expect_misuse("put(): the key is empty", [&] { job.put("", "x"); });
    expect_error(ErrorCode::too_large, "find(): the key has 1025 bytes", [&] { job.find(std::string(1025, 'k')); });
    expect_error(ErrorCode::too_large, "put(): the value has 65537 bytes",
                 [&] { job.begin_put("x", std::string(65'537, 'v')); });
    job.put("text", "12345678");
    expect_error(ErrorCode::mismatch, "add of key 'text'", [&] { job.add("text", 1); });
    job.barrier();
  });
}

TEST(Operations, a_rank_keeps_no_more_for_the_store_than_it_was_told_to) {
  std::vector<Options> all = job_options(1);
  all[0].store_bytes = 128 * 1024;
  run_ranks(all, [](HierarchicalBootstrap& job, const Options& options) {
    job.init(options);
    job.start();
    const std::string value(12'000, 'x');
    for (int i = 0; i < 10; ++i) job.put(std::to_string(i), value);
    expect_error(ErrorCode::too_large, "BANYAN_STORE_BYTES", [&] { job.put("one more", value); });
    EXPECT_TRUE(job.remove("0"));
    job.put("one more", value);
  });
}

TEST(Operations, a_probe_tells_what_a_receive_would_bring) {
  run_job(2, [](HierarchicalBootstrap& job) {
    if (job.rank() == 1) job.send(0, "12345", 3);
    job.barrier();
    if (job.rank() == 1) return job.barrier();
    const auto found = job.probe_any(3);
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->source, 1);
    EXPECT_EQ(found->tag, 3u);
    EXPECT_EQ(found->bytes, 5u);
    EXPECT_FALSE(job.probe(1, 4).has_value());
    EXPECT_EQ(job.recv(found->source, found->tag), "12345");
    EXPECT_FALSE(job.probe(1, 3).has_value());
    job.barrier();
  });
}

TEST(Operations, sending_and_receiving_at_once_waits_for_nobodys_turn) {
  run_job(kRanks, [](HierarchicalBootstrap& job) {
    const int left = (job.rank() + kRanks - 1) % kRanks;
    // Longer than what may be sent unasked: a send alone would wait for its receive.
    const std::string mine(100'000, static_cast<char>('a' + job.rank()));
    const int right = (job.rank() + 1) % kRanks;
    EXPECT_EQ(job.sendrecv(right, mine, left), std::string(100'000, static_cast<char>('a' + left)));
    expect_misuse("source is -1", [&] { job.sendrecv(right, mine, -1); });
    job.barrier();
    EXPECT_FALSE(job.probe(left).has_value()) << "nothing was sent before the misuse was found";
    job.barrier();
  });
}

TEST(Operations, literals_and_views_are_strings) {
  run_job(kRanks, [](HierarchicalBootstrap& job) {
    const std::vector<std::string> all(kRanks, "hello");
    const std::string_view view = "hello";
    EXPECT_EQ(job.allgather("hello"), all);
    EXPECT_EQ(job.allgather(view), all);
    EXPECT_EQ(job.gather(1, "hello"), job.rank() == 1 ? all : std::vector<std::string>());
    EXPECT_EQ(job.allgather_async("hello").get(), all);
    EXPECT_EQ(job.gather_async(0, "hello").get(), job.rank() == 0 ? all : std::vector<std::string>());
    EXPECT_EQ(job.rank() == 0 ? job.scatter(0, all) : job.scatter<std::string>(0, {}), "hello");
  });
}

TEST(Operations, the_lines_of_the_manual_work_as_they_stand) {
  const auto [listener, port_of_listener] = listening_socket();
  ::close(listener);
  run_ranks(job_options(3), [port = port_of_listener](HierarchicalBootstrap&, const Options& options) {
    const int rank = options.rank;
    const int total_ranks = 3;
    const std::string address = "127.0.0.1";
    const int root = 1;
    const int target_rank = (rank + 1) % 3;
    const int source_rank = (rank + 2) % 3;
    const std::string local_data = std::to_string(rank);
    std::string message = rank == root ? "hello" : "";

    auto bootstrap = std::make_unique<bootstrap::HierarchicalBootstrap>();
    bootstrap->init(rank, total_ranks, address, port);
    bootstrap->start();
    bootstrap->broadcast(root, message);
    auto everyone = bootstrap->allgather(local_data);
    bootstrap->barrier();
    bootstrap->send(target_rank, message);
    auto answer = bootstrap->recv(source_rank);

    EXPECT_EQ(message, "hello");
    EXPECT_EQ(everyone, (std::vector<std::string>{"0", "1", "2"}));
    EXPECT_EQ(answer, "hello");
  });
}

struct Card {
  int rank;
  double weight;
  friend bool operator==(const Card&, const Card&) = default;
};

TEST(Operations, carry_values) {
  run_job(kRanks, [](HierarchicalBootstrap& job) {
    const Card mine{job.rank(), 0.5 * job.rank()};
    std::vector<Card> all;
    for (int rank = 0; rank < kRanks; ++rank) all.push_back({rank, 0.5 * rank});

    Card card = mine;
    job.broadcast_value(2, card);
    EXPECT_EQ(card, all[2]);
    EXPECT_EQ(job.allgather_value(mine), all);
    EXPECT_EQ(job.gather_value(1, mine), job.rank() == 1 ? all : std::vector<Card>());
    EXPECT_EQ(job.scatter_value(0, all), mine);
    EXPECT_EQ(job.alltoall_value(std::vector<int>(kRanks, job.rank())), (std::vector<int>{0, 1, 2, 3, 4}));
    job.send_value(job.rank(), mine);  // to itself
    EXPECT_EQ(job.recv_value<Card>(job.rank()), mine);
    EXPECT_EQ(job.allgather_value(job.rank() % 2 == 0), (std::vector<bool>{true, false, true, false, true}));
  });
}

TEST(Operations, reduce_elements_of_every_type) {
  run_job(kRanks, [](HierarchicalBootstrap& job) {
    const auto check = [&](auto one) {
      using Element = decltype(one);
      const std::vector<Element> mine{one, static_cast<Element>(job.rank())};
      EXPECT_EQ(job.allreduce(mine, Reduction::sum), (std::vector<Element>{Element{5}, Element{10}}));
      EXPECT_EQ(job.reduce(3, mine, Reduction::max),
                job.rank() == 3 ? (std::vector<Element>{one, Element{4}}) : std::vector<Element>());
      EXPECT_EQ(job.allreduce(static_cast<Element>(job.rank() + 1), Reduction::product), Element{120});
    };
    check(std::int8_t{1});
    check(std::uint8_t{1});
    check(std::int16_t{1});
    check(std::uint16_t{1});
    check(1);
    check(1u);
    check(1L);
    check(1ULL);
    check(1.0f);
    check(1.0);
    EXPECT_EQ(job.allreduce(1u << job.rank(), Reduction::bit_or), 31u);
    EXPECT_EQ(job.allreduce(std::vector<int>(), Reduction::min), std::vector<int>());
  });
}

TEST(Operations, reduce_over_the_ranks_up_to_each) {
  run_job(kRanks, [](HierarchicalBootstrap& job) {
    const int rank = job.rank();
    const std::vector<double> mine{1.0, 0.5 * rank};
    EXPECT_EQ(job.scan(mine, Reduction::sum), (std::vector<double>{rank + 1.0, rank * (rank + 1) * 0.25}));
    EXPECT_EQ(job.exclusive_scan(mine, Reduction::sum),
              rank == 0 ? std::vector<double>() : (std::vector<double>{1.0 * rank, rank * (rank - 1) * 0.25}));
  });
}

TEST(Operations, reduce_and_give_each_rank_a_block) {
  run_job(kRanks, [](HierarchicalBootstrap& job) {
    const auto rank = static_cast<std::size_t>(job.rank());
    // Few elements, which go over the tree, and many.
    for (const std::size_t each : {std::size_t{1}, std::size_t{3000}}) {
      std::vector<std::uint64_t> elements;
      for (std::size_t i = 0; i < kRanks * each; ++i) elements.push_back(i / each);
      EXPECT_EQ(job.reduce_scatter(elements, Reduction::sum), std::vector<std::uint64_t>(each, rank * kRanks));
      const std::vector<std::size_t> counts{0, each, each * 3, each - 1, 1};
      const auto end = [&](std::size_t ranks) {
        return elements.begin() + std::accumulate(counts.begin(), counts.begin() + static_cast<int>(ranks), 0L);
      };
      EXPECT_EQ(job.reduce_scatter(elements, counts, Reduction::max),
                std::vector<std::uint64_t>(end(rank), end(rank + 1)));
    }
  });
}

TEST(Futures, many_operations_may_be_in_flight) {
  run_job(kRanks, [](HierarchicalBootstrap& job) {
    const int rank = job.rank();
    const std::string mine = std::to_string(rank);
    auto gathered = job.allgather_async(mine);
    auto met = job.barrier_async();
    auto told = job.broadcast_async(1, rank == 1 ? std::string("word") : std::string());
    auto at_root = job.gather_async(0, mine);
    auto part = job.scatter_async(0, std::vector<std::string>(kRanks, "part"));
    auto sum = job.allreduce_async(std::vector<int>{1}, Reduction::sum);
    auto at_two = job.reduce_async(2, std::vector<int>{rank}, Reduction::max);
    auto received = job.recv_async((rank + 1) % kRanks);
    auto sent = job.send_async((rank + kRanks - 1) % kRanks, mine);
    auto cards = job.allgather_value_async(rank);
    auto swapped = job.alltoall_async(std::vector<std::string>(kRanks, mine));
    auto values = job.alltoall_value_async(std::vector<int>(kRanks, rank));
    auto block = job.reduce_scatter_async(std::vector<int>(kRanks, rank), Reduction::min);
    auto counted = job.reduce_scatter_async(std::vector<int>{rank, 7}, {0, 0, 2, 0, 0}, Reduction::max);
    auto below = job.scan_async(std::vector<int>{rank}, Reduction::max);
    auto before = job.exclusive_scan_async(std::vector<int>{rank}, Reduction::max);

    EXPECT_EQ(cards.get(), (std::vector<int>{0, 1, 2, 3, 4}));
    EXPECT_EQ(gathered.get(), (std::vector<std::string>{"0", "1", "2", "3", "4"}));
    EXPECT_NO_THROW(met.get());
    EXPECT_EQ(told.get(), "word");
    EXPECT_EQ(at_root.get().size(), rank == 0 ? 5u : 0u);
    EXPECT_EQ(part.get(), "part");
    EXPECT_EQ(sum.get(), std::vector<int>{5});
    EXPECT_EQ(at_two.get(), rank == 2 ? std::vector<int>{4} : std::vector<int>());
    EXPECT_EQ(swapped.get(), (std::vector<std::string>{"0", "1", "2", "3", "4"}));
    EXPECT_EQ(values.get(), (std::vector<int>{0, 1, 2, 3, 4}));
    EXPECT_EQ(block.get(), std::vector<int>{0});
    EXPECT_EQ(counted.get(), rank == 2 ? (std::vector<int>{4, 7}) : std::vector<int>());
    EXPECT_EQ(below.get(), std::vector<int>{rank});
    EXPECT_EQ(before.get(), rank == 0 ? std::vector<int>() : std::vector<int>{rank - 1});
    EXPECT_NO_THROW(sent.get());
    EXPECT_EQ(received.get(), std::to_string((rank + 1) % kRanks));
  });
}

TEST(Futures, a_start_may_be_waited_for_later) {
  run_ranks(job_options(3), [](HierarchicalBootstrap& job, const Options& options) {
    job.init(options);
    job.start_async().get();
    EXPECT_EQ(job.allreduce(1, Reduction::sum), 3);
  });
}

TEST(Handles, are_polled_and_their_descriptor_becomes_readable) {
  run_job(2, [](HierarchicalBootstrap& job) {
    if (job.rank() == 0) {
      Handle handle = job.begin_recv(1);
      EXPECT_FALSE(handle.test());
      EXPECT_FALSE(handle.wait_for(1ms));
      pollfd readable{handle.fd(), POLLIN, 0};
      EXPECT_EQ(::poll(&readable, 1, 0), 0);
      job.barrier();
      EXPECT_EQ(::poll(&readable, 1, 60'000), 1);
      EXPECT_TRUE(handle.test());
      EXPECT_EQ(handle.message(), "word");
      EXPECT_EQ(handle.message_count(), 1u);
    } else {
      job.barrier();
      job.send(0, "word");
    }
    const Handle all = job.begin_allgather(job.rank() == 0 ? "a" : "bb");
    EXPECT_EQ(all.messages(), (std::vector<std::string>{"a", "bb"}));
    EXPECT_EQ(all.size(1), 2u);
    EXPECT_THROW(all.message(2), Error);
  });
}

TEST(Handles, a_start_is_a_handle_as_well) {
  run_ranks(job_options(3), [](HierarchicalBootstrap& job, const Options& options) {
    job.init(options);
    const Handle start = job.begin_start();
    std::promise<void> told;
    start.on_done([&] { told.set_value(); });
    told.get_future().get();
    EXPECT_TRUE(start.test());
    EXPECT_EQ(start.message_count(), 0u);
    job.barrier();
  });
}

std::string_view text_of(const MessageView& view) { return {reinterpret_cast<const char*>(view.data()), view.size()}; }

TEST(Handles, are_read_in_place_for_as_long_as_a_copy_of_them_lives) {
  std::vector<Handle> kept(kRanks);
  run_job(kRanks, [&](HierarchicalBootstrap& job) {
    const Handle all = job.begin_allgather(made_of<std::string>(job.rank()));
    for (std::size_t i = 0; i < kRanks; ++i) {
      const MessageView view = all.view(i);
      EXPECT_EQ(text_of(view), made_of<std::string>(static_cast<int>(i)));
      EXPECT_EQ(view.data(), all.view(i).data());
    }
    EXPECT_EQ(all.view().size(), 0u);
    EXPECT_THROW(all.view(kRanks), Error);
    kept[static_cast<std::size_t>(job.rank())] = all;
  });
  for (const Handle& all : kept) EXPECT_EQ(text_of(all.view(3)), made_of<std::string>(3));
}

TEST(Handles, have_one_view_of_a_message_that_came_in_pieces) {
  run_job(2, [](HierarchicalBootstrap& job) {
    std::vector<std::uint64_t> numbers(400'000);
    std::iota(numbers.begin(), numbers.end(), 0u);
    const MessageView bytes(numbers.data(), numbers.size() * sizeof(numbers[0]));
    if (job.rank() == 0) return job.send(1, bytes);
    const Handle received = job.begin_recv(0);
    std::vector<const std::byte*> seen(4);
    std::vector<std::thread> readers;
    for (auto& data : seen) readers.emplace_back([&data, copy = received] { data = copy.view().data(); });
    for (std::thread& reader : readers) reader.join();
    EXPECT_THAT(seen, testing::Each(received.view().data()));
    EXPECT_EQ(text_of(received.view()), text_of(bytes));
    EXPECT_EQ(received.message(), text_of(bytes));
    EXPECT_EQ(received.elements<std::uint64_t>(), numbers);
  });
}

TEST(Handles, a_value_of_another_size_is_a_mismatch) {
  run_job(1, [](HierarchicalBootstrap& job) {
    job.send(0, "12345");
    try {
      job.recv_value<int>(0);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::mismatch);
      EXPECT_THAT(error.what(), testing::HasSubstr("5 bytes"));
    }
  });
}

TEST(TheJob, everyone_knows_every_blob_and_host) {
  auto all = job_options(4);
  for (Options& options : all) {
    options.host_id = options.rank < 2 ? "a" : "b";
    options.host_name = "host " + options.host_id;
    options.blob = std::string(1, '\0') + "card " + std::to_string(options.rank);
  }
  run_ranks(all, [](HierarchicalBootstrap& job, const Options& options) {
    job.init(options);
    if (options.rank == 3) job.set_blob("another card");
    job.start();
    for (int rank = 0; rank < 3; ++rank)
      EXPECT_EQ(job.peer_blob(rank), std::string(1, '\0') + "card " + std::to_string(rank));
    EXPECT_EQ(job.peer_blob<ByteVector>(3).size(), 12u);
    EXPECT_EQ(job.host_of(1), "host a");
    EXPECT_EQ(job.host_of(2), "host b");
    const Statistics statistics = job.statistics();
    EXPECT_EQ(statistics.ranks, 4);
    EXPECT_EQ(statistics.hosts, 2);
    EXPECT_EQ(statistics.depth, 1);
    EXPECT_LE(statistics.placed_ms, statistics.table_ms);
    EXPECT_LE(statistics.table_ms, statistics.formed_ms);
    EXPECT_GT(statistics.formed_ms, 0);
    job.barrier();
    job.close();
    EXPECT_EQ(job.peer_blob(3), "another card");
    EXPECT_EQ(job.statistics().hosts, 2);
  });
}

TEST(TheJob, the_next_one_may_meet_at_the_same_place_with_the_same_id) {
  std::vector<Options> all = job_options(kRanks);
  ::close(std::exchange(all[0].rendezvous_fd, -1));
  for (Options& options : all) options.job_id = "again and again";
  run_ranks(all, [](HierarchicalBootstrap&, const Options& options) {
    for (int round = 0; round < 5; ++round) {
      HierarchicalBootstrap job;
      job.init(options);
      job.start();
      const auto message_of = [round](int rank) { return std::to_string(100 * round + rank); };
      const std::vector<std::string> everyone = job.allgather(message_of(options.rank));
      for (int rank = 0; rank < kRanks; ++rank) EXPECT_EQ(everyone[static_cast<std::size_t>(rank)], message_of(rank));
      job.close();
    }
  });
}

TEST(TheJob, a_bootstrap_may_be_moved) {
  run_ranks(job_options(2), [](HierarchicalBootstrap& job, const Options& options) {
    job.init(options);
    job.start();
    HierarchicalBootstrap moved = std::move(job);
    EXPECT_EQ(moved.allreduce(1, Reduction::sum), 2);
  });
}

}  // namespace
}  // namespace banyan::api
