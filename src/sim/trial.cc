#include "sim/trial.hh"

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "sim/program.hh"
#include "tree/position.hh"
#include "wire/table.hh"

namespace banyan::sim {
namespace {

using std::chrono::seconds;

// Of each rank's start and of each call, once all ranks have set out; nothing that brief faults delay takes so long.
constexpr Duration kDeadline = seconds(30);
// Everything has ended after so many deadlines, whatever happened: start, calls, the last call, the verdict's linger,
// close.
constexpr std::int64_t kDeadlinesInAll = 5;
constexpr std::int64_t kSlowness = 3;

class Trial {
 public:
  explicit Trial(const Scenario& scenario)
      : scenario_(scenario),
        deadline_(kDeadline + std::chrono::floor<seconds>(scenario.job.arrival)),
        cluster_(scenario.cluster, scenario.seed),
        program_(scenario.seed, scenario.job, scenario.operations),
        ranks_(scenario.job.ranks),
        pending_(scenario.faults.size()) {
    std::iota(pending_.begin(), pending_.end(), std::size_t{0});
  }

  Verdict play() {
    prepare();
    const bool over = cluster_.run([&] { return look() || !verdict_.complaint.empty(); },
                                   after(cluster_.now(), deadline_ * kDeadlinesInAll + long_faults()));
    if (verdict_.complaint.empty()) judge(over);
    if (!verdict_.complaint.empty()) verdict_.story = story();
    verdict_.digest = cluster_.digest();
    verdict_.ended = cluster_.now();
    for (std::size_t i = 0; i < cluster_.size(); ++i) verdict_.endings.push_back(ending_of(i));
    return std::move(verdict_);
  }

 private:
  struct RankState {
    bool began = false;    // its program
    std::size_t made = 0;  // calls of it
    std::size_t done = 0;
    std::size_t failed = 0;
    std::string first_failure;  // of a call
    std::map<CallId, std::size_t> calls;
  };

  // --- the job ---

  void prepare() {
    JobOptions job = scenario_.job;
    job.start_timeout = deadline_;
    cluster_.records_handshakes = true;
    cluster_.path = [this](std::size_t, std::size_t to, node::Target) { return path_to(to); };
    cluster_.weather = [this](Time now, std::uint32_t from, std::uint32_t to) { return weather(now, from, to); };
    cluster_.on_completion = [this](std::size_t i, Time, const node::Completion& completion) { hear(i, completion); };
    add_job(cluster_, job);
  }
  // How much later all may end because of faults that last.
  Duration long_faults() const {
    Duration together{};
    if (scenario_.brief()) return together;
    for (const Fault& fault : scenario_.faults) together += fault.wait + fault.length;
    return together;
  }
  void complain(const std::string& what) {
    if (verdict_.complaint.empty()) verdict_.complaint = what;
  }

  // A rank that stands still will go on.
  static bool gone(const Cluster::Process& process) { return !process.alive || process.failed || process.closed; }
  JobPhase phase_of(std::size_t i) const {
    const Cluster::Process& process = cluster_[i];
    if (process.closing) return JobPhase::closing;
    if (process.table) return JobPhase::running;
    return cluster_.connected(i) ? JobPhase::registering : JobPhase::joining;
  }

