// The demo's operations, each with its check, and what is printed of them: of bootstrap_demo, and of seastar_demo,
// which makes the same calls in the same order, so that their processes may be ranks of one job.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <iostream>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <banyan/hierarchical_bootstrap.hpp>

namespace demo {

using banyan::Options;
using banyan::Reduction;
using Clock = std::chrono::steady_clock;

inline double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

// ---- What is measured

struct Row {
  std::string name;
  bool ok = false;  // every rank found what it got right
  double ms = 0;    // on the slowest rank, for one call
};

struct Results {
  std::vector<Row> rows;
  banyan::Statistics statistics;  // of the first job at rank 0, the link counts the greatest of all ranks

  bool ok() const {
    return std::all_of(rows.begin(), rows.end(), [](const Row& row) { return row.ok; });
  }
  double ms(const std::string& name) const {
    return std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.name == name; })->ms;
  }
};

// ---- The operations, each with its check. What a rank contributes follows from its number, so everybody knows what
// everybody else must have sent.

// 0 to 36 bytes, so that some are empty.
inline std::string text_of(int rank) {
  return std::string(static_cast<std::size_t>(rank % 5 * 9), static_cast<char>('a' + rank % 26));
}

bool broadcast_from(auto& job, int root) {
  std::string message = job.rank() == root ? "from " + std::to_string(root) : "";
  job.broadcast(root, message);  // filled in at the others
  return message == "from " + std::to_string(root);
}

bool is_text_of_everyone(const auto& job, const std::vector<std::string>& texts) {
  if (texts.size() != static_cast<std::size_t>(job.world_size())) return false;
  int rank = 0;
  return std::all_of(texts.begin(), texts.end(), [&](const std::string& text) { return text == text_of(rank++); });
}

bool allgather(auto& job) { return is_text_of_everyone(job, job.allgather(text_of(job.rank()))); }

// Large ones are read where they lie: on one host in memory that its ranks share.
constexpr std::size_t kLargeBytes = 4 * 1024 * 1024;

// Another character every 4 KiB.
inline std::string large_text(int rank, std::size_t bytes) {
  std::string text;
  for (int page = rank; text.size() < bytes; ++page)
    text.append(std::min<std::size_t>(4096, bytes - text.size()), static_cast<char>('a' + page % 26));
  return text;
}

inline bool is_text(const banyan::MessageView& view, const std::string& text) {
  return std::string_view(reinterpret_cast<const char*>(view.data()), view.size()) == text;
}

bool broadcast_large(auto& job, int root, const std::string& message) {
  const auto handle = job.begin_broadcast(root, job.rank() == root ? message : "");
  return is_text(handle.view(), message);
}

bool allgather_large(auto& job, const std::vector<std::string>& of_all) {
  const auto handle = job.begin_allgather(of_all[static_cast<std::size_t>(job.rank())]);
  bool right = handle.message_count() == of_all.size();
  for (std::size_t rank = 0; rank < of_all.size(); ++rank) right = right && is_text(handle.view(rank), of_all[rank]);
  return right;
}

bool gather(auto& job, int root) {
  const std::vector<std::string> texts = job.gather(root, text_of(job.rank()));
  return job.rank() == root ? is_text_of_everyone(job, texts) : texts.empty();
}

bool scatter(auto& job, int root) {
  std::vector<std::string> parts;
  for (int rank = 0; job.rank() == root && rank < job.world_size(); ++rank) parts.push_back(text_of(rank));
  return job.scatter(root, parts) == text_of(job.rank());
}

bool reduce(auto& job, int root) {
  const std::vector<long> sums = job.reduce(root, std::vector<long>{1, job.rank()}, Reduction::sum);
  const long ranks = job.world_size();
  return job.rank() == root ? sums == std::vector<long>{ranks, ranks * (ranks - 1) / 2} : sums.empty();
}

bool allreduce_numbers(auto& job) {
  return job.allreduce(1.5 * job.rank(), Reduction::max) == 1.5 * (job.world_size() - 1);
}

