// The demo as a Seastar program: the same operations as bootstrap_demo in the same order, so that processes of both may
// be ranks of one job, and the same output. Each shard is a rank.
//
//   banyan run -n 8 -- seastar_demo --overprovisioned --memory 256M
//   seastar_demo --smp 4 --rank 0 --ranks 4 --address 127.0.0.1 --port 4242      four ranks in one process
//
// Started by a launcher it has one shard for its one rank. By hand --rank is the rank of shard 0; the others follow.
// Seastar's own options (--smp, --reactor-backend, ...) are shown by --help-seastar.
//
// A seastar::thread goes through the operations, since they are those of a blocking program: Blocking waits for each
// future. A program of your own uses coroutines: see seastar_hello.cc.
#include <algorithm>
#include <boost/program_options.hpp>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>
#include <ranges>
#include <seastar/core/app-template.hh>
#include <seastar/core/coroutine.hh>
#include <seastar/core/loop.hh>
#include <seastar/core/smp.hh>
#include <seastar/core/thread.hh>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <banyan/seastar_bootstrap.hpp>

#include "demo_operations.hh"

namespace {

using banyan::Buffer;
using banyan::MessageView;
using banyan::Reduction;
using banyan::SeastarBootstrap;
namespace bpo = boost::program_options;

// ---- Waits for futures in a seastar::thread, and has strings and vectors where they have buffers.

Buffer buffer_of(std::string_view text) { return Buffer::copy_of(text); }

template <typename Message = std::string>
Message message_of(const Buffer& buffer) {
  const auto* const bytes = reinterpret_cast<const typename Message::value_type*>(buffer.get());
  return Message(bytes, bytes + buffer.size());
}

std::vector<std::string> texts_of(const std::vector<Buffer>& buffers) {
  std::vector<std::string> texts;
  for (const Buffer& buffer : buffers) texts.push_back(message_of(buffer));
  return texts;
}

std::vector<Buffer> buffers_of(const std::vector<std::string>& texts) {
  std::vector<Buffer> buffers;
  for (const std::string& text : texts) buffers.push_back(buffer_of(text));
  return buffers;
}

// What was received, where it lies.
class Received {
 public:
  explicit Received(std::vector<Buffer> messages) : messages_(std::move(messages)) {}
  MessageView view(std::size_t index = 0) const { return {messages_[index].get(), messages_[index].size()}; }
  std::size_t message_count() const { return messages_.size(); }

 private:
  std::vector<Buffer> messages_;
};

class Blocking {
 public:
  Blocking() = default;
  explicit Blocking(SeastarBootstrap job) : job_(std::move(job)) {}
  ~Blocking() { job_.stop().get(); }
  Blocking(const Blocking&) = delete;
  Blocking& operator=(const Blocking&) = delete;

  void init(banyan::Options options) { job_.init(std::move(options)); }
  void start() { job_.start().get(); }
  void close() { job_.stop().get(); }
  int rank() const { return job_.rank(); }
  int world_size() const { return job_.world_size(); }
  bool valid() const { return job_.valid(); }
  banyan::Statistics statistics() const { return job_.statistics(); }
  std::string peer_blob(int rank) const { return message_of(job_.peer_blob(rank).get()); }

  void broadcast(int root, std::string& message) {
    message = message_of(job_.broadcast(root, buffer_of(message)).get());
  }
  template <typename Value>
  void broadcast_value(int root, Value& value) {
    value = job_.broadcast_value(root, value).get();
  }
  std::vector<std::string> allgather(std::string_view text) { return texts_of(job_.allgather(buffer_of(text)).get()); }
  template <typename Value>
  std::vector<Value> allgather_value(const Value& value) {
    return job_.allgather_value(value).get();
  }
  Received begin_broadcast(int root, std::string_view text) {
    std::vector<Buffer> one;
    one.push_back(job_.broadcast(root, buffer_of(text)).get());
    return Received(std::move(one));
  }
  Received begin_allgather(std::string_view text) { return Received(job_.allgather(buffer_of(text)).get()); }
  std::vector<std::string> gather(int root, std::string_view text) {
    return texts_of(job_.gather(root, buffer_of(text)).get());
  }
  std::string scatter(int root, const std::vector<std::string>& parts) {
    return message_of(job_.scatter(root, buffers_of(parts)).get());
  }
  std::vector<std::string> alltoall(const std::vector<std::string>& parts) {
    return texts_of(job_.alltoall(buffers_of(parts)).get());
  }
  void barrier() { job_.barrier().get(); }
  void barrier(const std::vector<int>& ranks) { job_.barrier(ranks).get(); }
  Blocking split(int color, int key) { return Blocking(job_.split(color, key).get()); }
  Blocking duplicate() { return Blocking(job_.duplicate().get()); }

  template <typename Elements>
  auto reduce(int root, const Elements& elements, Reduction reduction) {
    return job_.reduce(root, elements, reduction).get();
  }
  template <typename Elements>
  auto allreduce(const Elements& elements, Reduction reduction) {
    return job_.allreduce(elements, reduction).get();
  }
  template <typename Elements>
  auto reduce_scatter(const Elements& elements, Reduction reduction) {
    return job_.reduce_scatter(elements, reduction).get();
  }
  template <typename Elements>
  auto scan(const Elements& elements, Reduction reduction) {
    return job_.scan(elements, reduction).get();
  }
  template <typename Elements>
  auto exclusive_scan(const Elements& elements, Reduction reduction) {
    return job_.exclusive_scan(elements, reduction).get();
  }