  // After every event: who begins its program, who closes, which faults are due. True: everybody is over.
  bool look() {
    // Most events are no milestone, and a large job has many of both.
    if (std::exchange(milestones_seen_, cluster_.milestones()) != cluster_.milestones()) all_over_ = look_at_ranks();
    for (std::size_t k = 0; k < pending_.size();) {
      const std::size_t index = pending_[k];
      const Fault& fault = scenario_.faults[index];
      if (due(fault)) {
        pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(k));
        cluster_.at(after(cluster_.now(), fault.wait), [this, index] { happen(index); });
      } else {
        ++k;
      }
    }
    if (!cluster_.faults().empty()) complain(cluster_.faults().front());
    return all_over_;
  }
  bool look_at_ranks() {
    bool all_over = true;
    for (std::size_t i = 0; i < cluster_.size(); ++i) {
      const Cluster::Process& process = cluster_[i];
      if (gone(process)) continue;
      all_over = false;
      if (!process.table) continue;
      RankState& rank = ranks_[i];
      if (!rank.began) begin_program(i);
      if (process.closing || rank.done + rank.failed < rank.made) continue;
      if (rank.made < program_.calls(static_cast<std::uint32_t>(i))) {
        go_on_with_program(i);
      } else {
        cluster_.call(i, node::Close{}, deadline_);
      }
    }
    return all_over;
  }
  bool due(const Fault& fault) const {
    const Cluster::Process& process = cluster_[fault.rank];
    return process.started && !gone(process) && phase_of(fault.rank) == fault.phase;
  }
  void begin_program(std::size_t i) {
    ranks_[i].began = true;
    check_table(i);
    go_on_with_program(i);
  }
  // Makes all calls that need not wait for others.
  void go_on_with_program(std::size_t i) {
    RankState& rank = ranks_[i];
    const auto number = static_cast<std::uint32_t>(i);
    while (rank.made < program_.calls(number)) {
      const std::size_t k = rank.made;
      if (program_.waits(number, k) && rank.done + rank.failed < k) return;
      ++rank.made;
      // Its completion may come before call() returns.
      beginning_ = std::pair(i, k);
      const CallId id = cluster_.call(i, program_.call(number, k), deadline_);
      if (std::exchange(beginning_, std::nullopt)) rank.calls.emplace(id, k);
    }
  }
  void hear(std::size_t i, const node::Completion& completion) {
    if (cluster_[i].closing == completion.id) return;
    std::size_t index = 0;
    if (const auto found = ranks_[i].calls.find(completion.id); found != ranks_[i].calls.end()) {
      index = found->second;
      ranks_[i].calls.erase(found);
    } else if (beginning_ && beginning_->first == i) {
      index = std::exchange(beginning_, std::nullopt)->second;
    } else {
      return complain("rank " + std::to_string(i) + " completes a call that it did not make, or twice");
    }
    const std::string wrong = program_.complaint(static_cast<std::uint32_t>(i), index, completion);
    if (!wrong.empty()) complain(wrong);
    const Failure* failure = std::get_if<Failure>(&completion.result);
    if (failure == nullptr || program_.may_fail(static_cast<std::uint32_t>(i), index)) {
      ++ranks_[i].done;
    } else if (ranks_[i].failed++ == 0) {
      ranks_[i].first_failure = failure->text;
    }
  }

  // --- what goes wrong ---