bool allreduce_vectors(auto& job) {
  return job.allreduce(std::vector<unsigned>(100, 1u << job.rank() % 2), Reduction::bit_or) ==
         std::vector<unsigned>(100, job.world_size() > 1 ? 3 : 1);
}

// Everyone has a text for everyone, that of the sum of the two.
bool alltoall(auto& job) {
  std::vector<std::string> texts;
  for (int rank = 0; rank < job.world_size(); ++rank) texts.push_back(text_of(job.rank() + rank));
  return job.alltoall(texts) == texts;
}

// Block i holds the number i from everyone.
bool reduce_scatter(auto& job) {
  constexpr std::size_t kBlock = 10;
  std::vector<long> numbers;
  for (int rank = 0; rank < job.world_size(); ++rank) numbers.insert(numbers.end(), kBlock, rank);
  return job.reduce_scatter(numbers, Reduction::sum) == std::vector<long>(kBlock, long{job.rank()} * job.world_size());
}

bool scan(auto& job) {
  const std::vector<long> mine{1, job.rank()};
  const long rank = job.rank();
  const std::vector<long> before{rank, rank * (rank - 1) / 2};
  return job.scan(mine, Reduction::sum) == std::vector<long>{rank + 1, rank * (rank + 1) / 2} &&
         job.exclusive_scan(mine, Reduction::sum) == (rank == 0 ? std::vector<long>() : before);
}

// Everyone sends to the right and receives from the left.
bool ring(auto& job) {
  const int ranks = job.world_size();
  const int left = (job.rank() + ranks - 1) % ranks;
  job.send((job.rank() + 1) % ranks, text_of(job.rank()));
  return job.recv(left) == text_of(left);
}

// Each does both at once, so nobody waits for another's turn.
bool ring_at_once(auto& job) {
  const int ranks = job.world_size();
  const int left = (job.rank() + ranks - 1) % ranks;
  return job.sendrecv((job.rank() + 1) % ranks, text_of(job.rank()), left) == text_of(left);
}

// All send to the last rank, which takes them as they come.
bool many_to_one(auto& job) {
  constexpr std::uint32_t kTag = 3;
  job.send(job.world_size() - 1, text_of(job.rank()), kTag);
  if (job.rank() != job.world_size() - 1) return true;
  std::vector<std::string> texts(static_cast<std::size_t>(job.world_size()), "nothing");
  for (int i = 0; i < job.world_size(); ++i) {
    auto [source, text] = job.recv_any(kTag);
    texts.at(static_cast<std::size_t>(source)) = std::move(text);
  }
  return is_text_of_everyone(job, texts);
}

// A send is done when its message has arrived, so after the barrier each finds its left neighbour's waiting.
bool probe_and_take(auto& job) {
  constexpr std::uint32_t kTag = 4;
  const int ranks = job.world_size();
  const int left = (job.rank() + ranks - 1) % ranks;
  job.send((job.rank() + 1) % ranks, text_of(job.rank()), kTag);
  job.barrier();
  const auto found = job.probe(left, kTag);
  return found && found->source == left && found->bytes == text_of(left).size() &&
         job.recv(left, kTag) == text_of(left);
}

// Everyone puts under its name and gets under its neighbour's, wherever the two are kept.
bool put_and_get(auto& job) {
  const int right = (job.rank() + 1) % job.world_size();
  job.put("text of " + std::to_string(job.rank()), text_of(job.rank()));
  return job.get("text of " + std::to_string(right)) == text_of(right);
}

// Everyone draws a ticket; in the end so many are drawn.
bool draw_tickets(auto& job) {
  const std::int64_t ticket = job.add("tickets", 1);
  return ticket >= 1 && ticket <= job.world_size();
}
bool drew_all_tickets(auto& job) { return job.template get_value<std::int64_t>("tickets") == job.world_size(); }

