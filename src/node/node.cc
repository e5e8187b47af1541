#include "node/node.hh"

#include <algorithm>
#include <utility>

#include "base/assert.hh"

namespace banyan::node {

Node::Node(const Config& config, const JobId& job, LinkIds& link_ids)
    : config_(config),
      link_ids_(link_ids),
      job_(job),
      effects_(config.share_memory),
      random_(config.seed),
      joiner_(config, link_ids, effects_, random_),
      table_receiver_(config.world_size, config.tables) {
  BANYAN_ASSERT(config.world_size > 0 && raw(config.rank) < config.world_size);
  BANYAN_ASSERT(config.fan_out >= kMinFanOut && config.fan_out <= kMaxFanOut);
  if (!is_root()) return;
  registry_.emplace(config.world_size);
  keep_places(tree::kRootPosition);
}

void Node::start(Time now) {
  started_ = now;
  start_deadline_ = after(now, config_.start_timeout);
  // A job with a short deadline still hears who is missing before it ends.
  if (config_.world_size > 1)
    status_at_ = after(now, std::min(config_.limits.status_interval, config_.start_timeout / 4));
  joiner_.start(now);
  if (config_.world_size == 1) {
    register_record(kNoLink, own_record());
    commit(now);
  }
}

void Node::on_listening(Time now, Listener listener, const Endpoint& endpoint) {
  if (over()) return;
  if (operations_) return operations_->messages().on_listening(now, listener, endpoint);
  joiner_.on_listening(now, listener, endpoint);
  // The root's record names the address it listens at, so it waits for that.
  if (is_root() && listener == Listener::rendezvous) {
    register_record(kNoLink, own_record());
    if (registry_->complete()) commit(now);
  }
  after_joiner(now);
}

void Node::on_listen_failed(Time now, Listener listener, const std::string& reason) {
  if (over()) return;
  if (operations_) return operations_->messages().on_listen_failed(now, listener, reason);
  joiner_.on_listen_failed(now, listener, reason);
  after_joiner(now);
}

void Node::on_authenticated(Time now, LinkId link, const session::Peer& peer, bool accepted, const Endpoint& local) {
  if (!accepted) {
    if (over()) return;
    if (operations_ && operations_->messages().owns(link)) {
      if (topology_->table().incarnation(peer.rank) == peer.incarnation)
        return operations_->messages().on_authenticated(link);
      effects_.add(effect::CloseLink{link, true});
      const Failure another{FailureCode::unreachable, Phase::running, {}, {}, "another process answered"};
      return operations_->messages().on_link_failed(now, link, another, false);
    }
    joiner_.on_authenticated(now, link, peer);
    return after_joiner(now);
  }
  if (peer.role == wire::Role::direct) return on_direct_caller(link, peer);
  const wire::Record* known = registry_ ? registry_->find(peer.rank) : nullptr;
  const bool own_rank = peer.rank == config_.rank;
  const bool another_life = topology_ ? topology_->table().incarnation(peer.rank) != peer.incarnation
                                      : own_rank || (known != nullptr && known->incarnation != peer.incarnation);
  if (failed_) {
    // The verdict is on its last life. Another try in this very process would wait in vain for this one to go away.
    const bool next_try = own_rank && !topology_;
    if (another_life) return refuse(link, job_has_ended(next_try ? Phase::join : Phase::running));
    // It may be early for the next try, which only the root can tell apart: it asks there.
    if (peer.role == wire::Role::joiner && !is_root()) {
      return refuse(link, Failure{FailureCode::unreachable,
                                  Phase::join,
                                  RankSet::single(peer.rank),
                                  {},
                                  "the job of " + rank_text(config_.rank) + " has failed"});
    }
    // A process that failed alone has no verdict on the job.
    if (!failed_alone_) effects_.send(link, FrameClass::control, wire::encode(wire::Verdict{*failed_}, epoch()));
    return effects_.add(effect::CloseLink{link, false});
  }
  // It came while the listener was closing: nobody is here any more.
  if (gone_) return refuse(link, job_has_ended(Phase::running));
  if (topology_ && another_life) {
    // The phase tells it that the job is not forming: perhaps it is one that this process has left.
    return refuse(link,
                  Failure{FailureCode::duplicate_rank,
                          Phase::running,
                          RankSet::single(peer.rank),
                          {},
                          "rank " + std::to_string(raw(peer.rank)) +
                              " is already in this job, which has formed; jobs that are open at the same time need "
                              "ids of their own (BANYAN_JOB_ID)"});
  }
  // The host's own name is a Unix socket's: what comes from elsewhere shares no memory with this process.
  if (peer.role == wire::Role::local && local.known()) {
    return refuse(link, Failure{FailureCode::protocol,
                                Phase::join,
                                RankSet::single(peer.rank),
                                {},
                                "a rank of another host calls itself one of this host"});
  }
  if (own_rank) return refuse_duplicate(link, second_process(Phase::join, peer.rank, config_.host_name));
  if (const auto [latest, first] = latest_.try_emplace(peer.rank, link); !first) {
    const LinkId before = std::exchange(latest->second, link);
    if (const auto old = children_.find(before); old != children_.end() && !old->second.attached) {
      effects_.add(effect::CloseLink{before, true});
      forget_child(before);
    }
  }
  Child& child = children_[link];
  child.peer = peer;
  child.local = local;
  // Cut off while the table came down: the loss that did it has been reported, and the verdict is for this rank too.
  if (!topology_ && peer.role == wire::Role::local) return admit_local(link, child);
  unattached_.emplace_back(after(now, config_.limits.handshake_timeout), link);
}

void Node::on_direct_caller(LinkId link, const session::Peer& peer) {
  const bool same_life = topology_ && topology_->table().incarnation(peer.rank) == peer.incarnation;
  if (same_life && !over() && operations_->messages().on_accepted(link, peer.rank)) return;
  refuse(link, Failure{FailureCode::unreachable, Phase::running, RankSet::single(config_.rank), config_.host_name,
                       rank_text(config_.rank) + " on " + config_.host_name + " waits for no link of " +
                           rank_text(peer.rank)});
}

bool Node::on_frame(Time now, LinkId link, const wire::Frame& frame) {
  const auto child = children_.find(link);
  bool fine = true;  // of a link that was given up in the meantime
  if (frame.encloses && !may_enclose(link, frame.kind)) {
    fine = false;
  } else if (child != children_.end()) {
    fine = on_frame_of_child(now, link, child->second, frame);
  } else if (joiner_.owns(link)) {
    fine = on_frame_from_above(now, link, frame);
  } else if (operations_ && operations_->messages().owns(link)) {
    fine = operations_->messages().on_frame(now, link, frame.kind, frame.body);
  }
  return fine;
}

void Node::settle(Time now) {
  if (operations_) operations_->settle(now);
  // What this rank owed to others may have left.
  if (closing_) finish_closing(now);
}

// Only the leader shares memory with the ranks of its host, and only what all of them are given.
bool Node::may_enclose(LinkId link, wire::Kind kind) const {
  const auto& upstream = joiner_.upstream();
  const bool from_leader = upstream && upstream->link == link && upstream->local;
  return from_leader && wire::carries_streams(kind);
}

bool Node::on_frame_of_child(Time now, LinkId link, Child& child, const wire::Frame& frame) {
  using wire::Kind;
  if (frame.kind == Kind::leave) {
    const auto leave = wire::decode<wire::Leave>(frame.body);
    return leave && in_job(leave->missing) && on_leave(now, link, *leave);
  }
  if (over() || child.left) return true;
  if (frame.kind == Kind::join) {
    const auto join = wire::decode<wire::Join>(frame.body);
    return join && on_join(now, link, child, *join);
  }
  // Of one that was cut off while the table came down: what ends the job is on its way.
  if (!child.attached && !child.waiting) return topology_ && frame.kind == Kind::records;
  switch (frame.kind) {
    case Kind::records: {
      auto records = wire::decode<wire::Records>(frame.body);
      return records && on_records(now, link, child, std::move(*records));
    }
    case Kind::report: {
      const auto report = wire::decode<wire::Report>(frame.body);
      return report && in_job(report->failure.ranks) && on_report_up(now, *report, link);
    }
    case Kind::acknowledge: {
      const auto acknowledged = wire::decode<wire::Acknowledge>(frame.body);
      if (!acknowledged || !topology_ || acknowledged->ranks > config_.world_size) return false;
      to_acknowledge_ = std::min(to_acknowledge_ + acknowledged->ranks, config_.world_size);
      if (acknowledge_at_ == kNever) acknowledge_at_ = after(now, config_.limits.acknowledge_delay);
      return true;
    }
    default: return on_frame_of_neighbour(now, link, frame);
  }
}

// What children and parents send alike, once the job has formed.
bool Node::on_frame_of_neighbour(Time now, LinkId link, const wire::Frame& frame) {
  using wire::Kind;
  switch (frame.kind) {
    case Kind::collective: {
      const auto message = wire::decode_with_tail<wire::Collective>(frame.body);
      // A whole stream, and nothing that would be copied before its size is looked at.
      if (message && frame.encloses && !(message->message.part == wire::Part::data && message->message.offset == 0))
        return false;
      return message && operations_ && operations_->collectives().on_frame(now, link, message->message, message->tail);
    }
    case Kind::grant:
      // "Are you still there?" may overtake the table (P-13), and is asked again.
      if (!operations_) return true;
      [[fallthrough]];
    case Kind::data:
    case Kind::accept:
    case Kind::undeliverable:
    case Kind::direct: return operations_ && operations_->messages().on_frame(now, link, frame.kind, frame.body);
    default: return false;
  }
}

bool Node::on_frame_from_above(Time now, LinkId link, const wire::Frame& frame) {
  using wire::Kind;
  if (over()) return true;
  switch (frame.kind) {
    case Kind::placement: {
      const auto placement = wire::decode<wire::Placement>(frame.body);
      if (!placement || !joiner_.on_placement(now, link, *placement)) return false;
      root_lost_.reset();
      adopt_waiting();
      after_joiner(now);
      return true;
    }
    case Kind::welcome: {
      const auto welcome = wire::decode<wire::Welcome>(frame.body);
      if (!welcome || !joiner_.on_welcome(link, *welcome)) return false;
      welcomed_ = true;
      unconfirmed_ = {};
      adopt_waiting();
      after_joiner(now);
      return true;
    }
    case Kind::status: {
      auto status = wire::decode<wire::Status>(frame.body);
      if (!status || !in_job(status->missing)) return false;
      send_down(FrameClass::control, wire::encode(*status, frame.epoch));
      if (status->obstacle.empty()) root_lost_.reset();  // news from the root
      last_status_ = std::move(*status);
      return true;
    }
    case Kind::table_chunk: return on_table_chunk(now, link, frame);
    case Kind::verdict: {
      const auto verdict = wire::decode<wire::Verdict>(frame.body);
      if (!verdict || !in_job(verdict->failure.ranks)) return false;
      fail(now, verdict->failure);
      return true;
    }
    case Kind::report: {
      const auto report = wire::decode<wire::Report>(frame.body);
      if (!report || !in_job(report->failure.ranks)) return false;
      on_report_down(now, *report);
      return true;
    }
    case Kind::leave: {
      const auto leave = wire::decode<wire::Leave>(frame.body);
      return leave && in_job(leave->missing) && on_leave(now, link, *leave);
    }
    default: return on_frame_of_neighbour(now, link, frame);
  }
}

void Node::on_link_failed(Time now, LinkId link, const Failure& failure, bool rejected_by_peer,
                          const std::optional<session::Peer>& peer) {
  if (children_.contains(link)) return lose_child(now, link, failure);
  if (joiner_.owns(link)) return lose_parent(now, link, failure, rejected_by_peer);
  if (operations_ && operations_->messages().owns(link))
    return operations_->messages().on_link_failed(now, link, failure, rejected_by_peer);
  // Told once, so that strangers can't fill a log; the rest are counted.
  using enum FailureCode;
  const bool confused = failure.code == wrong_secret || failure.code == wrong_job || failure.code == wrong_version;
  if (confused && !turned_away_) {
    turned_away_ = failure.text;
    effects_.add(effect::Notice{effect::Notice::Level::warning,
                                "turned away: " + failure.text + " (further ones are only counted)", false});
  }
  // Somebody with the job's secret who disagrees on the size of the job: it can never form, so nobody need wait.
  if (failure.code == FailureCode::wrong_world_size && peer && !over() && !topology_) {
    wire::Report news;
    news.failure = failure;
    report(now, std::move(news));
  }
}

void Node::call(Time now, Call call) {
  if (std::holds_alternative<Close>(call.operation)) return close(now, call);
  if (failed_) return effects_.complete(call.id, *failed_);
  if (closing_ || gone_ || !topology_) {
    return effects_.complete(call.id, Failure{closing_ || gone_ ? FailureCode::closed : FailureCode::misuse,
                                              Phase::running,
                                              {},
                                              {},
                                              closing_ || gone_ ? "this rank has closed"
                                                                : "the job has not formed yet: call start() first"});
  }
  acknowledge();
  operations_->call(now, std::move(call));
}

void Node::after_joiner(Time now) {
  if (joiner_.fatal() && !over()) {
    Failure failure = *joiner_.fatal();
    // What a parent refuses is this rank; what it could not reach has been named.
    if (failure.ranks.empty() || failure.code != FailureCode::unreachable)
      failure.ranks = RankSet::single(config_.rank);
    return failure.code == FailureCode::duplicate_rank ? fail_alone(now, failure) : fail(now, failure);
  }
  const auto& upstream = joiner_.upstream();
  if (!upstream || registered_with_ == upstream->link) return;
  if (upstream->rank == kRootRank) root_lost_.reset();
  upstream_changed(now);
}

void Node::send_down(FrameClass frame_class, const Payload& frame, LinkId feeder, Below below) {
  for (const auto& [link, child] : children_) {
    if (below != Below::all && (child.position == kNoPosition) != (below == Below::locals)) continue;
    if ((child.attached || child.waiting) && !child.left) effects_.send(link, frame_class, frame, feeder);
  }
}

void Node::on_time(Time now) {
  for (const auto* grace : {&grace_, &root_lost_}) {
    if (*grace && (*grace)->until <= now) fail(now, Failure((*grace)->failure));
  }
  if (closing_ && close_deadline_ <= now) {
    patience_ended_ = true;
    finish_closing(now);
  }
  if (lingers_until_ <= now) {
    lingers_until_ = kNever;
    if (topology_) {
      finish_closing(now);
    } else {
      end(now, Failure(*failed_));
    }
  }
  if (over()) return;
  if (!topology_ && start_deadline_ <= now) return give_up(now);
  joiner_.on_time(now);
  after_joiner(now);
  if (over()) return;
  if (flush_at_ <= now) flush_records();
  if (status_at_ <= now) send_status(now);
  close_unattached(now);
  if (placement_ && placement_->deadline() <= now) placement_->expire(now);
  if (acknowledge_at_ <= now) acknowledge();
  if (operations_) operations_->on_time(now);
}

// Whoever is not attached by now waits for nothing: a joiner that was sent elsewhere, or one that never asked.
void Node::close_unattached(Time now) {
  while (!unattached_.empty() && unattached_.front().first <= now) {
    const LinkId link = unattached_.front().second;
    unattached_.pop_front();
    const auto at = children_.find(link);
    if (at == children_.end() || at->second.attached || at->second.waiting) continue;
    effects_.add(effect::CloseLink{link, true});
    forget_child(link);
  }
}

Time Node::deadline() const {
  Time first = closing_ ? close_deadline_ : kNever;
  first = std::min(first, lingers_until_);
  if (over()) return first;
  for (const auto* grace : {&grace_, &root_lost_}) {
    if (*grace) first = std::min(first, (*grace)->until);
  }
  if (!unattached_.empty()) first = std::min(first, unattached_.front().first);
  if (!topology_) {
    first = std::min({first, start_deadline_, joiner_.deadline(), flush_at_, status_at_});
    if (placement_) first = std::min(first, placement_->deadline());
    return first;
  }
  return std::min({first, acknowledge_at_, operations_->deadline()});
}

void Node::fill(Statistics& statistics) const {
  for (const auto& [link, child] : children_) {
    if (!child.attached || child.left) continue;
    ++(child.position == kNoPosition ? statistics.local_links : statistics.tree_links);
  }
  if (joiner_.upstream()) ++(joiner_.upstream()->local ? statistics.local_links : statistics.tree_links);
  statistics.tree_links_peak = std::max<std::uint64_t>(tree_links_peak_, statistics.tree_links);
  if (!topology_) return;
  statistics.placed = placed_;
  statistics.table_begun = table_begun_;
  statistics.formed = formed_;
  statistics.hosts = topology_->table().hosts();
  statistics.depth = topology_->table().depth();
  operations_->messages().fill(statistics);
}

}  // namespace banyan::node
