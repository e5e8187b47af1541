#include "sim/measurement.hh"

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

#include "tree/position.hh"
#include "wire/table.hh"

namespace banyan::sim {
namespace {

// Simulated time that no phase needs.
constexpr Duration kPatience = std::chrono::hours(1);

double milliseconds_of(Duration duration) { return static_cast<double>(duration.count()) / 1e6; }

class Run {
 public:
  Run(const JobOptions& job, const ClusterOptions& options, std::uint64_t seed, Observer* observer)
      : job_(job), cluster_(options, seed) {
    cluster_.observer = observer;
    cluster_.on_completion = [this](std::size_t i, Time now, const node::Completion& completion) {
      if (const auto* failure = std::get_if<Failure>(&completion.result)) fail(i, *failure);
      last_ = std::max(last_, now);
      ++completed_;
    };
  }

  Measurement measure(const std::function<void(const char*)>& phase) {
    Measurement result;
    phase("form");
    form(result);
    phase("barrier");
    result.barrier_ms = collective(wire::CollectiveKind::barrier, false, false);
    phase("allgather");
    result.allgather_ms = collective(wire::CollectiveKind::allgather, true, true);
    phase("broadcast");
    result.broadcast_ms = collective(wire::CollectiveKind::broadcast, true, false);
    if (job_.payload_bytes > 0) {
      phase("allreduce");
      result.allreduce_ms = collective(wire::CollectiveKind::allreduce, true, true);
    }
    phase("send and recv");
    result.send_recv_ms = pairs();
    count_links(result);
    result.events = cluster_.events();
    result.digest = cluster_.digest();
    return result;
  }

 private:
  void form(Measurement& result) {
    add_job(cluster_, job_);
    std::size_t formed = 0;
    // Ranks form one after the other: what has formed need not be looked at again.
    const auto all_formed = [&] {
      while (formed < cluster_.size() && cluster_[formed].table) ++formed;
      check_nobody_failed(formed);
      return formed == cluster_.size();
    };
    if (!cluster_.run(all_formed, after(cluster_.now(), kPatience))) {
      throw Unfinished("the job did not form; rank " + std::to_string(formed) + " has no table");
    }
    Time last{};
    for (std::size_t i = 0; i < cluster_.size(); ++i) last = std::max(last, cluster_[i].formed_at);
    result.registered_ms = milliseconds_of(cluster_[0].formed_at - Time{});
    result.formed_ms = milliseconds_of(last - Time{});
    result.root_cpu_ms = milliseconds_of(cluster_[0].busy);
    result.hosts = cluster_[0].table->hosts();
    result.depth = cluster_[0].table->depth();
  }
  void check_nobody_failed(std::size_t i) {
    if (i < cluster_.size() && cluster_[i].failed) fail(i, *cluster_[i].failed);
    if (!cluster_.faults().empty()) throw Unfinished(cluster_.faults().front());
  }
  [[noreturn]] void fail(std::size_t i, const Failure& failure) {
    throw Unfinished("rank " + std::to_string(i) + " failed: " + failure.text);
  }

  // Waits for what was begun; the milliseconds from `begin` to the end of the last of them.
  double finish(const char* what, Time begin, std::uint64_t calls) {
    const bool done = cluster_.run([&] { return completed_ >= calls; }, after(cluster_.now(), kPatience));
    if (!done) throw Unfinished(std::string(what) + " did not end for all ranks");
    completed_ = 0;
    return milliseconds_of(std::exchange(last_, Time{}) - begin);
  }
  double collective(wire::CollectiveKind kind, bool with_bytes, bool from_all) {
    const Time begin = cluster_.now();
    wire::CallSignature call{.kind = kind};
    if (!from_all && with_bytes) call.root = kRootRank;
    Payload contribution;
    const std::uint64_t bytes = job_.payload_bytes > 0 ? job_.payload_bytes : job_.blob_bytes;
    if (with_bytes) contribution = Payload(Slice::adopt(std::string(bytes, 'x')));
    if (kind == wire::CollectiveKind::allreduce) {
      call.reduction = wire::Reduction::sum;
      call.element = wire::ElementType::uint8;
      call.count = contribution.size();
    }
    for (std::size_t i = 0; i < cluster_.size(); ++i) {
      const Payload own = from_all || i == 0 ? contribution : Payload();
      cluster_.call(i, node::Collective{kWorld, call, own, {}}, kPatience);
    }
    return finish("a collective", begin, cluster_.size());
  }
  double pairs() {
    const Time begin = cluster_.now();
    Random random(job_.ranks);
    for (std::uint32_t tag = 0; tag < kPairs; ++tag) {
      const auto from = static_cast<std::uint32_t>(random.below(job_.ranks));
      const auto to = static_cast<std::uint32_t>(random.below(job_.ranks));
      cluster_.call(from, node::Send{Rank{to}, tag, Payload::copy(std::string(job_.blob_bytes, 'y'))}, kPatience);
      cluster_.call(to, node::Receive{Rank{from}, tag}, kPatience);
    }
    return finish("a message", begin, 2 * kPairs);
  }

  void count_links(Measurement& result) {
    for (std::size_t i = 0; i < cluster_.size(); ++i) {
      const node::Statistics statistics = cluster_[i].engine->statistics();
      result.tree_links_max = std::max<std::uint64_t>(result.tree_links_max, statistics.tree_links);
      result.local_links_max = std::max<std::uint64_t>(result.local_links_max, statistics.local_links);
      if (i == 0) result.root_links = std::uint64_t{statistics.tree_links} + statistics.local_links;
    }
    const wire::Table& table = *cluster_[0].table;
    const tree::Shape shape(table.fan_out());
    std::vector<Cluster::Traffic> levels(std::size_t{table.depth()} + 2);
    cluster_.for_each_connection([&](std::size_t a, std::size_t b, bool local, const Cluster::Traffic& traffic) {
      std::size_t level = 0;
      if (!local) {
        const auto depth_of = [&](std::size_t i) {
          return shape.depth(table.position(Rank{static_cast<std::uint32_t>(i)}));
        };
        level = std::min<std::size_t>(std::max(depth_of(a), depth_of(b)), table.depth());
      }
      add(levels[level], {1, traffic.messages, traffic.bytes});
    });
    for (std::size_t level = 0; level <= table.depth(); ++level) {
      result.levels.push_back({level == 0 ? "local" : "level " + std::to_string(level), levels[level]});
      result.links_total += levels[level].links;
    }
    result.levels.push_back({"closed", cluster_.of_closed_connections()});
    result.connections_total = cluster_.connections();
    for (const LevelTraffic& level : result.levels) {
      result.messages_total += level.traffic.messages;
      result.bytes_total += level.traffic.bytes;
    }
  }
  static void add(Cluster::Traffic& sum, const Cluster::Traffic& more) {
    sum.links += more.links;
    sum.messages += more.messages;
    sum.bytes += more.bytes;
  }

  const JobOptions job_;
  Cluster cluster_;
  Time last_{};
  std::uint64_t completed_ = 0;
};

}  // namespace

Measurement measure(const JobOptions& job, const ClusterOptions& cluster, std::uint64_t seed,
                    const std::function<void(const char*)>& phase, Observer* observer) {
  return Run(job, cluster, seed, observer).measure(phase);
}

}  // namespace banyan::sim