  void happen(std::size_t index) {
    const Fault& fault = scenario_.faults[index];
    const std::size_t i = fault.rank;
    if (gone(cluster_[i]) || !cluster_[i].started) return;
    Happening& happening = verdict_.happenings.emplace_back(Happening{index, phase_of(i), cluster_.now()});
    ++verdict_.happened[static_cast<std::size_t>(fault.kind)][static_cast<std::size_t>(happening.phase)];
    const Time until = after(cluster_.now(), fault.length);
    switch (fault.kind) {
      case FaultKind::refused:
      case FaultKind::half_open: unreachable_.push_back({fault, until}); break;
      case FaultKind::delay:
      case FaultKind::partition:
      case FaultKind::one_way: weather_.push_back({fault, until}); break;
      case FaultKind::reset:
        if (const auto other = cluster_.reset(i)) {
          lost_.insert(static_cast<std::uint32_t>(i));
          lost_.insert(static_cast<std::uint32_t>(*other));
        } else {
          happening.in_vain = true;
        }
        break;
      case FaultKind::direct_reset: happening.in_vain = !reset_direct_link(i); break;
      case FaultKind::pause:
        cluster_.freeze(i);
        cluster_.at(until, [this, i] { cluster_.thaw(i); });
        break;
      case FaultKind::slow: cluster_.slow_down(i, kSlowness, fault.length / 100); break;
      case FaultKind::crash: crash(i); break;
      case FaultKind::host_loss:
        for (std::size_t other = 0; other < cluster_.size(); ++other) {
          if (cluster_.host_of(other) == cluster_.host_of(i) && !gone(cluster_[other])) crash(other);
        }
        break;
      case FaultKind::garbage: garbage(i); break;
      case FaultKind::replay: call_at_root(cluster_.overheard(i)); break;
    }
  }
  // One of this rank or, if it has none, of the next that has one.
  bool reset_direct_link(std::size_t first) {
    for (std::size_t k = 0; k < cluster_.size(); ++k) {
      const std::size_t i = (first + k) % cluster_.size();
      if (cluster_.reset(i, [&](std::size_t other) { return !are_neighbours(i, other); })) return true;
    }
    return false;
  }
  // In the tree, or before there is one.
  bool are_neighbours(std::size_t a, std::size_t b) const {
    if (!first_table_ || !cluster_[a].table || !cluster_[b].table) return true;
    const wire::Table& table = *first_table_;
    const Rank one{static_cast<std::uint32_t>(a)};
    const Rank other{static_cast<std::uint32_t>(b)};
    if (table.leader(one) == other || table.leader(other) == one) return true;
    if (table.leader(one) != one || table.leader(other) != other) return false;
    const tree::Shape shape(table.fan_out());
    const auto is_below = [&](Rank child, Rank parent) {
      return child != kRootRank && shape.parent(table.position(child)) == table.position(parent);
    };
    return is_below(one, other) || is_below(other, one);
  }
  void crash(std::size_t i) {
    lost_.insert(static_cast<std::uint32_t>(i));
    cluster_.kill(i);
  }
  void garbage(std::size_t i) {
    std::string noise(cluster_.random().below(300), '\0');
    for (char& c : noise) c = static_cast<char>(cluster_.random().below(256));
    if (cluster_.random().below(2) == 0) noise = cluster_.overheard(i).substr(0, cluster_.random().below(200)) + noise;
    call_at_root(std::move(noise));
  }
  void call_at_root(std::string bytes) {
    cluster_.stranger(0, node::Listener::rendezvous, std::move(bytes), cluster_.random().below(2) == 0);
  }
  Path path_to(std::size_t to) const {
    for (const auto& [fault, until] : unreachable_) {
      if (fault.rank == to && cluster_.now() < until) {
        return fault.kind == FaultKind::refused ? Path::refused : Path::mute;
      }
    }
    return Path::open;
  }
  Time weather(Time now, std::uint32_t from, std::uint32_t to) const {
    for (const auto& [fault, until] : weather_) {
      const std::uint32_t host = cluster_.host_of(fault.rank);
      const bool concerned = from == host || (to == host && fault.kind != FaultKind::one_way);
      if (!concerned || now >= until) continue;
      now = fault.kind == FaultKind::delay ? std::min(after(now, fault.length / 10), until) : until;
    }
    return now;
  }

  // --- judgement ---

