#include "node/joiner.hh"

#include <utility>

#include "base/canary.hh"
#include "security/mac.hh"
#include "wire/frame.hh"

namespace banyan::node {
namespace {

// Rounds in which the host's name could be neither reached nor claimed before the rank goes on without it: it is then
// held by somebody else, and TCP needs nobody's leave.
constexpr std::uint32_t kLocalRefusals = 24;

bool ends_the_search(FailureCode code) {
  using enum FailureCode;
  return code == wrong_world_size || code == duplicate_rank || code == wrong_version || code == wrong_job ||
         code == wrong_secret;
}

// A position that a leader other than the root can have.
bool is_place(Position position) { return position != tree::kRootPosition && position != kNoPosition; }

bool loopback_text(const std::string& host) {
  return host.starts_with("127.") || host.starts_with("localhost") || host.starts_with("[::1]") ||
         host.starts_with("::1");
}

std::string rank_on_host(Rank rank, const std::string& host) {
  if (rank == kLeaderRank || rank == kNoRank) return "the leader of " + (host.empty() ? "its host" : host);
  return "rank " + std::to_string(raw(rank)) + (host.empty() ? "" : " on " + host);
}

}  // namespace

std::string local_name(const Config& config) {
  // A job without an id is told apart from others on this host by its rendezvous.
  const std::string& place = config.job.known() ? config.host_key : config.host_key + " " + config.rendezvous;
  return security::hidden_name(as_byte_span(config.secret), "banyan local name",
                               {config.job.bytes, std::as_bytes(std::span(&config.uid, 1)), as_byte_span(place)});
}

Joiner::Joiner(const Config& config, LinkIds& link_ids, Effects& effects, Random& random)
    : config_(config),
      link_ids_(link_ids),
      effects_(effects),
      random_(random),
      local_name_(config.use_local_links ? local_name(config) : std::string()),
      backoff_(config.limits.retry_first, config.limits.retry_greatest),
      reply_timeout_(config.limits.handshake_reply_timeout),
      state_(Idle{}),
      asked_(config.shares().asks(config.host_index)),
      fan_out_(config.fan_out) {}

void Joiner::start(Time now) {
  if (config_.rank != kRootRank) {
    if (config_.use_local_links) {
      // Numbers mostly stand in a row. Where they don't, at least one rank of a host without rank 0 has one that is not
      // below, and leads at once; so only rank 0's host can wait.
      if (!computed() && raw(config_.rank) < config_.local_size)
        root_comes_until_ = after(now, config_.limits.root_head_start);
      connect(now, Step::local);
    } else {
      lead(now);
    }
    return;
  }
  position_ = tree::kRootPosition;
  if (config_.world_size == 1) return;
  // The root leads its host if it comes first; otherwise the leader becomes its child.
  if (config_.use_local_links) effects_.add(effect::Listen{Listener::local, {}, local_name_});
  effects_.add(effect::Listen{Listener::rendezvous, {}, {}});
  unresolved_ = config_.rendezvous;
}

void Joiner::take(Time now, Step step) {
  backoff_.reset();
  reply_timeout_ = config_.limits.handshake_reply_timeout;
  connect(now, step);
}

void Joiner::connect(Time now, Step step) {
  effect::OpenLink open;
  open.connect.link = link_ids_.allot();
  switch (step) {
    case Step::local:
      open.connect.target = Target::local;
      open.connect.name = local_name_;
      open.role = wire::Role::local;
      open.to = kLeaderRank;
      break;
    case Step::rendezvous:
      open.connect.target = asks_root() ? Target::rendezvous : Target::host;
      open.connect.host_index = raw(asked_);
      open.role = wire::Role::joiner;
      open.to = asks_root() ? kRootRank : kLeaderRank;
      break;
    case Step::parent:
      open.connect.target = placement_.endpoint.known() ? Target::endpoint : Target::host;
      open.connect.endpoint = placement_.endpoint;
      open.connect.host_index = raw(tree::Shape(fan_out_).parent(position_));
      open.role = wire::Role::child;
      open.to = placement_.parent;
      break;
  }
  state_ = Connect{open.connect.link, step, after(now, reply_timeout_)};
  effects_.add(std::move(open));
}

void Joiner::retry(Time now, Step step) { state_ = Wait{after(now, backoff_.next(random_)), step}; }

void Joiner::lead(Time now) {
  if (!computed()) {
    if (!asks_root()) patience_ = after(now, config_.limits.computed_patience);
    return take(now, Step::rendezvous);
  }
  position_ = Position{config_.host_index};
  const Position parent = tree::Shape(fan_out_).parent(position_);
  placement_ = wire::Placement{};
  placement_.parent = parent == tree::kRootPosition ? kRootRank : kLeaderRank;
  placement_.host = config_.hosts[raw(parent)];
  patience_ = after(now, config_.limits.computed_patience);
  if (!listening_) {
    state_ = Idle{};
    unresolved_ = config_.hosts[config_.host_index];
    obstacle_ = "the resolver of " + config_.host_name + " does not know the name in " + unresolved_;
    root_is_obstacle_ = false;
    effects_.add(effect::Listen{Listener::network, {}, unresolved_});
    return;  // goes on in on_listening
  }
  take(now, Step::parent);
}

void Joiner::on_connected(LinkId link, const Endpoint& local) {
  const auto* state = std::get_if<Connect>(&state_);
  if (state == nullptr || state->link != link) return;
  // Children can connect to where this host was seen from the rendezvous.
  if (state->step == Step::rendezvous && !listening_) listen_for_children(local);
}

void Joiner::listen_for_children(const Endpoint& local) {
  Endpoint at = local;
  at.port = 0;
  endpoint_ = local;
  // Seen over loopback by a host that others reach by a name: other hosts must get in too, so all addresses are bound,
  // and it replaces the loopback address by its own when it tells others.
  if (local.loopback() && !loopback_text(asked_address())) at.address = {};
  effects_.add(effect::Listen{Listener::network, at, {}});
}

void Joiner::on_listening(Time now, Listener listener, const Endpoint& endpoint) {
  if (listener != Listener::local && !unresolved_.empty()) {
    unresolved_.clear();
    obstacle_.clear();
  }
  switch (listener) {
    case Listener::rendezvous: endpoint_ = endpoint; break;
    case Listener::direct: break;  // never while it joins
    case Listener::local:
      if (std::holds_alternative<ClaimName>(state_)) lead(now);
      break;
    case Listener::network:
      listening_ = true;
      if (endpoint.wildcard()) {
        endpoint_.port = endpoint.port;
      } else {
        endpoint_ = endpoint;
      }
      if (computed() && std::holds_alternative<Idle>(state_)) return take(now, Step::parent);
      ask_if_ready(now);
      break;
  }
}

void Joiner::on_listen_failed(Time now, Listener listener, const std::string& reason) {
  if (listener == Listener::local) {
    if (config_.rank != kRootRank)
      local_failed(now, Failure{FailureCode::address_in_use, Phase::join, {}, {}, reason}, false);
    return;
  }
  unresolved_.clear();
  std::string text = listener == Listener::rendezvous
                         ? "can't listen at the rendezvous " + config_.rendezvous + ": " + reason +
                               "; choose another port, or an address of this host"
                         : "can't listen for other hosts: " + reason + "; check BANYAN_INTERFACE and BANYAN_PORT_RANGE";
  fatal_ = Failure{FailureCode::address_in_use, Phase::setup, RankSet::single(config_.rank), config_.host_name,
                   std::move(text)};
}

void Joiner::on_authenticated(Time now, LinkId link, const session::Peer& peer) {
  auto* state = std::get_if<Connect>(&state_);
  if (state == nullptr || state->link != link) return;
  if (peer.job.known()) adopted_job_ = peer.job;
  switch (state->step) {
    case Step::local:
      // Another process of this rank leads the host, and is about to say what it thinks of this one.
      if (peer.rank == config_.rank) return;
      return attach(link, peer, true);
    case Step::rendezvous: state->peer = peer.rank; return ask_if_ready(now);
    case Step::parent: {
      attachment_ = banyan::next(attachment_);
      wire::Join join = join_message();
      join.position = position_;
      effects_.send(link, FrameClass::control, wire::encode(join, Epoch{}));
      return attach(link, peer, false);
    }
  }
}

void Joiner::attach(LinkId link, const session::Peer& peer, bool local) {
  if (local) attachment_ = banyan::next(attachment_);
  state_ = Attached{link};
  upstream_ = Upstream{link, peer.rank, local ? config_.host_name : placement_.host, local};
  obstacle_.clear();
}

wire::Join Joiner::join_message() const {
  wire::Join join;
  join.attachment = attachment_;
  join.endpoint = endpoint_;
  join.host = config_.host_name;
  if (unreachable_ != kNoRank) {
    join.unreachable = unreachable_;
    join.reason = unreachable_reason_;
  }
  return join;
}

void Joiner::ask_if_ready(Time now) {
  auto* state = std::get_if<Connect>(&state_);
  if (state == nullptr || state->step != Step::rendezvous || state->peer == kNoRank || !listening_ || state->asked)
    return;
  state->asked = true;
  state->give_up = after(now, config_.limits.handshake_timeout);
  attachment_ = banyan::next(attachment_);
  effects_.send(state->link, FrameClass::control, wire::encode(join_message(), Epoch{}));
}

bool Joiner::on_placement(Time now, LinkId link, const wire::Placement& placement) {
  auto* state = std::get_if<Connect>(&state_);
  if (state == nullptr || state->link != link || !state->asked || !is_place(placement.position)) return false;
  effects_.add(effect::CloseLink{link, false});
  if (++placements_ > config_.limits.placements) {
    RankSet concerned = RankSet::single(raw(unreachable_) < config_.world_size ? unreachable_ : config_.rank);
    fatal_ = Failure{FailureCode::unreachable, Phase::join, std::move(concerned), placement_.host,
                     "none of the " + std::to_string(config_.limits.placements) +
                         " parents that the rendezvous named could be reached, the last was " +
                         rank_on_host(unreachable_, placement_.host) + " (" + obstacle_ +
                         "); check firewalls between the hosts, BANYAN_INTERFACE and BANYAN_PORT_RANGE"};
    return true;
  }
  placement_ = placement;
  position_ = placement.position;
  fan_out_ = placement.fan_out;
  unreachable_ = kNoRank;
  root_is_obstacle_ = false;
  patience_ = after(now, config_.limits.parent_patience);
  take(now, Step::parent);
  return true;
}

bool Joiner::on_welcome(LinkId link, const wire::Welcome& welcome) {
  if (auto* state = std::get_if<Connect>(&state_); state != nullptr && state->link == link && state->asked) {
    const bool below_it = is_place(welcome.position) && tree::Shape(welcome.fan_out).parent(welcome.position) == asked_;
    if (!below_it) return false;
    position_ = welcome.position;
    fan_out_ = welcome.fan_out;
    unreachable_ = kNoRank;
    placement_.host = welcome.host;
    if (!computed()) placement_.parent = state->peer;
    attach(link, session::Peer{wire::Role::child, state->peer, {}, {}}, false);
    return true;
  }
  // A parent confirms what the child knew already.
  if (!upstream_ || upstream_->link != link || upstream_->local || welcome.position != position_) return false;
  upstream_->host = welcome.host;
  if (welcome.fan_out != fan_out_) {
    fatal_ =
        Failure{FailureCode::misuse, Phase::join, RankSet::single(config_.rank), config_.host_name,
                "this rank was started with a fan-out of " + std::to_string(fan_out_) + ", its parent with " +
                    std::to_string(welcome.fan_out) + "; with BANYAN_HOSTS all ranks need the same BANYAN_FAN_OUT"};
  }
  return true;
}

bool Joiner::seeks_root() const {
  const auto* state = std::get_if<Connect>(&state_);
  return state != nullptr && leads_to_root(state->step);
}

// A process that begins its next job with the same id and rendezvous may still find the last one, whose other ranks
// have yet to close. They need no longer than close_timeout for that; after it the rank is what it looks like, a
// duplicate.
bool Joiner::awaits_end_of_last_job(Time now, Step step, const Failure& failure) {
  const bool formed = failure.code == FailureCode::duplicate_rank || failure.code == FailureCode::closed;
  // With a list of hosts there is no other address for this rank than the one that its last try may still hold.
  const bool holds_our_address = computed() && step != Step::local && failure.code == FailureCode::closed;
  if (!formed || (failure.phase != Phase::running && !holds_our_address)) return false;
  if (last_job_until_ == kNever) last_job_until_ = after(now, config_.close_timeout);
  if (last_job_until_ <= now) return false;
  obstacle_ = failure.text;
  root_is_obstacle_ = leads_to_root(step);
  if (computed() || !asks_root()) patience_ = after(now, config_.limits.computed_patience);
  const auto most = static_cast<std::uint64_t>(config_.limits.retry_greatest.count());
  state_ = Wait{after(now, Duration(static_cast<Duration::rep>(random_.between(most / 2, most)))), step};
  return true;
}

void Joiner::on_link_failed(Time now, LinkId link, const Failure& failure, bool rejected_by_peer) {
  if (upstream_ && upstream_->link == link) return lost_upstream(now, failure, rejected_by_peer);
  const auto* state = std::get_if<Connect>(&state_);
  if (state == nullptr || state->link != link) return;
  adopted_job_ = {};
  if (rejected_by_peer && awaits_end_of_last_job(now, state->step, failure)) return;
  switch (state->step) {
    case Step::local: return local_failed(now, failure, rejected_by_peer);
    case Step::rendezvous:
      return asks_root() ? rendezvous_failed(now, failure, rejected_by_peer)
                         : listed_failed(now, failure, rejected_by_peer);
    case Step::parent: break;
  }
  // A computed parent that is rank 0 stands at the rendezvous, and says what it would say there.
  if (root_is_parent() && ends_the_search(failure.code)) return rendezvous_failed(now, failure, rejected_by_peer);
  // Told by one who has proved to be of this job: everybody will say the same, as long as somebody is there.
  if (failure.code == FailureCode::wrong_world_size) {
    fatal_ = failure;
    return;
  }
  parent_failed(now, failure, false);
}

void Joiner::local_failed(Time now, const Failure& failure, bool rejected_by_peer) {
  obstacle_ = "the leader of this host does not answer: " + failure.text;
  root_is_obstacle_ = false;
  // The name is secret: whoever holds it and does not know the job's secret is a squatter, not a part of the job.
  const bool squatter = failure.code == FailureCode::wrong_secret || failure.code == FailureCode::wrong_job;
  const bool proven = rejected_by_peer || failure.code == FailureCode::wrong_world_size;
  if (proven && ends_the_search(failure.code) && !squatter) {
    fatal_ = failure;
    return;
  }
  if (!squatter && now < root_comes_until_) return retry(now, Step::local);
  if (failure.code == FailureCode::timed_out) local_refusals_ += kLocalRefusals / 4;  // silence costs seconds
  if (squatter || ++local_refusals_ >= kLocalRefusals) {
    effects_.add(effect::Notice{
        effect::Notice::Level::warning,
        "the Unix name of this job's leader is held by somebody else or does not answer; going on over TCP", false});
    return lead(now);
  }
  if (std::holds_alternative<ClaimName>(state_)) {
    // Somebody else was faster, and mostly listens by now.
    return local_refusals_ <= 2 ? connect(now, Step::local) : retry(now, Step::local);
  }
  if (failure.code == FailureCode::timed_out) return retry(now, Step::local);
  state_ = ClaimName{};
  effects_.add(effect::Listen{Listener::local, {}, local_name_});
}

// Of a listed host that is not the root. What it says of this rank the root can say better.
void Joiner::listed_failed(Time now, const Failure& failure, bool rejected_by_peer) {
  obstacle_ = asked_address() + ", which allots places, " + (rejected_by_peer ? "has none: " : "can't be reached: ") +
              failure.text;
  root_is_obstacle_ = false;
  // Both sides have proved themselves by then: everybody will say the same.
  if (failure.code == FailureCode::wrong_world_size) return void(fatal_ = failure);
  if (!rejected_by_peer && now < patience_) return retry(now, Step::rendezvous);
  asked_ = tree::kRootPosition;
  take(now, Step::rendezvous);
}

void Joiner::rendezvous_failed(Time now, const Failure& failure, bool rejected_by_peer) {
  if (ends_the_search(failure.code)) {
    fatal_ = failure;
    fatal_->text =
        "the rendezvous " + config_.rendezvous + (rejected_by_peer ? " refused this rank: " : ": ") + failure.text;
    if (fatal_->host.empty()) fatal_->host = config_.host_name;
    return;
  }
  root_is_obstacle_ = !rejected_by_peer;
  obstacle_ = (rejected_by_peer ? "the rendezvous " + config_.rendezvous + " refuses this rank: "
                                : "rank 0 can't be reached at the rendezvous " + config_.rendezvous + ": ") +
              failure.text;
  // A computed place stays this host's until it gets another: its parent may have come in the meantime.
  if (computed() && position_ == Position{config_.host_index}) {
    patience_ = after(now, config_.limits.computed_patience);
    return retry(now, Step::parent);
  }
  if (canary(Canary::refusal_believed) && !rejected_by_peer) return void(state_ = Idle{});
  retry(now, Step::rendezvous);
}

void Joiner::parent_failed(Time now, const Failure& failure, bool final) {
  root_is_obstacle_ = root_is_obstacle_ || root_is_parent();
  obstacle_ = rank_on_host(placement_.parent, placement_.host) + " can't be reached: " + failure.text;
  // A placement's parent was there when it was named; a computed one may still be starting.
  const bool named = placement_.parent != kLeaderRank && !computed();
  // Rank 0 can't be replaced.
  const bool patient =
      root_is_parent() || (now < patience_ && !(named && backoff_.count() >= config_.limits.parent_attempts));
  if (patient && !final && failure.code != FailureCode::duplicate_rank) return retry(now, Step::parent);
  unreachable_ = placement_.parent;
  unreachable_reason_ = failure.code;
  asked_ = tree::kRootPosition;
  take(now, Step::rendezvous);
}

void Joiner::lost_upstream(Time now, const Failure& failure, bool rejected_by_peer) {
  const Upstream lost = *std::exchange(upstream_, std::nullopt);
  adopted_job_ = {};  // it may have been the last job's: the next parent says which one this is
  if (rejected_by_peer && awaits_end_of_last_job(now, lost.local ? Step::local : Step::parent, failure)) return;
  obstacle_ = rank_on_host(lost.rank, lost.host) + " was lost: " + failure.text;
  root_is_obstacle_ = lost.rank == kRootRank;
  // A parent that refuses this rank only after the handshake does so for the job's sake.
  if (rejected_by_peer && ends_the_search(failure.code)) {
    fatal_ = failure;
    return;
  }
  if (lost.local) return take(now, Step::local);
  // One that moved, or belonged to the last job, may be back at its place in a moment.
  if (computed() && position_ == Position{config_.host_index} && now < patience_) return retry(now, Step::parent);
  // There is no other root, unless it has another place for this rank.
  if (lost.rank == kRootRank && !rejected_by_peer) return take(now, root_is_parent() ? Step::parent : Step::rendezvous);
  parent_failed(now, failure, true);
  unreachable_ = lost.rank;
}

void Joiner::on_time(Time now) {
  if (const auto* wait = std::get_if<Wait>(&state_); wait != nullptr && wait->until <= now) {
    return connect(now, wait->step);
  }
  const auto* state = std::get_if<Connect>(&state_);
  if (state == nullptr || state->give_up > now || canary(Canary::silence_believed)) return;
  // An overflowed accept queue can look like a connection: no answer means once more, with more patience.
  effects_.add(effect::CloseLink{state->link, true});
  reply_timeout_ = std::min(reply_timeout_ * 2, config_.limits.handshake_timeout);
  on_link_failed(now, state->link, Failure{FailureCode::timed_out, Phase::join, {}, {}, "no answer to the handshake"},
                 false);
}

Time Joiner::deadline() const {
  if (const auto* wait = std::get_if<Wait>(&state_)) return wait->until;
  if (const auto* state = std::get_if<Connect>(&state_))
    return canary(Canary::silence_believed) ? kNever : state->give_up;
  return kNever;
}

bool Joiner::owns(LinkId link) const {
  if (upstream_ && upstream_->link == link) return true;
  const auto* state = std::get_if<Connect>(&state_);
  return state != nullptr && state->link == link;
}

void Joiner::stop() {
  if (const auto* state = std::get_if<Connect>(&state_)) effects_.add(effect::CloseLink{state->link, true});
  state_ = Idle{};
}

}  // namespace banyan::node
