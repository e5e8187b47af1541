#include "node/direct_links.hh"

#include <span>

#include <fmt/format.h>

#include "security/mac.hh"
#include "tree/position.hh"

namespace banyan::node {

namespace {

constexpr const char* kBrokeTheProtocol = "the last link broke the protocol";

}  // namespace

DirectLinks::DirectLinks(const Config& config, const Topology& topology, LinkIds& link_ids, Effects& effects,
                         const Traffic& traffic)
    : config_(config), topology_(topology), link_ids_(link_ids), effects_(effects), traffic_(traffic) {
  // A leader listens for its children already, whatever the table says. Rank 0 never needs to: see connects_to().
  const bool leads = !topology.is_root() && topology.parent().position != kNoPosition;
  if (leads) tcp_ = {Door::State::open, topology.table().leader_endpoint(topology.self()), {}};
}

// --- who and where -------------------------------------------------------------------------------------------------

bool DirectLinks::may_have(Rank peer) const {
  return raw(peer) < topology_.world_size() && topology_.lies_behind_others(peer);
}

bool DirectLinks::shares_host_with(Rank peer) const {
  return topology_.table().leader(peer) == topology_.table().leader(topology_.self());
}

// The lower rank connects, but one on rank 0's host always does: that host may be known by its rendezvous alone, which
// tells nobody how to reach its other ranks.
bool DirectLinks::connects_to(Rank peer) const {
  const wire::Table& table = topology_.table();
  const bool self_at_root = table.position(topology_.self()) == tree::kRootPosition;
  const bool peer_at_root = table.position(peer) == tree::kRootPosition;
  return self_at_root != peer_at_root ? self_at_root : topology_.self() < peer;
}

std::string DirectLinks::name_of(Rank rank) const {
  const wire::Table& table = topology_.table();
  const Incarnation incarnation = table.incarnation(rank);
  return security::hidden_name(
      as_byte_span(config_.secret), "banyan direct name",
      {table.job().bytes, std::as_bytes(std::span(&rank, 1)), std::as_bytes(std::span(&incarnation, 1))});
}

LinkId DirectLinks::link_to(Rank peer) const {
  if (by_use_.empty()) return kNoLink;
  const auto at = peers_.find(peer);
  return at != peers_.end() && at->second.state == State::open ? at->second.link : kNoLink;
}

Rank DirectLinks::peer_of(LinkId link) const {
  const auto at = peers_of_links_.find(link);
  return at != peers_of_links_.end() && peers_.at(at->second).state == State::open ? at->second : kNoRank;
}

// --- making them ---------------------------------------------------------------------------------------------------

void DirectLinks::count(Time now, Rank peer, std::uint64_t bytes) {
  if (closed_ || config_.limits.direct_links == 0 || !may_have(peer)) return;
  Peer& state = peers_[peer];
  if (state.state == State::open) return touch(peer, state);
  if (state.state != State::idle) return;
  if (state.count == 0 || after(state.since, config_.limits.direct_window) < now) {
    state.since = now;
    state.count = 0;
  }
  if (++state.count >= config_.limits.direct_messages || bytes >= config_.limits.direct_bytes) begin(now, peer, state);
}

void DirectLinks::seek(Time now, Rank peer) {
  if (closed_ || !may_have(peer)) return;
  Peer& state = peers_[peer];
  if (state.distrusted) return news_.push_back({News::Kind::failed, peer, kNoLink, kBrokeTheProtocol});
  if (state.state == State::idle || state.state == State::resting) begin(now, peer, state);
}

void DirectLinks::begin(Time now, Rank peer, Peer& state) {
  if (!make_room()) return rest(now, peer, state, no_room());
  if (!connects_to(peer)) return offer(now, peer, state);
  say(peer, wire::Direct::Word::ask);
  set(peer, state, State::asked, after(now, config_.limits.direct_patience));
}

std::string DirectLinks::no_room() const {
  const std::uint32_t most = config_.limits.direct_links;
  const std::string who = fmt::format("rank {}", raw(topology_.self()));
  return most == 0 ? who + " makes no direct links (BANYAN_DIRECT_LINKS is 0)"
                   : fmt::format("{} has {} direct links, all in use (BANYAN_DIRECT_LINKS)", who, most);
}

bool DirectLinks::make_room() {
  if (by_use_.size() + coming_ < config_.limits.direct_links) return true;
  for (const auto& [use, rank] : by_use_) {
    Peer& state = peers_.at(rank);
    if (state.next || traffic_.in_use(rank)) continue;
    end_link(rank, state, false);
    return true;
  }
  return false;
}

void DirectLinks::offer(Time now, Rank peer, Peer& state) {
  const Time until = after(now, config_.limits.direct_patience);
  const Listener listener = listener_for(peer);
  const Door& here = door(listener);
  if (here.state == Door::State::open) {
    say(peer, wire::Direct::Word::offer, here.endpoint);
    return set(peer, state, State::offered, until);
  }
  if (here.state == Door::State::shut && now < here.shut_until) {
    const std::string why = fmt::format("rank {} can't listen", raw(topology_.self()));
    say(peer, wire::Direct::Word::decline, {}, why);
    return rest(now, peer, state, why);
  }
  set(peer, state, State::listening, until);
  open_door(listener);
}

void DirectLinks::open_door(Listener listener) {
  if (std::exchange(door(listener).state, Door::State::opening) == Door::State::opening) return;
  if (listener == Listener::direct) {
    effects_.add(effect::Listen{listener, {}, name_of(topology_.self())});
  } else {
    Endpoint at = topology_.table().leader_endpoint(topology_.self());
    at.port = 0;
    effects_.add(effect::Listen{listener, at, {}});
  }
}

void DirectLinks::on_listening(Time now, Listener listener, const Endpoint& endpoint) {
  door(listener) = {Door::State::open, listener == Listener::direct ? Endpoint{} : endpoint, {}};
  for (auto& [peer, state] : peers_) {
    if (state.state == State::listening && listener_for(peer) == listener) offer(now, peer, state);
  }
}

void DirectLinks::on_listen_failed(Time now, Listener listener, const std::string& reason) {
  door(listener) = {Door::State::shut, {}, after(now, config_.limits.direct_rest)};
  for (auto& [peer, state] : peers_) {
    if (state.state != State::listening || listener_for(peer) != listener) continue;
    const std::string why = fmt::format("rank {} can't listen: {}", raw(topology_.self()), reason);
    say(peer, wire::Direct::Word::decline, {}, why);
    rest(now, peer, state, why);
  }
}

void DirectLinks::connect(Time now, Rank peer, Peer& state, const Endpoint& endpoint) {
  effect::OpenLink open;
  open.role = wire::Role::direct;
  open.to = peer;
  open.connect.link = link_ids_.allot();
  if (endpoint.known()) {
    open.connect.target = Target::endpoint;
    open.connect.endpoint = endpoint;
  } else {
    open.connect.target = Target::local;
    open.connect.name = name_of(peer);
  }
  state.link = open.connect.link;
  peers_of_links_.emplace(state.link, peer);
  set(peer, state, State::connecting, after(now, config_.limits.direct_patience));
  effects_.add(std::move(open));
}

// --- what the other side says --------------------------------------------------------------------------------------

void DirectLinks::on_word(Time now, const wire::Direct& direct) {
  using enum wire::Direct::Word;
  const Rank peer = direct.ends.source;
  if (direct.word == decline) return on_decline(now, peer, direct.reason);
  // Whose turn it is to say this is known to both.
  if (!may_have(peer) || connects_to(peer) != (direct.word == offer)) return;
  if (closed_) return say(peer, decline, {}, kHasLeft);
  Peer& state = peers_[peer];
  // What is on its way answers this, too: words keep their order, and a decline would have come first. But an offer may
  // have been used up by a link that broke before this side had let it in.
  const bool used_up = state.state == State::offered && direct.links > state.opened;
  if (is_coming(state.state) && state.state != State::asked && !used_up) return;
  if (state.state == State::open) {
    // Said before this link was open; or else the other side has it no more.
    if (direct.links < state.opened) return;
    state.next = direct;
    return set(peer, state, State::open, after(now, config_.limits.direct_patience));
  }
  if (state.distrusted) return say(peer, decline, {}, kBrokeTheProtocol);
  if (!is_coming(state.state) && !make_room()) return say(peer, decline, {}, no_room());
  if (direct.word == ask) return this->offer(now, peer, state);
  // The side that listens counts those that it has let in; this one may have seen more.
  state.opened = direct.links;
  if (may_be_at(peer, direct.endpoint)) return connect(now, peer, state, direct.endpoint);
  say(peer, decline, {}, "the offer names another address than its host's");
  rest(now, peer, state, "its offer names another address than its host's");
}

// At its Unix name, or at any port of its host: no member of the job sends another one elsewhere.
bool DirectLinks::may_be_at(Rank peer, const Endpoint& endpoint) const {
  if (shares_host_with(peer)) return !endpoint.known();
  const Endpoint host = topology_.table().leader_endpoint(peer);
  return endpoint.known() && endpoint.family == host.family && endpoint.address == host.address;
}

void DirectLinks::on_decline(Time now, Rank peer, const std::string& reason) {
  const auto at = peers_.find(peer);
  if (at == peers_.end() || !is_coming(at->second.state)) return;
  if (at->second.state == State::connecting) drop_link(at->second);
  rest(now, peer, at->second, reason);
}

void DirectLinks::on_authenticated(LinkId link) {
  const Rank peer = peers_of_links_.at(link);
  opened(peer, peers_.at(peer), link);
}

bool DirectLinks::on_accepted(LinkId link, Rank peer) {
  const auto at = peers_.find(peer);
  if (closed_ || at == peers_.end() || at->second.state != State::offered) return false;
  peers_of_links_.emplace(link, peer);
  opened(peer, at->second, link);
  return true;
}

void DirectLinks::opened(Rank peer, Peer& state, LinkId link) {
  set(peer, state, State::open, kNever);
  state.link = link;
  ++state.opened;
  touch(peer, state);
  ++opened_;
  news_.push_back({News::Kind::opened, peer, link, {}});
}

void DirectLinks::touch(Rank peer, Peer& state) {
  if (!by_use_.empty() && by_use_.rbegin()->second == peer) return;
  by_use_.erase(state.used);
  state.used = ++last_use_;
  by_use_.emplace(state.used, peer);
}

// --- their end -----------------------------------------------------------------------------------------------------

void DirectLinks::on_link_failed(Time now, LinkId link, const std::string& reason, bool at_fault, bool refused) {
  const Rank peer = peers_of_links_.at(link);
  Peer& state = peers_.at(peer);
  if (state.state == State::connecting) {
    peers_of_links_.erase(std::exchange(state.link, kNoLink));
    say(peer, wire::Direct::Word::decline, {}, fmt::format("rank {} can't connect: {}", raw(topology_.self()), reason));
    return rest(now, peer, state, reason);
  }
  ++broken_;
  const auto next = std::exchange(state.next, std::nullopt);
  forget_link(peer, state);
  // It never was one to the other side, which had given up waiting.
  if (refused) --state.opened;
  if (at_fault || refused) {
    rest(now, peer, state, reason);
    state.distrusted = at_fault;
  } else if (next) {
    on_word(now, *next);
  }
}

// It is closed here: what the other side has sent and this one not read is sent again by routes.
void DirectLinks::end_link(Rank peer, Peer& state, bool abandon) {
  effects_.add(effect::CloseLink{state.link, abandon});
  forget_link(peer, state);
}

void DirectLinks::forget_link(Rank peer, Peer& state) {
  by_use_.erase(state.used);
  peers_of_links_.erase(state.link);
  news_.push_back({News::Kind::closed, peer, std::exchange(state.link, kNoLink), {}});
  state.used = 0;
  state.count = 0;
  state.next.reset();
  set(peer, state, State::idle, kNever);
}

void DirectLinks::drop_link(Peer& state) {
  effects_.add(effect::CloseLink{state.link, true});
  peers_of_links_.erase(std::exchange(state.link, kNoLink));
}

void DirectLinks::on_time(Time now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const Rank peer = deadlines_.begin()->second;
    Peer& state = peers_.at(peer);
    if (state.state == State::resting) {
      state.count = 0;
      state.distrusted = false;
      set(peer, state, State::idle, kNever);
      continue;
    }
    if (state.state == State::open) {
      const auto next = std::exchange(state.next, std::nullopt);
      ++broken_;
      end_link(peer, state, true);
      on_word(now, *next);
      continue;
    }
    const std::string why = "there was no answer within " + seconds_text(config_.limits.direct_patience);
    if (state.state == State::connecting) drop_link(state);
    say(peer, wire::Direct::Word::decline, {}, why);
    rest(now, peer, state, why);
  }
}