// Whoever is first is written down, and all are told who that was.
bool one_is_first(auto& job) {
  const auto [is_first, name] = job.compare_set("first", std::nullopt, "rank " + std::to_string(job.rank()));
  return name && (*name == "rank " + std::to_string(job.rank())) == is_first;
}
// One, and the same for all.
bool agree_on_first(auto& job) {
  const std::string name = job.get("first");
  const std::vector<std::string> names = job.allgather(name);
  return std::all_of(names.begin(), names.end(), [&](const std::string& other) { return other == name; });
}

bool remove_own(auto& job) {
  const std::string key = "text of " + std::to_string(job.rank());
  return job.remove(key) && !job.find(key);
}

// First with last, second with last but one: messages that cross the whole tree. Tags tell them apart.
bool far_pairs(auto& job) {
  const int partner = job.world_size() - 1 - job.rank();
  job.send_value(partner, job.rank(), 1);
  job.send(partner, std::vector<std::byte>(1000, std::byte{42}), 2);
  return job.template recv<std::vector<std::byte>>(partner, 2) == std::vector<std::byte>(1000, std::byte{42}) &&
         job.template recv_value<int>(partner, 1) == partner;
}

// Two ranks that are most likely no neighbours in the tree, as rank 0 and the other ranks of its host often are.
std::pair<int, int> far_ends(const auto& job) { return {std::clamp(job.world_size() - 2, 0, 1), job.world_size() - 1}; }

// A number from one of them to the other and back. The others have nothing to do.
bool round_trip(auto& job) {
  const auto [first, last] = far_ends(job);
  if (job.rank() == first) {
    job.send_value(last, 42);
    return job.template recv_value<int>(last, first == last ? 0 : 1) == 42;
  }
  if (job.rank() == last) job.send_value(first, job.template recv_value<int>(first), 1);
  return true;
}

// So many that their mean means something; without a call to connect() a few of them would have made the link.
constexpr std::size_t kRoundTrips = 50;

bool connect_ends(auto& job) {
  const auto [first, last] = far_ends(job);
  if (job.rank() == first) job.connect(last);
  return true;
}

// Odd and even ranks apart, each half in the opposite order.
bool split(auto& job) {
  auto half = job.split(job.rank() % 2, -job.rank());
  const std::vector<int> members = half.allgather_value(job.rank());
  bool ok = half.valid() && std::is_sorted(members.rbegin(), members.rend());
  for (const int member : members) ok = ok && member % 2 == job.rank() % 2;
  return ok && members.at(static_cast<std::size_t>(half.rank())) == job.rank();
}

// The same ranks once more, whose messages never mix with the job's.
bool duplicate(auto& job) {
  auto twin = job.duplicate();
  return twin.rank() == job.rank() && allgather(twin);
}

// The first half of the ranks, without the others.
bool barrier_of_some(auto& job) {
  std::vector<int> some;
  for (int rank = 0; rank <= job.world_size() / 2; ++rank) some.push_back(rank);
  if (job.rank() <= job.world_size() / 2) job.barrier(some);
  return true;
}

bool knows_every_blob(const auto& job) {
  for (int rank = 0; rank < job.world_size(); ++rank) {
    if (job.peer_blob(rank) != "card of " + std::to_string(rank)) return false;
  }
  return true;
}

// ---- A second job beside the first: the first tells everyone where it meets.

// A socket that listens on a port that the system chose. It stays open and goes to the job (Options::rendezvous_fd), so
// nobody can take the port in between.
inline std::pair<int, int> listen_on_a_free_port() {
  for (const sa_family_t family : {sa_family_t{AF_INET6}, sa_family_t{AF_INET}}) {  // one for IPv6 takes IPv4 as well
    const int listener = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in6 address{};  // begins like a sockaddr_in
    socklen_t length = sizeof(address);
    address.sin6_family = family;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (listener >= 0 && ::bind(listener, generic, length) == 0 && ::listen(listener, SOMAXCONN) == 0 &&
        ::getsockname(listener, generic, &length) == 0) {
      return {listener, ntohs(address.sin6_port)};
    }
    if (listener >= 0) ::close(listener);
  }
  throw std::runtime_error("can't listen on any port");
}

