// From the first child to the table: who may attach here, whose records go up, and how the table comes down. Who is
// sent where stands in placing.cc.
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.hh"
#include "base/canary.hh"
#include "base/digest.hh"
#include "node/node.hh"

namespace banyan::node {
namespace {

// Records wait this long for those of the host's other ranks, where their number is known: one frame instead of many.
constexpr Duration kCoalesce = std::chrono::microseconds(500);

// A rank's own attachments weigh more than its leader's: whoever attached last, wherever, wins.
Attachment combined(Attachment own, Attachment leader) { return Attachment{(raw(own) << 16) | (raw(leader) & 0xffff)}; }

}  // namespace

// A child that is gone, and what it sent that went no further than here.
void Node::forget_child(LinkId link) {
  const auto at = children_.find(link);
  if (at == children_.end()) return;
  if (canary(Canary::lost_child_remembered)) return void(children_.erase(at));
  const session::Peer& peer = at->second.peer;
  if (const auto local = locals_.find(peer.rank); local != locals_.end() && local->second == link) {
    locals_.erase(local);
    std::erase_if(held_, [&](const wire::Record& held) { return held.rank == peer.rank; });
  }
  for (std::vector<Pending>* records : {&pending_, &unconfirmed_})
    std::erase_if(*records, [&](const Pending& pending) { return pending.from == link; });
  children_.erase(at);
}

void Node::refuse(LinkId link, Failure failure) {
  effects_.add(effect::Refuse{link, std::move(failure)});
  forget_child(link);
}

// Of one rank there are two. Which is the right one nobody can say; the first stays.
Failure Node::second_process(Phase phase, Rank rank, const std::string& host) const {
  const std::string first_host = host_of(rank, host);
  return Failure{FailureCode::duplicate_rank, phase, RankSet::single(rank), host,
                 "a second process" + (host.empty() ? "" : " on " + host) + " was started as " + rank_text(rank) +
                     ", which has joined" + (first_host == host ? "" : " from " + first_host) +
                     " already; end one of the two, or give it a rank of its own (BANYAN_RANK)"};
}

void Node::refuse_duplicate(LinkId link, const Failure& failure) {
  const Rank rank{failure.ranks.ranges().front().first};
  note_duplicate(rank, failure, kNoLink);
  refuse(link, failure);
}

// Warns of it where it was refused and at the root, once for each of the first few ranks, so that nobody can fill a
// log. The root names those that are missing: the second process was mostly meant to be one of them.
void Node::note_duplicate(Rank rank, const Failure& failure, LinkId from) {
  if (duplicates_.size() >= kMostDuplicates || !duplicates_.try_emplace(rank, failure).second) return;
  if (from == kNoLink || is_root())
    effects_.add(effect::Notice{effect::Notice::Level::warning, "refused: " + failure.text, false});
  if (joiner_.upstream() && !is_root()) report_duplicate(rank, failure, from);
}

// Of no life and no attachment: it is no loss of anybody.
void Node::report_duplicate(Rank rank, const Failure& failure, LinkId from) {
  effects_.send(joiner_.upstream()->link, FrameClass::data, wire::encode(wire::Report{rank, {}, {}, failure}, epoch()),
                from);
}

void Node::admit_local(LinkId link, Child& child) {
  const Rank rank = child.peer.rank;
  if (const auto at = locals_.find(rank); at != locals_.end() && at->second != link) {
    const Child& known = children_.at(at->second);
    if (known.peer.incarnation != child.peer.incarnation) {
      return refuse_duplicate(link, second_process(Phase::join, rank, config_.host_name));
    }
    // The same process, which had stopped waiting for an answer on its first connection.
    const LinkId old = at->second;
    effects_.add(effect::CloseLink{old, true});
    forget_child(old);
  }
  locals_[rank] = link;
  child.attached = true;
  child.host = config_.host_name;
}

bool Node::on_join(Time now, LinkId link, Child& child, const wire::Join& join) {
  if (topology_ && !child.attached) return true;  // cut off while the table came down; waits for the verdict
  if (topology_ || child.attached || child.peer.role == wire::Role::local) return false;
  if (child.peer.role == wire::Role::joiner) return place(now, link, child, join);
  if (child.peer.role != wire::Role::child || join.position == kNoPosition || join.position == tree::kRootPosition)
    return false;
  if (joiner_.position() == kNoPosition) {
    // Its placement came faster than this node's own. Its records are taken meanwhile.
    child.waiting = join;
    child.attachment = join.attachment;
    child.host = join.host;
    return true;
  }
  adopt(link, child, join);
  return true;
}

void Node::adopt(LinkId link, Child& child, const wire::Join& join) {
  const bool mine =
      joiner_.position() != kNoPosition && tree::Shape(joiner_.fan_out()).parent(join.position) == joiner_.position();
  const auto turn_down = [&](std::string text) {
    refuse(link, Failure{FailureCode::unreachable, Phase::join, RankSet::single(config_.rank), config_.host_name,
                         std::move(text)});
  };
  if (!mine)
    return turn_down(rank_text(config_.rank) + " is not the parent of position " + std::to_string(raw(join.position)));
  std::vector<LinkId> older;
  for (const auto& [other_link, other] : children_) {
    if (other_link == link || other.position != join.position) continue;
    const bool same_life = other.peer.rank == child.peer.rank && other.peer.incarnation == child.peer.incarnation;
    if (other.recorded && !same_life) return turn_down("position " + std::to_string(raw(join.position)) + " is taken");
    older.push_back(other_link);
  }
  for (const LinkId old : older) {
    effects_.add(effect::CloseLink{old, true});
    forget_child(old);
  }
  const Placement::Holder leader{child.peer.rank, child.peer.incarnation, join.endpoint, join.host, join.attachment};
  if (is_root() && !(placement_->may_take(join.position, leader) && placement_->claim(join.position, leader, false))) {
    return turn_down("position " + std::to_string(raw(join.position)) + " is taken");
  }
  child.position = join.position;
  child.attachment = join.attachment;
  child.host = join.host;
  child.attached = true;
  child.waiting.reset();
  effects_.send(link, FrameClass::control,
                wire::encode(wire::Welcome{join.position, joiner_.fan_out(), config_.host_name}, Epoch{}));
}

// This node has a place, perhaps another than before: children of the old one must look for another parent.
void Node::adopt_waiting() {
  if (canary(Canary::early_child_forgotten)) return;
  std::vector<LinkId> waiting;
  std::vector<LinkId> strangers;
  const tree::Shape shape(joiner_.fan_out());
  for (const auto& [link, child] : children_) {
    if (child.waiting) waiting.push_back(link);
    if (child.position != kNoPosition && shape.parent(child.position) != joiner_.position()) strangers.push_back(link);
  }
  for (const LinkId link : strangers) {
    effects_.add(effect::CloseLink{link, true});
    forget_child(link);
  }
  for (const LinkId link : waiting) {
    if (const auto at = children_.find(link); at != children_.end())
      adopt(link, at->second, wire::Join(*at->second.waiting));
  }
}

wire::Record Node::own_record() const {
  wire::Record record;
  record.rank = config_.rank;
  record.incarnation = config_.incarnation;
  record.attachment = combined(joiner_.attachment(), {});
  record.position = joiner_.position();
  record.leader = config_.rank;
  record.endpoint = joiner_.endpoint();
  record.host = config_.host_name;
  const Digest host_digest = digest_of(Payload::copy(config_.host_key));
  std::memcpy(&record.host_id, host_digest.data(), sizeof(record.host_id));
  record.blob = config_.blob;
  return record;
}

bool Node::on_records(Time now, LinkId link, Child& child, wire::Records records) {
  if (topology_) return true;  // they have crossed the table: their sender has come again, and its loss is reported
  for (wire::Record& record : records.records) {
    if (raw(record.rank) >= config_.world_size || record.rank == kRootRank) return false;
    const bool again = child.recorded;
    if (record.rank == child.peer.rank) child.recorded = true;
    if (child.peer.role == wire::Role::local) {
      // What only the leader knows is filled in here; a local rank speaks for itself alone.
      if (record.rank != child.peer.rank || record.incarnation != child.peer.incarnation) return false;
      record.leader = config_.rank;
      record.position = kNoPosition;
      child.attachment = record.attachment;
      if (again) std::erase_if(held_, [&](const wire::Record& held) { return held.rank == record.rank; });
      held_.push_back(record);
    } else if (raw(record.leader) >= config_.world_size || record.leader == kRootRank ||
               record.position == tree::kRootPosition || record.position == kNoPosition) {
      return false;
    }
    if (is_root()) {
      if (child.peer.role == wire::Role::local) record.position = joiner_.position();
      register_record(link, std::move(record));
    } else if (child.peer.role != wire::Role::local || registered_with_) {
      if (pending_.size() >= config_.world_size) return false;
      pending_.push_back({std::move(record), link});
    }
  }
  if (is_root()) {
    if (registry_->complete() && !over()) commit(now);
  } else if (registered_with_ && flush_at_ > now) {
    // As soon as what is ready now has been read; with a known number of local ranks a little later, once.
    const bool all_here = config_.local_size == 0 || held_.size() + 1 >= config_.local_size || flush_was_delayed_;
    flush_at_ = all_here ? now : after(now, kCoalesce);
  }
  return true;
}

// Whether the way that a record came still stands at the root: its leader, or its leader's parent, has registered and
// has not moved since. A leader sends its own record ahead of all others, so what honest nodes send passes; what is
// left over from a place that a leader has given up does not, and is sent again from the new one. So a registered rank
// never moves, and the table shows a tree that is there.
bool Node::way_stands(const wire::Record& record) const {
  if (record.is_leader()) {
    const Position parent = tree::Shape(config_.fan_out).parent(record.position);
    const Placement::Holder* above = placement_->holder(parent);
    return above != nullptr && above->registered;
  }
  const wire::Record* leader = registry_->find(record.leader);
  if (record.leader == kRootRank) return record.position == tree::kRootPosition;
  return leader != nullptr && leader->is_leader() && leader->position == record.position &&
         (raw(leader->attachment) >> 16) == (raw(record.attachment) & 0xffff);
}

bool Node::register_record(LinkId link, wire::Record record) {
  const Rank rank = record.rank;
  const Incarnation incarnation = record.incarnation;
  if (const wire::Record* known = registry_->find(rank); known != nullptr && known->incarnation != incarnation) {
    wire::Report refusal;
    refusal.rank = rank;
    refusal.incarnation = incarnation;
    refusal.failure = second_process(Phase::registration, rank, record.host);
    note_duplicate(rank, refusal.failure, kNoLink);
    if (link != kNoLink) effects_.send(link, FrameClass::control, wire::encode(refusal, Epoch{}));
    return false;
  }
  if (rank != kRootRank) {
    if (!way_stands(record)) return false;
    if (record.is_leader()) {
      const Attachment attachment{raw(record.attachment) >> 16};
      if (placement_->stale(rank, incarnation, attachment)) return false;
      if (!placement_->claim(record.position, {rank, incarnation, record.endpoint, record.host, attachment}, true))
        return false;
    }
  }
  registry_->add(std::move(record));
  return true;
}

void Node::upstream_changed(Time now) {
  placed_ = now - started_;
  const bool again = registered_with_.has_value();
  registered_with_ = joiner_.upstream()->link;
  welcomed_ = joiner_.upstream()->local;
  unconfirmed_.clear();
  // Children of an earlier place would be lost under this one: they come back to the rendezvous by themselves. What
  // they sent before may never have arrived, so they will send it again.
  if (again) {
    std::vector<LinkId> stale;
    for (const auto& [link, child] : children_) {
      if (child.position != kNoPosition) stale.push_back(link);
    }
    for (const LinkId link : stale) {
      effects_.add(effect::CloseLink{link, true});
      forget_child(link);
    }
    pending_.clear();
    if (!is_root()) placement_.reset();
  }
  wire::Record record = own_record();
  if (joiner_.upstream()->local) record.leader = joiner_.upstream()->rank;
  pending_.insert(pending_.begin(), Pending{std::move(record), kNoLink});
  for (const wire::Record& held : held_) pending_.push_back({held, locals_.at(held.rank)});
  const bool all_here = joiner_.upstream()->local || config_.local_size == 0 || held_.size() + 1 >= config_.local_size;
  if (all_here || held_report_) {
    flush_records();
  } else {
    flush_at_ = after(now, kCoalesce);
  }
  for (const auto& [rank, failure] : duplicates_) report_duplicate(rank, failure, kNoLink);
  if (held_report_) effects_.send(*registered_with_, FrameClass::data, wire::encode(*held_report_, epoch()));
  held_report_.reset();
}

void Node::flush_records() {
  flush_at_ = kNever;
  flush_was_delayed_ = true;
  if (pending_.empty() || !joiner_.upstream()) return;
  wire::Records batch;
  std::size_t bytes = 0;
  const auto send = [&] {
    effects_.send(joiner_.upstream()->link, FrameClass::data, wire::encode(batch, Epoch{}));
    batch.records.clear();
    bytes = 0;
  };
  for (auto& [record, from] : pending_) {
    if (record.leader == config_.rank && record.rank != config_.rank && record.position == kNoPosition) {
      record.position = joiner_.position();
      record.attachment = combined(Attachment{raw(record.attachment) >> 16}, joiner_.attachment());
    }
    if (bytes + record.wire_bytes() > kMaxFrameBytes / 2 && !batch.records.empty()) send();
    bytes += record.wire_bytes();
    if (!welcomed_ && from != kNoLink && children_.at(from).position != kNoPosition)
      unconfirmed_.push_back({record, from});
    batch.records.push_back(std::move(record));
  }
  send();
  pending_.clear();
}

void Node::send_status(Time now) {
  status_at_ = after(now, config_.limits.status_interval);
  wire::Status status;
  if (is_root()) {
    status.missing = registry_->missing();
    status.missing_count = status.missing.count();
    // It counts itself only once it listens.
    if (!joiner_.unresolved().empty()) {
      status.obstacle =
          "rank 0 can't listen yet: its host's resolver does not know the name in " + joiner_.unresolved();
    }
    effects_.add(effect::Notice{effect::Notice::Level::info,
                                "waiting for " + std::to_string(status.missing_count) + " of " +
                                    std::to_string(config_.world_size) + ": " + status.missing.to_string(),
                                true});
  } else {
    // With a parent, the news comes from above.
    if (joiner_.upstream() || joiner_.obstacle().empty()) return;
    if (joiner_.root_is_obstacle()) status.missing = RankSet::single(kRootRank);
    status.missing_count = status.missing.count();
    status.obstacle = joiner_.obstacle();
  }
  send_down(FrameClass::control, wire::encode(status, Epoch{}));
}

void Node::commit(Time now) {
  table_begun_ = now - started_;
  wire::Table::Facts facts{config_.fan_out, 0, Epoch{1, 1}, job_, config_.lazy_table};
  const tree::Shape shape(config_.fan_out);
  for (const wire::Record& record : registry_->records()) {
    if (record.is_leader()) facts.depth = std::max(facts.depth, shape.depth(record.position));
  }
  auto table = wire::Table::build(registry_->records(), facts);
  send_table(*table, table->digest(), Below::all);
  form(now, std::move(table));
}

void Node::send_table(const wire::Table& table, const Digest& digest, Below below) {
  wire::TableChunk head;
  head.digest = digest;
  head.total = table.total_bytes();
  const bool encloses = encloses_table(head.total);
  if (!encloses || below == Below::all) {
    for (; head.offset < head.total; head.offset += table.chunk_bytes()) {
      send_down(FrameClass::data, wire::encode(head, table.epoch(), table.chunk(head.offset)), kNoLink,
                encloses ? Below::hosts : below);
    }
  }
  if (!encloses) return;
  head.offset = 0;
  const Payload frame = wire::encode(head, table.epoch(), {}, wire::kEnclosesFlag);
  const auto whole = std::make_shared<const Payload>(table.bytes());
  for (const auto& [rank, link] : locals_) {
    const Child& child = children_.at(link);
    if (child.attached && !child.left) effects_.send_enclosing(link, frame, whole);
  }
}

bool Node::on_table_chunk(Time now, LinkId link, const wire::Frame& frame) {
  const auto chunk = wire::decode_with_tail<wire::TableChunk>(frame.body);
  if (!chunk || topology_ || !joiner_.upstream() || joiner_.upstream()->link != link) return false;
  // Hosts below get every chunk as it comes, so that the levels of the tree work side by side. A rank of this host
  // passes nothing on, and would wake up for each: it gets the table in one go, unless it is large and memory can't be
  // shared.
  if (table_begun_ == Duration{}) table_begun_ = now - started_;
  const bool locals_wait = chunk->message.total <= kTableAtOnceBytes || encloses_table(chunk->message.total);
  const auto result = table_receiver_.add(chunk->message, chunk->tail, frame.encloses);
  if (result == TableReceiver::Result::broken) return false;
  send_down(FrameClass::data, wire::encode(chunk->message, frame.epoch, chunk->tail), link,
            locals_wait ? Below::hosts : Below::all);
  if (result == TableReceiver::Result::more) return true;
  auto table = table_receiver_.take();
  if (table->epoch() != frame.epoch) return false;
  if (locals_wait) send_table(*table, chunk->message.digest, Below::locals);
  form(now, std::move(table));
  return true;
}

void Node::form(Time now, std::shared_ptr<const wire::Table> table) {
  formed_ = now - started_;
  duplicates_.clear();
  root_lost_.reset();
  Neighbour parent;
  if (const auto& upstream = joiner_.upstream()) {
    parent.link = upstream->link;
    parent.rank = upstream->rank;
    if (!upstream->local) parent.position = tree::Shape(table->fan_out()).parent(joiner_.position());
  }
  std::vector<Neighbour> neighbours;
  std::vector<LinkId> others;
  for (auto& [link, child] : children_) {
    const bool in_table =
        child.attached && child.recorded && table->incarnation(child.peer.rank) == child.peer.incarnation;
    if (in_table) {
      const bool local = child.peer.role == wire::Role::local;
      neighbours.push_back(
          Neighbour{link, child.peer.rank, child.position, local ? config_.enclose_bytes() : UINT64_MAX});
    } else {
      others.push_back(link);
    }
  }
  for (const LinkId link : others) {
    effects_.add(effect::CloseLink{link, false});
    children_.erase(link);
  }
  tree_links_peak_ = static_cast<std::uint64_t>(std::ranges::count_if(
                         neighbours, [](const Neighbour& n) { return n.position != kNoPosition; })) +
                     (parent.position != kNoPosition ? 1 : 0);
  pending_ = unconfirmed_ = {};
  held_ = {};
  placement_.reset();
  flush_at_ = status_at_ = start_deadline_ = kNever;
  topology_.emplace(config_.rank, table, parent, std::move(neighbours));
  operations_.emplace(config_, *topology_, link_ids_, effects_);
  to_acknowledge_ += 1;
  acknowledge_at_ = is_root() ? kNever : after(now, config_.limits.acknowledge_delay);
  effects_.add(effect::Formed{std::move(table)});
}

void Node::acknowledge() {
  if (to_acknowledge_ == 0) return;
  acknowledge_at_ = kNever;
  const std::uint32_t ranks = std::exchange(to_acknowledge_, 0);
  if (is_root()) {
    acknowledged_ += ranks;
  } else if (joiner_.upstream()) {
    effects_.send(joiner_.upstream()->link, FrameClass::control, wire::encode(wire::Acknowledge{ranks}, epoch()));
  }
}

}  // namespace banyan::node
