#include "sim/star_ring.hh"

#include <algorithm>
#include <cmath>
#include <deque>
#include <queue>
#include <utility>
#include <vector>

namespace banyan::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr std::uint32_t kSleepsAboveInOneDirection = 128;
constexpr std::uint32_t kSleepsAboveInBoth = 256;
// An address, with what says whose it is.
constexpr std::size_t kMessageBytes = 128;
// Linux repeats a SYN after 1, 2, 4 ... s, six times (net.ipv4.tcp_syn_retries).
constexpr Duration kLastRepeat = seconds(32);

class Star {
 public:
  Star(const StarRing& scheme, const JobOptions& job, const ClusterOptions& options, std::uint64_t seed)
      : scheme_(scheme),
        job_(job),
        options_(options),
        costs_(options.costs),
        random_(seed),
        network_(options.network, random_) {}

  StarRingMeasurement measure() {
    gather();
    const Time star = scheme_.bidirectional ? answer_pairs() : answer_all();
    const Duration ring = step() * steps();
    StarRingMeasurement result;
    result.star_ms = static_cast<double>((star - Time{}).count()) / 1e6;
    result.ring_ms = static_cast<double>(ring.count()) / 1e6;
    result.formed_ms = result.star_ms + result.ring_ms;
    result.root_cpu_ms = static_cast<double>(root_busy_.count()) / 1e6;
    result.connections_total = std::uint64_t{3} * job_.ranks;
    result.root_links = std::uint64_t{2} * job_.ranks;
    const std::uint64_t around = static_cast<std::uint64_t>(steps()) * job_.ranks * (scheme_.bidirectional ? 2 : 1);
    result.messages_total = std::uint64_t{2} * job_.ranks + around;
    result.bytes_total = result.messages_total * kMessageBytes;
    result.repeated_syns = repeated_;
    result.kept_out = kept_out_;
    return result;
  }

 private:
  std::uint32_t host(std::uint32_t rank) const { return rank / job_.ranks_per_host; }
  std::int64_t steps() const { return scheme_.bidirectional ? job_.ranks / 2 : job_.ranks - 1; }
  Duration sleep(std::uint32_t rank) const {
    if (!scheme_.sleeps) return {};
    if (scheme_.bidirectional) return job_.ranks > kSleepsAboveInBoth ? seconds(std::int64_t{rank}) / 7000 : Duration{};
    return job_.ranks > kSleepsAboveInOneDirection ? milliseconds(rank) : Duration{};
  }
  // CPU time at the root for one of them, one after the other: it has one thread.
  Time serve(Time arrival, std::int64_t cost) {
    root_free_ = std::max(root_free_, arrival) + nanoseconds(cost);
    root_busy_ += nanoseconds(cost);
    return root_free_;
  }

  // Each rank's first connection: `known_[r]` is when the root has read its address.
  void gather() {
    struct Call {
      Time at;
      std::uint32_t rank = 0;
      Duration repeat{};
      bool operator>(const Call& other) const { return std::pair(at, rank) > std::pair(other.at, other.rank); }
    };
    std::priority_queue<Call, std::vector<Call>, std::greater<>> calls;
    for (std::uint32_t rank = 0; rank < job_.ranks; ++rank) {
      const Duration ready = sleep(rank) + nanoseconds(costs_.listen + costs_.connect_tcp);
      calls.push({network_.trip(Time{} + ready, host(rank), 0), rank, seconds(1)});
    }
    known_.resize(job_.ranks);
    std::deque<Time> waiting;  // until when each in the accept queue has to wait
    while (!calls.empty()) {
      const Call call = calls.top();
      calls.pop();
      while (!waiting.empty() && waiting.front() <= call.at) waiting.pop_front();
      if (waiting.size() >= options_.accept_queue) {
        ++repeated_;
        if (call.repeat > kLastRepeat) {
          ++kept_out_;
        } else {
          calls.push({call.at + call.repeat, call.rank, call.repeat * 2});
        }
        continue;
      }
      // The bytes follow one round trip later.
      const Time bytes = network_.trip(network_.trip(call.at, 0, host(call.rank)), host(call.rank), 0);
      const std::int64_t cost = costs_.accept_tcp + costs_.read_tcp + costs_.close;
      known_[call.rank] = serve(bytes, cost);
      waiting.push_back(known_[call.rank] - nanoseconds(costs_.read_tcp + costs_.close));
    }
  }
  // The root connects back to `rank`, which then connects to its neighbour.
  Time answer(Time possible, std::uint32_t rank) {
    const Time sent = serve(possible, costs_.connect_tcp + costs_.write_tcp + costs_.close);
    // Connection set-up, then the address.
    Time at = network_.trip(network_.trip(network_.trip(sent, 0, host(rank)), host(rank), 0), 0, host(rank));
    at += nanoseconds(costs_.wake + costs_.accept_tcp + costs_.read_tcp + costs_.connect_tcp + costs_.accept_tcp);
    const std::uint32_t neighbour = (rank + 1) % job_.ranks;
    return network_.trip(network_.trip(at, host(rank), host(neighbour)), host(neighbour), host(rank));
  }
  Time answer_all() {
    const Time all = *std::max_element(known_.begin(), known_.end());
    Time last = all;
    for (std::uint32_t rank = 0; rank < job_.ranks; ++rank) last = std::max(last, answer(all, rank));
    return last;
  }
  Time answer_pairs() {
    std::vector<std::pair<Time, std::uint32_t>> order;
    for (std::uint32_t rank = 0; rank < job_.ranks; ++rank) {
      order.emplace_back(std::max(known_[rank], known_[(rank + 1) % job_.ranks]), rank);
    }
    std::sort(order.begin(), order.end());
    Time last{};
    for (const auto& [possible, rank] : order) last = std::max(last, answer(possible, rank));
    return last;
  }
  // From one step of the ring to the next: the slower of the way between two hosts and of what a host's cores have to
  // do for all of its ranks. Where ranks share cores, bytes have come before their turn has, and nobody is woken up.
  Duration step() const {
    const std::int64_t messages = scheme_.bidirectional ? 2 : 1;
    const bool across = job_.hosts() > 1;
    const bool racks = options_.network.hosts_per_rack != 0 && job_.hosts() > options_.network.hosts_per_rack;
    const Duration way = !across ? options_.network.local_latency
                                 : options_.network.latency + (racks ? options_.network.spine_latency : Duration{}) +
                                       options_.network.jitter / 2;
    const std::int64_t work = messages * (costs_.write_tcp + costs_.read_tcp);
    const std::uint32_t ranks = std::min(job_.ranks_per_host, job_.ranks);
    const std::uint32_t cores = options_.cores_per_host == 0 ? ranks : std::min(ranks, options_.cores_per_host);
    return std::max(way + nanoseconds(work + costs_.wake), Duration(nanoseconds(work * ranks / cores)));
  }

  const StarRing scheme_;
  const JobOptions job_;
  const ClusterOptions options_;
  const Costs costs_;
  Random random_;
  Network network_;
  std::vector<Time> known_;
  Time root_free_{};
  Duration root_busy_{};
  std::uint64_t repeated_ = 0;
  std::uint64_t kept_out_ = 0;
};

}  // namespace

StarRingMeasurement measure(const StarRing& scheme, const JobOptions& job, const ClusterOptions& cluster,
                            std::uint64_t seed) {
  return Star(scheme, job, cluster, seed).measure();
}

}  // namespace banyan::sim