Options second_job(auto& first, Options options) {
  if (options.world_size == 1) return options;
  int port = 0;
  if (options.rank == 0) std::tie(options.rendezvous_fd, port) = listen_on_a_free_port();
  first.broadcast_value(0, port);
  const std::string address = options.rendezvous.substr(0, options.rendezvous.find(','));
  options.rendezvous = address.substr(0, address.rfind(':') + 1) + std::to_string(port);
  if (!options.job_id.empty()) options.job_id += " (second)";
  options.hosts.clear();  // their ports belong to the first job
  options.progress_fd = -1;
  return options;
}

// ---- Everything

// `Bootstrap`: HierarchicalBootstrap, or what looks like it.
template <typename Bootstrap>
Results run(Options options) {
  options.blob = "card of " + std::to_string(options.rank);
  options.direct_messages = std::numeric_limits<int>::max();  // to see what messages take without a direct link
  const auto begin = Clock::now();
  auto job = std::make_unique<Bootstrap>();
  job->init(options);
  job->start();
  const double cold_start_ms = ms_since(begin);

  Results results;
  results.rows.push_back({"start, cold", knows_every_blob(*job), cold_start_ms});
  // Ranks begin together; the time is that of one call.
  const auto measure = [&](const std::string& name, const std::vector<std::function<bool()>>& calls) {
    job->barrier();
    const auto call_begin = Clock::now();
    bool ok = true;
    for (const auto& call : calls) ok = call() && ok;
    results.rows.push_back({name, ok, ms_since(call_begin) / static_cast<double>(calls.size())});
  };

  options = second_job(*job, options);
  Bootstrap second;
  measure("start, second job", {[&] {
            second.init(options);
            second.start();
            return true;
          }});
  measure("peer_blob of all", {[&] { return knows_every_blob(second); }});
  job->barrier();  // with BANYAN_TABLE=lazy whoever has closed gives its blob to nobody
  second.close();

  const int last = job->world_size() - 1;
  measure("broadcast", {[&] { return broadcast_from(*job, 0); }, [&] { return broadcast_from(*job, last); },
                        [&] { return broadcast_from(*job, last / 2); }});
  measure("allgather", {[&] { return allgather(*job); }});
  // Made before the clock runs.
  const std::string message = large_text(0, kLargeBytes);
  std::vector<std::string> of_all;
  for (int rank = 0; rank <= last; ++rank)
    of_all.push_back(large_text(rank, kLargeBytes / static_cast<std::size_t>(job->world_size())));
  measure("broadcast, 4 MiB", {[&] { return broadcast_large(*job, 0, message); }});
  measure("allgather, 4 MiB", {[&] { return allgather_large(*job, of_all); }});
  measure("gather", {[&] { return gather(*job, 0); }, [&] { return gather(*job, last); }});
  measure("scatter", {[&] { return scatter(*job, 0); }, [&] { return scatter(*job, last); }});
  measure("reduce", {[&] { return reduce(*job, 0); }, [&] { return reduce(*job, last); }});
  measure("allreduce", {[&] { return allreduce_numbers(*job); }, [&] { return allreduce_vectors(*job); }});
  measure("alltoall", {[&] { return alltoall(*job); }});
  measure("reduce_scatter", {[&] { return reduce_scatter(*job); }});
  measure("scan", {[&] { return scan(*job); }});
  measure("barrier", {[&] { return job->barrier(), true; }});
  measure("send/recv, ring", {[&] { return ring(*job); }});
  measure("send/recv, far pairs", {[&] { return far_pairs(*job); }});
  measure("sendrecv, ring", {[&] { return ring_at_once(*job); }});
  measure("recv_any, all to one", {[&] { return many_to_one(*job); }});
  measure("probe, then recv", {[&] { return probe_and_take(*job); }});
  measure("split, allgather", {[&] { return split(*job); }});
  measure("duplicate, allgather", {[&] { return duplicate(*job); }});
  measure("barrier, half of all", {[&] { return barrier_of_some(*job); }});
  measure("store put/get", {[&] { return put_and_get(*job); }});
  measure("store add", {[&] { return draw_tickets(*job); }});
  job->barrier();
  results.rows.back().ok = drew_all_tickets(*job) && results.rows.back().ok;
  measure("store compare_set", {[&] { return one_is_first(*job); }});
  results.rows.back().ok = agree_on_first(*job) && results.rows.back().ok;
  measure("store remove", {[&] { return remove_own(*job); }});
  const std::vector<std::function<bool()>> round_trips(kRoundTrips, [&] { return round_trip(*job); });
  measure("round trip, routed", round_trips);
  measure("connect", {[&] { return connect_ends(*job); }});
  measure("round trip, direct", round_trips);

  // One result for all: the slowest time, and ok only if it is so everywhere.
  std::vector<double> times;
  std::vector<int> verdicts;
  for (const Row& row : results.rows) {
    times.push_back(row.ms);
    verdicts.push_back(row.ok ? 1 : 0);
  }
  times = job->allreduce(times, Reduction::max);
  verdicts = job->allreduce(verdicts, Reduction::min);
  for (std::size_t i = 0; i < results.rows.size(); ++i) {
    results.rows[i].ms = times[i];
    results.rows[i].ok = verdicts[i] == 1;
  }
  results.statistics = job->statistics();
  results.statistics.tree_links = job->allreduce(results.statistics.tree_links, Reduction::max);
  results.statistics.local_links = job->allreduce(results.statistics.local_links, Reduction::max);
  results.statistics.turned_away = job->allreduce(results.statistics.turned_away, Reduction::sum);
  job->close();
  return results;
}

