// Losses, verdicts and departures: what becomes of a job when a link breaks, a deadline passes or a rank is done.
// The first cause travels to the root, which tells everyone; whoever is cut off from the root fails by itself.
#include <algorithm>
#include <utility>

#include "base/canary.hh"
#include "node/node.hh"

namespace banyan::node {
namespace {

// The second processes that were refused: ranks that are missing may be among them.
std::string refused(const std::map<Rank, Failure>& duplicates) {
  RankSet ranks;
  for (const auto& [rank, failure] : duplicates) ranks.insert(rank);
  if (ranks.count() == 1) return "; refused: a second process was started as rank " + ranks.to_string();
  return "; refused: second processes were started as ranks " + ranks.to_string();
}

}  // namespace

std::string Node::host_of(Rank rank, const std::string& otherwise) const {
  if (topology_ && raw(rank) < config_.world_size) return topology_->table().host(rank);
  if (registry_) {
    const wire::Record* record = registry_->find(rank);
    if (record != nullptr && !record->is_leader()) record = registry_->find(record->leader);
    if (record != nullptr) return record->host;
  }
  return otherwise;
}

Failure Node::lost_failure(Rank rank, const std::string& host, const std::string& reason) const {
  return Failure{FailureCode::rank_lost, topology_ ? Phase::running : Phase::registration, RankSet::single(rank), host,
                 "rank " + std::to_string(raw(rank)) + " on " + host + " was lost: " + reason};
}

// For those who come now: perhaps they are early for the next job at this place.
Failure Node::job_has_ended(Phase phase) const {
  return Failure{FailureCode::closed, phase, RankSet::single(config_.rank), config_.host_name,
                 "rank " + std::to_string(raw(config_.rank)) + " belongs to a job that has ended"};
}

Failure Node::closed_early(Rank rank, const std::string& host) const {
  return Failure{FailureCode::rank_left, Phase::registration, RankSet::single(rank), host,
                 "rank " + std::to_string(raw(rank)) + " on " + host + " closed before the job had formed"};
}

void Node::lose_child(Time now, LinkId link, const Failure& failure) {
  const Child child = children_.at(link);
  // What has not gone further than here is as if it had never come.
  const bool unsent = std::ranges::any_of(
      pending_, [&](const Pending& p) { return p.from == link && p.record.rank == child.peer.rank; });
  forget_child(link);
  if (over()) return finish_closing(now);
  if (topology_) {
    if (child.left) return finish_closing(now);
    // The index stays in use until all its frames are accounted for; a left child has been removed already.
    wire::Report news{child.peer.rank, child.peer.incarnation, child.attachment,
                      lost_failure(child.peer.rank, host_of(child.peer.rank, child.host), failure.text)};
    return report(now, std::move(news));
  }
  if (child.attached && placement_ && !is_root())
    placement_->release({child.peer.rank, child.peer.incarnation, {}, {}, {}});
  if (!child.recorded || child.left || unsent || (!is_root() && !registered_with_)) return;
  wire::Report news;
  news.rank = child.peer.rank;
  news.incarnation = child.peer.incarnation;
  news.attachment = child.attachment;
  news.failure = lost_failure(child.peer.rank, child.host, failure.text);
  on_report_up(now, news);
}

void Node::lose_parent(Time now, LinkId link, const Failure& failure, bool rejected_by_peer) {
  const auto upstream = joiner_.upstream();
  const bool was_parent = upstream && upstream->link == link;
  if (over()) return joiner_.stop();
  if (!was_parent) {
    const bool refused = joiner_.seeks_root() && !rejected_by_peer && failure.code == FailureCode::unreachable;
    joiner_.on_link_failed(now, link, failure, rejected_by_peer);
    // What answers there now may belong to somebody else.
    const bool others = joiner_.fatal() && joiner_.fatal()->code != FailureCode::duplicate_rank;
    if (root_lost_ && (refused || others)) return fail(now, Failure(root_lost_->failure));
    return after_joiner(now);
  }
  if (topology_) {
    if (parent_left_) return;
    joiner_.stop();
    return fail(now, lost_failure(upstream->rank, host_of(upstream->rank, upstream->host), failure.text));
  }
  // Other parents can be replaced; without its root a job can't form. Whether the root is gone, or only the connection,
  // the next one tells.
  if (upstream->rank == kRootRank && !rejected_by_peer && !root_lost_) {
    root_lost_ = Grace{std::min(after(now, config_.limits.root_patience), start_deadline_),
                       lost_failure(kRootRank, upstream->host, failure.text)};
  }
  if (root_lost_ && canary(Canary::root_given_up_at_once)) return fail(now, Failure(root_lost_->failure));
  table_receiver_ = TableReceiver(config_.world_size, config_.tables);
  if (rejected_by_peer && !welcomed_) {
    // It never was one: those below have nothing to say again.
    registered_with_.reset();
    pending_.insert(pending_.begin(), unconfirmed_.begin(), unconfirmed_.end());
    std::erase_if(pending_, [this](const Pending& p) { return p.from == kNoLink || locals_.contains(p.record.rank); });
  }
  joiner_.on_link_failed(now, link, failure, rejected_by_peer);
  after_joiner(now);
}

void Node::report(Time now, wire::Report report) {
  if (is_root()) return fail(now, report.failure);
  if (!joiner_.upstream()) {
    if (topology_) return fail(now, report.failure);
    if (!held_report_) held_report_ = std::move(report);
    return;
  }
  if (!topology_) flush_records();  // the news of a rank never arrives before the rank
  effects_.send(joiner_.upstream()->link, topology_ ? FrameClass::control : FrameClass::data,
                wire::encode(report, epoch()));
  if (!topology_) return;
  if (!first_cause_) first_cause_ = std::move(report.failure);
  if (!grace_) grace_ = Grace{after(now, config_.limits.verdict_grace), *first_cause_};
}

bool Node::on_report_up(Time now, const wire::Report& report, LinkId from) {
  const auto outlived = [&report](const wire::Record& record) {
    const std::uint32_t registered = raw(record.attachment) >> 16;
    const std::uint32_t lost = record.is_leader() ? raw(report.attachment) : raw(report.attachment) >> 16;
    return record.incarnation != report.incarnation || registered > lost;
  };
  if (report.failure.code == FailureCode::duplicate_rank) {
    // Not the end of anything: who came second was refused below. It may cross the table on its way.
    if (raw(report.rank) >= config_.world_size) return false;
    // In this rank's own words: those of the report may be anybody's.
    if (!topology_) note_duplicate(report.rank, second_process(Phase::join, report.rank, report.failure.host), from);
    return true;
  }
  if (!is_root()) {
    // Before the table a loss follows the record that it is about, and ends where that waits to go on.
    const auto undone = [&](const Pending& p) { return p.record.rank == report.rank && !outlived(p.record); };
    if (!topology_ && std::erase_if(pending_, undone) > 0) return true;
    std::erase_if(unconfirmed_, undone);
    if (topology_ && !first_cause_) first_cause_ = report.failure;
    if (joiner_.upstream()) {
      effects_.send(joiner_.upstream()->link, topology_ ? FrameClass::control : FrameClass::data,
                    wire::encode(report, epoch()), from);
    } else if (!topology_ && !held_report_) {
      held_report_ = report;
    }
    return true;
  }
  if (report.rank != kNoRank && report.failure.code != FailureCode::timed_out && !topology_) {
    if (raw(report.rank) >= config_.world_size) return false;
    // News of a life or a path that has been replaced, or of one that never registered, harms nobody.
    const wire::Record* record = registry_->find(report.rank);
    if (record == nullptr || outlived(*record)) return true;
  }
  Failure failure = report.failure;
  if (failure.code == FailureCode::timed_out && registry_ && !topology_) {
    // Whoever gave up first is not to blame: those who never came are.
    failure = timeout_failure();
    failure.text += " (" + report.failure.text + ")";
  }
  fail(now, failure);
  return true;
}

void Node::on_report_down(Time now, const wire::Report& report) {
  if (report.rank == config_.rank && report.incarnation == config_.incarnation) return fail_alone(now, report.failure);
  for (auto& [link, child] : children_) {
    if (child.attached) effects_.send(link, FrameClass::control, wire::encode(report, epoch()));
  }
}

bool Node::on_leave(Time now, LinkId link, const wire::Leave& leave) {
  const auto at = children_.find(link);
  if (at == children_.end()) {
    const auto& upstream = joiner_.upstream();
    if (!upstream || upstream->link != link || over()) return true;
    if (!topology_) {
      // Another parent is found as soon as the link closes; another root is not.
      if (upstream->rank == kRootRank) fail(now, closed_early(kRootRank, upstream->host));
      return true;
    }
    // Passed on, it names the one who left, not the relay that is cut off with this rank.
    const Rank who = leave.missing.empty() ? upstream->rank : Rank{leave.missing.ranges().front().first};
    parent_left_ = Failure{FailureCode::rank_left, Phase::running, RankSet::single(who), host_of(who, upstream->host),
                           "rank " + std::to_string(raw(who)) + ", the way to all others, has closed"};
    send_down(FrameClass::data, wire::encode(wire::Leave{false, RankSet::single(who)}, epoch()));
    operations_->fail_all(now, *parent_left_);
    return true;
  }
  Child& child = at->second;
  if (canary(Canary::goodbye_ignored)) return true;
  if (child.left || over()) {
    child.left = true;
    if (closing_) finish_closing(now);
    return true;
  }
  child.left = true;
  if (topology_) {
    operations_->collectives().on_child_left(link);
    operations_->messages().on_child_left(link);
    topology_->remove_child(link);
    if (closing_) finish_closing(now);
    return true;
  }
  if (!child.recorded) return true;
  const std::string who = "rank " + std::to_string(raw(child.peer.rank)) + " on " + child.host;
  wire::Report news;
  news.rank = child.peer.rank;
  news.incarnation = child.peer.incarnation;
  news.attachment = child.attachment;
  news.failure = leave.gave_up ? Failure{FailureCode::timed_out,
                                         Phase::registration,
                                         leave.missing,
                                         {},
                                         who + " has given up for the same reason"}
                               : closed_early(child.peer.rank, child.host);
  if (is_root()) return on_report_up(now, news);
  report(now, std::move(news));
  return true;
}

std::string Node::see_whether_started() const {
  return "; see whether they were started with this job's rendezvous " + config_.rendezvous + " and can reach it";
}

Failure Node::timeout_failure() const {
  Failure failure{FailureCode::timed_out, Phase::registration, {}, {}, {}};
  const std::string after_text = " after " + seconds_text(config_.start_timeout);
  const std::string of = " of " + std::to_string(config_.world_size);
  if (!joiner_.unresolved().empty()) {
    return Failure{FailureCode::bad_address, Phase::setup, RankSet::single(config_.rank), config_.host_name,
                   "can't listen at " + joiner_.unresolved() + ": this host's resolver does not know the name" +
                       after_text + "; check " + (is_root() ? "BANYAN_RENDEZVOUS" : "BANYAN_HOSTS")};
  }
  if (is_root()) {
    failure.ranks = registry_->missing();
    failure.text = "missing " + std::to_string(failure.ranks.count()) + of + ": " + failure.ranks.to_string() +
                   after_text + see_whether_started();
    if (!duplicates_.empty()) failure.text += refused(duplicates_);
  } else if (last_status_ && last_status_->missing_count > 0) {
    failure.ranks = last_status_->missing;
    failure.text = "missing " + std::to_string(last_status_->missing_count) + of + ": " + failure.ranks.to_string();
    if (failure.ranks.count() < last_status_->missing_count) {
      failure.text += " and " + std::to_string(last_status_->missing_count - failure.ranks.count()) + " more";
    }
    failure.text +=
        after_text + (last_status_->obstacle.empty() ? see_whether_started() : "; " + last_status_->obstacle);
  } else if (!joiner_.obstacle().empty()) {
    failure.phase = Phase::join;
    failure.text = joiner_.obstacle() + after_text;
    if (joiner_.root_is_obstacle()) {
      failure.ranks = RankSet::single(kRootRank);
      failure.text = "missing at least 1" + of + ": 0" + after_text + "; " + joiner_.obstacle();
    }
  } else if (last_status_ && !last_status_->obstacle.empty()) {
    failure.phase = Phase::join;
    failure.text = last_status_->obstacle + after_text;
  } else {
    failure.text = "the job did not form" + after_text +
                   " and nobody could say who is missing; raise BANYAN_TIMEOUT if the machine is slow";
  }
  if (turned_away_) failure.text += "; turned away: " + *turned_away_;
  return failure;
}

void Node::give_up(Time now) {
  const Failure failure = timeout_failure();
  if (!is_root() && joiner_.upstream()) {
    effects_.send(joiner_.upstream()->link, FrameClass::control,
                  wire::encode(wire::Leave{true, failure.ranks}, epoch()));
  }
  fail(now, failure);
}

// The job is over: everyone below hears why.
void Node::fail(Time now, const Failure& failure) {
  if (over()) return;
  failed_ = failure;
  if (failed_->host.empty() && failed_->ranks.count() == 1)
    failed_->host = host_of(Rank{failed_->ranks.ranges()[0].first}, {});
  grace_.reset();
  root_lost_.reset();
  for (const auto& [link, child] : children_) {
    if (!child.left && !canary(Canary::verdict_kept))
      effects_.send(link, FrameClass::control, wire::encode(wire::Verdict{*failed_}, epoch()));
  }
  if (!joiner_.upstream()) joiner_.stop();
  // Who has yet to come, or was cut off before its table came, must hear it from somebody: the root stays a little for
  // that. Its caller waits where it waits anyway, in start(), or later in close().
  const bool all_here = topology_ && acknowledged_ + to_acknowledge_ >= config_.world_size;
  // After a deadline, its own or that of the name that it was to listen at, they have had their time.
  const bool at_deadline = failure.code == FailureCode::timed_out || failure.code == FailureCode::bad_address;
  // One that could not listen is heard by the ranks of its host alone, if at all.
  const bool heard = topology_ || config_.use_local_links || failure.code != FailureCode::address_in_use;
  if (is_root() && !all_here && !at_deadline && heard && !canary(Canary::root_leaves_at_once)) {
    const Duration detour = config_.hosts.empty() ? Duration::zero() : config_.limits.computed_patience;
    lingers_until_ = after(now, config_.limits.verdict_linger + detour);
    if (!topology_) return;
  }
  end(now, *failed_);
}

// Only this rank is at fault: those who attached to it look for another leader.
void Node::fail_alone(Time now, const Failure& failure) {
  if (over()) return;
  failed_alone_ = true;
  for (const auto& [link, child] : children_) effects_.add(effect::CloseLink{link, false});
  children_.clear();
  for (const Listener listener : {Listener::network, Listener::local, Listener::direct})
    effects_.add(effect::StopListening{listener});
  fail(now, failure);
}

void Node::end(Time now, const Failure& failure) {
  if (operations_) operations_->fail_all(now, failure);
  effects_.add(effect::Failed{failure});
  if (closing_) finish_closing(now);
}

void Node::close(Time now, const Call& call) {
  if (closing_ || gone_) {
    return effects_.complete(call.id,
                             Failure{FailureCode::misuse, Phase::closing, {}, {}, "this rank is closed already"});
  }
  closing_ = call.id;
  close_deadline_ = std::min(call.deadline, after(now, config_.close_timeout));
  if (topology_ && !failed_) operations_->close(now, closed_meanwhile());
  finish_closing(now);
}

Failure Node::closed_meanwhile() const {
  return Failure{FailureCode::closed, Phase::closing, RankSet::single(config_.rank), config_.host_name,
                 "this rank was closed while the call ran"};
}

// Whoever relays for others, or owes them bytes, stays until that is done, or until its patience ends.
void Node::finish_closing(Time now) {
  if (!closing_ || gone_) return;
  if (failed_ && lingers_until_ != kNever && !patience_ended_) return;
  const bool relays =
      std::ranges::any_of(children_, [](const auto& entry) { return entry.second.attached && !entry.second.left; });
  const bool owes = operations_ && operations_->owes_bytes();
  if (topology_ && !failed_ && (relays || owes) && !patience_ended_) return;
  if (owes) {
    operations_->collectives().give_up_owed();
    operations_->settle(now);
  }
  gone_ = true;
  if (operations_ && !failed_) operations_->fail_all(now, closed_meanwhile());
  const wire::Leave leave{false, {}};
  if (joiner_.upstream() && !failed_)
    effects_.send(joiner_.upstream()->link, FrameClass::data, wire::encode(leave, epoch()));
  if (!failed_) send_down(FrameClass::data, wire::encode(leave, epoch()));
  joiner_.stop();
  if (joiner_.upstream()) effects_.add(effect::CloseLink{joiner_.upstream()->link, false});
  for (const auto& [link, child] : children_) effects_.add(effect::CloseLink{link, false});
  children_.clear();
  effects_.add(effect::RefuseCallers{job_has_ended(Phase::running)});
  for (const Listener listener : {Listener::rendezvous, Listener::network, Listener::local, Listener::direct})
    effects_.add(effect::StopListening{listener});
  effects_.complete(*closing_, Payload{});
  closing_.reset();
}

}  // namespace banyan::node
