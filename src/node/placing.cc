// Who asks for a place in the tree, and what the answer is: at the root, and at a listed host that others ask.
#include <utility>

#include "node/node.hh"

namespace banyan::node {

void Node::keep_places(Position own) {
  placement_.emplace(config_.shares(), own, config_.rank, config_.host_name, config_.world_size, config_.limits.lease);
}

// Whether others ask this host, which is listed and stands where the list says.
bool Node::others_ask_here() const {
  const Position own = joiner_.position();
  const tree::Shares shares = config_.shares();
  return !config_.hosts.empty() && own == Position{config_.host_index} && shares.listed(own) && shares.allots(own);
}

// A leader that has registered asks for a place: it has lost its parent since. Whoever broke what is mostly known in a
// moment, and is then the verdict.
void Node::lost_its_parent(Time now, const Placement::Holder& leader, const wire::Join& join) {
  if (grace_) return;
  const Rank parent = raw(join.unreachable) < config_.world_size ? join.unreachable : leader.rank;
  const std::string host = host_of(parent, join.host);
  grace_ =
      Grace{after(now, config_.limits.verdict_grace),
            lost_failure(parent, host, rank_text(leader.rank) + " on " + join.host + " has lost its connection to it")};
}

bool Node::place(Time now, LinkId link, Child& child, const wire::Join& join) {
  if (join.position != kNoPosition || child.asked) return false;
  child.asked = true;
  const Placement::Holder leader{child.peer.rank, child.peer.incarnation, join.endpoint, join.host, join.attachment};
  if (is_root()) {
    const wire::Record* known = registry_->find(leader.rank);
    if (known != nullptr && known->incarnation != leader.incarnation) {
      refuse_duplicate(link, second_process(Phase::join, leader.rank, join.host));
    } else if (known != nullptr) {
      lost_its_parent(now, leader, join);
    } else {
      answer(now, link, child, join, leader);
    }
  } else if (others_ask_here() && join.unreachable == kNoRank) {
    if (!placement_) {
      keep_places(joiner_.position());
      for (const auto& [other, known] : children_) {
        if (known.position != kNoPosition)
          placement_->claim(known.position, {known.peer.rank, known.peer.incarnation, {}, known.host, {}}, false);
      }
    }
    answer(now, link, child, join, leader);
  } else {
    turn_away(link, leader, rank_text(config_.rank) + " on " + config_.host_name + " has no place for it; rank 0 has");
  }
  return true;
}

void Node::turn_away(LinkId link, const Placement::Holder& leader, std::string text) {
  refuse(link,
         Failure{FailureCode::unreachable, Phase::join, RankSet::single(leader.rank), leader.host, std::move(text)});
}

// With a place: here, or below another leader.
void Node::answer(Time now, LinkId link, Child& child, const wire::Join& join, const Placement::Holder& leader) {
  if (join.unreachable != kNoRank && complained_.insert(leader.rank).second) {
    effects_.add(effect::Notice{
        effect::Notice::Level::warning,
        rank_text(leader.rank) + " on " + join.host + " can't reach its parent" +
            (raw(join.unreachable) < config_.world_size ? ", " + rank_text(join.unreachable) : std::string()) + " (" +
            banyan::to_string(join.reason) + "); it gets another",
        false});
  }
  const auto place = placement_->allot(now, leader, join.unreachable);
  if (!place) {
    return turn_away(link, leader, rank_text(leader.rank) + " on " + join.host + " can reach no parent that has room");
  }
  if (place->parent == joiner_.position()) {
    wire::Join accepted = join;
    accepted.position = place->position;
    return adopt(link, child, accepted);
  }
  wire::Placement answer;
  answer.position = place->position;
  answer.fan_out = config_.fan_out;
  answer.parent = kLeaderRank;
  if (const Placement::Holder* parent = placement_->holder(place->parent)) {
    answer.parent = parent->rank;
    answer.host = parent->host;
    answer.endpoint = parent->endpoint;
    // A leader beside this one was seen over loopback; from elsewhere it stands where this one stands.
    if (answer.endpoint.loopback() && child.local.known() && !child.local.loopback()) {
      answer.endpoint.family = child.local.family;
      answer.endpoint.address = child.local.address;
    }
  }
  effects_.send(link, FrameClass::control, wire::encode(answer, Epoch{}));
}

}  // namespace banyan::node