inline std::string counted(int count, const std::string& what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

inline void print_table(const Results& results) {
  const banyan::Statistics& job = results.statistics;
  fmt::print("{} on {}; tree depth {}, at most {} and {} per rank\n\n", counted(job.ranks, "rank"),
             counted(job.hosts, "host"), job.depth, counted(job.tree_links, "tree link"),
             counted(job.local_links, "local link"));
  fmt::print("{:<22}  {:<6}  {:>10}\n", "operation", "result", "ms");
  for (const Row& row : results.rows)
    fmt::print("{:<22}  {:<6}  {:>10.3f}\n", row.name, row.ok ? "ok" : "WRONG", row.ms);
  if (job.turned_away > 0) fmt::print("\nconnections turned away: {}\n", job.turned_away);
}

inline void print_json(const Results& results) {
  const auto ms = [&](const std::string& name) { return std::round(results.ms(name) * 1000) / 1000; };
  const nlohmann::ordered_json line{{"ranks", results.statistics.ranks},
                                    {"hosts", results.statistics.hosts},
                                    {"depth", results.statistics.depth},
                                    {"ok", results.ok()},
                                    {"cold_start_ms", ms("start, cold")},
                                    {"start_ms", ms("start, second job")},
                                    {"broadcast_ms", ms("broadcast")},
                                    {"allgather_ms", ms("allgather")},
                                    {"broadcast_4mib_ms", ms("broadcast, 4 MiB")},
                                    {"allgather_4mib_ms", ms("allgather, 4 MiB")},
                                    {"barrier_ms", ms("barrier")},
                                    {"send_recv_ms", ms("send/recv, ring")},
                                    {"recv_any_ms", ms("recv_any, all to one")},
                                    {"store_put_get_ms", ms("store put/get")},
                                    {"store_add_ms", ms("store add")},
                                    {"connect_ms", ms("connect")},
                                    {"round_trip_routed_ms", ms("round trip, routed")},
                                    {"round_trip_direct_ms", ms("round trip, direct")},
                                    {"max_tree_links", results.statistics.tree_links},
                                    {"max_local_links", results.statistics.local_links}};
  std::cout << line.dump() << std::endl;
}

}  // namespace demo