void DirectLinks::rest(Time now, Rank peer, Peer& state, const std::string& reason) {
  set(peer, state, State::resting, after(now, config_.limits.direct_rest));
  news_.push_back({News::Kind::failed, peer, kNoLink, reason});
}

void DirectLinks::set(Rank peer, Peer& state, State to, Time until) {
  if (is_coming(state.state)) --coming_;
  if (is_coming(to)) ++coming_;
  deadlines_.erase({state.until, peer});
  state.state = to;
  state.until = until;
  if (until != kNever) deadlines_.emplace(until, peer);
}

void DirectLinks::close() {
  closed_ = true;
  for (const auto& [link, peer] : peers_of_links_) {
    effects_.add(effect::CloseLink{link, peers_.at(peer).state != State::open});
  }
  peers_of_links_.clear();
  peers_.clear();
  by_use_.clear();
  deadlines_.clear();
  news_.clear();
  coming_ = 0;
}

void DirectLinks::say(Rank peer, wire::Direct::Word word, const Endpoint& endpoint, const std::string& reason) {
  const LinkId hop = topology_.next_hop(peer);
  if (hop == kNoLink) return;
  const wire::Direct direct{topology_.ends_to(peer), word, peers_[peer].opened, endpoint, reason};
  // Not before what is on its way: the peer, or one between, may have yet to get its table.
  effects_.send(hop, FrameClass::data, wire::encode(direct, topology_.epoch()));
}

}  // namespace banyan::node