  void send(int target, MessageView message, std::uint32_t tag = 0) {
    job_.send(target, Buffer(reinterpret_cast<const char*>(message.data()), message.size()), tag).get();
  }
  template <typename Message = std::string>
  Message recv(int source, std::uint32_t tag = 0) {
    return message_of<Message>(job_.recv(source, tag).get());
  }
  template <typename Value>
  void send_value(int target, const Value& value, std::uint32_t tag = 0) {
    job_.send_value(target, value, tag).get();
  }
  template <typename Value>
  Value recv_value(int source, std::uint32_t tag = 0) {
    return job_.recv_value<Value>(source, tag).get();
  }
  std::pair<int, std::string> recv_any(std::uint32_t tag) {
    const std::pair<int, Buffer> received = job_.recv_any(tag).get();
    return {received.first, message_of(received.second)};
  }
  std::optional<banyan::MessageInfo> probe(int source, std::uint32_t tag) { return job_.probe(source, tag).get(); }
  std::string sendrecv(int target, std::string_view text, int source) {
    return message_of(job_.sendrecv(target, buffer_of(text), source).get());
  }
  void connect(int peer) { job_.connect(peer).get(); }

  void put(std::string_view key, MessageView value) { job_.put(key, value).get(); }
  std::string get(std::string_view key) { return message_of(job_.get(key).get()); }
  template <typename Value>
  Value get_value(std::string_view key) {
    return job_.get_value<Value>(key).get();
  }
  std::optional<std::string> find(std::string_view key) {
    const std::optional<Buffer> found = job_.find(key).get();
    return found ? std::optional(message_of(*found)) : std::nullopt;
  }
  std::int64_t add(std::string_view key, std::int64_t delta) { return job_.add(key, delta).get(); }
  banyan::Exchanged<std::string> compare_set(std::string_view key, std::optional<MessageView> expected,
                                             MessageView desired) {
    const banyan::Exchanged<Buffer> done = job_.compare_set(key, expected, desired).get();
    return {done.set, done.value ? std::optional(message_of(*done.value)) : std::nullopt};
  }
  bool remove(std::string_view key) { return job_.remove(key).get(); }

 private:
  mutable SeastarBootstrap job_;
};

// ---- The program

// The exit status of this shard's rank. `by_hand`: shard 0 is the rank that the options name, the others follow.
int run_rank(bool by_hand, bool json) try {
  banyan::Options options = banyan::Options::from_environment();
  if (by_hand) options.rank += static_cast<int>(seastar::this_shard_id());
  const demo::Results results = demo::run<Blocking>(options);
  if (options.rank == 0) json ? demo::print_json(results) : demo::print_table(results);
  return results.ok() ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const std::exception& error) {
  std::cerr << error.what() << std::endl;
  return EXIT_FAILURE;
}

// The greatest exit status of all shards.
seastar::future<int> run_ranks(bool by_hand, bool json) {
  std::vector<int> statuses(seastar::smp::count);
  co_await seastar::parallel_for_each(std::views::iota(0u, seastar::smp::count), [&](unsigned shard) {
    const auto run_here = [by_hand, json] {
      return seastar::async([by_hand, json] { return run_rank(by_hand, json); });
    };
    return seastar::smp::submit_to(shard, run_here).then([&statuses, shard](int status) { statuses[shard] = status; });
  });
  co_return *std::max_element(statuses.begin(), statuses.end());
}

// The command line says the same things as the variables, and wins.
void say(const char* variable, const std::string& value) { ::setenv(variable, value.c_str(), 1); }

}  // namespace

int main(int argc, char** argv) {
  seastar::app_template::config config;
  config.name = "seastar_demo";
  config.description =
      "Forms a job, performs and checks every operation of Banyan on Seastar, and prints at rank 0 how long each took.";
  seastar::app_template app(std::move(config));
  app.add_options()("rank", bpo::value<int>(), "by hand: which rank shard 0 is; the other shards follow")(
      "ranks", bpo::value<int>(), "how many ranks there are (default: as many as this process has shards)")(
      "address", bpo::value<std::string>()->default_value("127.0.0.1"), "where rank 0 is: a name or an address")(
      "port", bpo::value<int>()->default_value(4242), "the port that rank 0 listens on")(
      "json", bpo::bool_switch(), "print one line of JSON instead of the table");
  return app.run(argc, argv, [&app]() -> seastar::future<int> {
    const auto& said = app.configuration();
    const bool by_hand = said.count("rank") > 0;
    if (by_hand) {
      const auto address = said["address"].as<std::string>();
      const int ranks = said.count("ranks") > 0 ? said["ranks"].as<int>() : static_cast<int>(seastar::smp::count);
      say("BANYAN_RANK", std::to_string(said["rank"].as<int>()));
      say("BANYAN_WORLD_SIZE", std::to_string(ranks));
      say("BANYAN_RENDEZVOUS", (address.find(':') == std::string::npos ? address : "[" + address + "]") + ":" +
                                   std::to_string(said["port"].as<int>()));
    } else if (seastar::smp::count > 1) {
      std::cerr << "seastar_demo: a launcher starts one process for each rank, so each has one shard: say --smp 1; by "
                   "hand, say --rank and --ranks\n";
      return seastar::make_ready_future<int>(EXIT_FAILURE);
    }
    return run_ranks(by_hand, said["json"].as<bool>());
  });
}