  // All tables are one, and it is a tree of those who are in the job.
  void check_table(std::size_t i) {
    const auto& table = cluster_[i].table;
    if (!first_table_) {
      first_table_ = table;
      check_tree(*table);
    } else if (table != first_table_ && table->digest() != first_table_->digest()) {
      complain("rank " + std::to_string(i) + " holds another table than others");
    }
    const node::Config& config = cluster_[i].config;
    const Payload blob = scenario_.job.lazy_table ? Payload() : Payload(config.blob);
    if (table->incarnation(config.rank) != config.incarnation || !(table->blob(config.rank) == blob)) {
      complain("the table has another life or blob of rank " + std::to_string(i));
    }
  }
  void check_tree(const wire::Table& table) {
    const tree::Shape shape(table.fan_out());
    std::set<Position> taken;
    for (std::uint32_t rank = 0; rank < scenario_.job.ranks; ++rank) {
      const bool has_place = table.leader(Rank{rank}) == Rank{rank};
      if (has_place && !taken.insert(table.position(Rank{rank})).second) {
        complain("two leaders share the position of rank " + std::to_string(rank));
      }
      if (table.leader(table.leader(Rank{rank})) != table.leader(Rank{rank})) {
        complain("rank " + std::to_string(rank) + " is led by one who leads nobody");
      }
    }
    for (const Position position : taken) {
      if (position == tree::kRootPosition) continue;
      const Position parent = shape.parent(position);
      if (parent != tree::kRootPosition && !taken.contains(parent)) complain("a position has no parent");
    }
  }
  void judge(bool over) {
    if (!over) return complain("some have not ended long after every deadline");
    std::size_t succeeded = 0;
    for (std::size_t i = 0; i < cluster_.size(); ++i) {
      const Cluster::Process& process = cluster_[i];
      if (!process.alive) continue;
      if (process.failed) {
        judge_failure(i, *process.failed);
      } else if (process.closed && ranks_[i].failed == 0 && process.table) {
        ++succeeded;
      }
      const node::Statistics statistics = process.engine->statistics();
      verdict_.direct_links_opened += statistics.direct_links_opened;
      verdict_.direct_links_lost += statistics.direct_links_lost;
      if (statistics.direct_links > scenario_.job.direct_links)
        complain("rank " + std::to_string(i) + " has more direct links than it may have");
      // One goes to the parent.
      if (statistics.tree_links_peak > scenario_.job.fan_out + 1 + (i == 0 ? tree::kExtraChildren : 0)) {
        complain("rank " + std::to_string(i) + " has had more tree links than its fan-out allows");
      }
    }
    verdict_.succeeded = succeeded == cluster_.size();
    if (scenario_.survivable() && !verdict_.succeeded) complain("nothing was lost for good, and yet the job failed");
  }
  // Who is blamed must have been hit, or stand on a host that was; or, where hosts are listed and one above is gone, be
  // missing for want of another place: next to the root there may be none. Whom a long fault cuts off from whom is not
  // known here.
  void judge_failure(std::size_t i, const Failure& failure) {
    if (lost_.empty() || !scenario_.brief()) return;
    std::set<std::uint32_t> hosts;
    for (const std::uint32_t rank : lost_) hosts.insert(cluster_.host_of(rank));
    for (const auto& range : failure.ranks.ranges()) {
      for (std::uint32_t rank = range.first; rank <= range.last; ++rank) {
        if (!hosts.contains(cluster_.host_of(rank)) && !cut_off(cluster_.host_of(rank), hosts, failure)) {
          return complain("rank " + std::to_string(i) + " blames rank " + std::to_string(rank) +
                          ", to which nothing has happened");
        }
      }
    }
  }
  bool cut_off(std::uint32_t host, const std::set<std::uint32_t>& lost, const Failure& failure) const {
    if (!scenario_.job.has_list() || failure.code != FailureCode::timed_out) return false;
    const tree::Shape shape(scenario_.job.fan_out);
    // A host beyond the list stands somewhere below the one that it asks.
    const tree::Shares shares(scenario_.job.fan_out, scenario_.job.listed_hosts);
    const Position from = host < scenario_.job.listed_hosts ? Position{host} : shares.asks(host);
    for (Position at = from; at != tree::kRootPosition; at = shape.parent(at)) {
      if (lost.contains(raw(at))) return true;
    }
    return false;
  }
  Ending ending_of(std::size_t i) const {
    const Cluster::Process& process = cluster_[i];
    return {!process.alive, process.closed, process.failed, ranks_[i].failed};
  }
  std::string story() const {
    std::string text;
    for (std::size_t i = 0; i < cluster_.size(); ++i) {
      const Cluster::Process& process = cluster_[i];
      text += "\n  rank " + std::to_string(i) + ": ";
      if (!process.alive) text += "killed; ";
      if (process.failed) {
        text += "failed, blames {" + process.failed->ranks.to_string() + "}: " + process.failed->text;
      } else {
        text += process.closed ? "closed" : process.table ? "formed" : "pending";
      }
      text += "; calls: " + std::to_string(ranks_[i].done) + " done, " + std::to_string(ranks_[i].failed) +
              " failed, " + std::to_string(ranks_[i].calls.size()) + " pending";
      if (ranks_[i].failed != 0) text += "; the first failure: " + ranks_[i].first_failure;
    }
    return text;
  }

  const Scenario scenario_;
  const Duration deadline_;
  Cluster cluster_;
  Program program_;
  std::vector<RankState> ranks_;
  std::vector<std::size_t> pending_;  // faults that wait for their phase
  std::uint64_t milestones_seen_ = UINT64_MAX;
  bool all_over_ = false;
  std::vector<std::pair<Fault, Time>> unreachable_;
  std::vector<std::pair<Fault, Time>> weather_;
  std::set<std::uint32_t> lost_;
  std::optional<std::pair<std::size_t, std::size_t>> beginning_;
  std::shared_ptr<const wire::Table> first_table_;
  Verdict verdict_;
};

}  // namespace

Verdict play(const Scenario& scenario) { return Trial(scenario).play(); }

}  // namespace banyan::sim
