#include "engine/engine.hh"

#include <algorithm>

#include "base/assert.hh"

namespace banyan::engine {

Engine::Engine(node::Config config)
    : config_(std::move(config)),
      identity_{config_.rank, config_.world_size, config_.job, config_.incarnation, config_.secret},
      nonces_(config_.entropy),
      node_(config_, identity_.job, link_ids_) {
  // Started by hand, nobody has an id: the root's is the job's.
  if (config_.rank == kRootRank && !config_.job.known()) {
    const auto random = nonces_.next();
    std::copy_n(random.begin(), identity_.job.bytes.size(), identity_.job.bytes.begin());
  }
}

void Engine::handle(Time now, Input input) {
  BANYAN_ASSERT(drained_ && now >= now_);
  drained_ = false;
  now_ = now;
  std::visit([&](auto& some) { on(now, some); }, input);
  carry_out();
}

Output Engine::poll() {
  if (!outputs_.empty()) {
    Output output = std::move(outputs_.front());
    outputs_.pop_front();
    return output;
  }
  drained_ = true;
  Time deadline = node_.deadline();
  if (!handshakes_.empty()) deadline = std::min(deadline, handshakes_.front().first);
  if (!stalls_.empty()) deadline = std::min(deadline, stalls_.begin()->first);
  if (close_completion_) deadline = std::min(deadline, close_until_);
  return output::Wait{deadline};
}

node::Statistics Engine::statistics() const {
  node::Statistics statistics;
  node_.fill(statistics);
  statistics.turned_away = turned_away_;
  return statistics;
}

void Engine::on(Time now, const input::Start&) { node_.start(now); }

void Engine::on(Time, const input::Connected& connected) {
  const auto at = links_.find(connected.link);
  if (at == links_.end()) return;
  at->second.open = true;
  at->second.local = connected.local;
  transmit(connected.link, at->second, at->second.session.take_output());
  node_.on_connected(connected.link, connected.local);
}

void Engine::on(Time now, const input::ConnectFailed& failed) {
  if (links_.erase(failed.link) == 0) return;
  node_.on_link_failed(now, failed.link, Failure{FailureCode::unreachable, Phase::join, {}, {}, failed.reason}, false,
                       std::nullopt);
}

void Engine::on(Time now, const input::Listening& listening) {
  node_.on_listening(now, listening.listener, listening.endpoint);
}

void Engine::on(Time now, const input::ListenFailed& failed) {
  node_.on_listen_failed(now, failed.listener, failed.reason);
}

void Engine::on(Time now, const input::Accepted& accepted) {
  // Each engine has its own bound as well as the driver's over the process: the oldest stranger makes room.
  if (unproven_ >= config_.limits.unauthenticated_links) drop_unproven(kNever, 1);
  ++unproven_;
  const LinkId id = link_ids_.allot();
  Link link{session::Session::respond(identity_, nonces_.next()), true, true, false, accepted.local};
  links_.emplace(id, std::move(link));
  handshakes_.emplace_back(after(now, config_.limits.handshake_timeout), id);
  outputs_.emplace_back(output::Adopt{accepted.token, id});
}

void Engine::on(Time now, input::BytesReceived& received) {
  const auto at = links_.find(received.link);
  if (at == links_.end() || at->second.closing) return;
  at->second.session.push(std::move(received.bytes));
  poll_session(now, received.link);
}

void Engine::poll_session(Time now, LinkId id) {
  for (;;) {
    // Each event may end the link.
    const auto at = links_.find(id);
    if (at == links_.end() || at->second.closing) return;
    Link& link = at->second;
    session::Event event = link.session.poll();
    if (Payload bytes = link.session.take_output(); !bytes.empty()) transmit(id, link, std::move(bytes));
    if (std::holds_alternative<std::monostate>(event)) return;
    if (const auto* ended = std::get_if<session::event::Broken>(&event)) return broken(now, id, *ended);
    if (const auto* proven = std::get_if<session::event::Authenticated>(&event)) {
      if (link.accepted) --unproven_;
      node_.on_authenticated(now, id, proven->peer, link.accepted, link.local);
    } else if (const auto& frame = std::get<wire::Frame>(event); !node_.on_frame(now, id, frame)) {
      breaks_protocol(now, id, std::string("it sent a ") + to_string(frame.kind) + " frame that breaks the protocol");
    }
    carry_out();
  }
}

void Engine::on(Time now, input::Enclosed& enclosed) {
  const auto at = links_.find(enclosed.link);
  if (at == links_.end() || at->second.closing || at->second.session.enclose(std::move(enclosed.bytes))) return;
  if (at->second.session.authenticated())
    return breaks_protocol(now, enclosed.link, "it shared memory that belongs to no frame");
  ++turned_away_;
  close(enclosed.link, true);
  node_.on_link_failed(now, enclosed.link,
                       Failure{FailureCode::protocol, Phase::join, {}, {}, "it shared memory before it proved itself"},
                       false, std::nullopt);
}

void Engine::breaks_protocol(Time now, LinkId id, const std::string& how) {
  const session::Peer peer = links_.at(id).session.peer();
  close(id, false);
  node_.on_link_failed(now, id, Failure{FailureCode::protocol, Phase::running, RankSet::single(peer.rank), {}, how},
                       false, peer);
}

void Engine::broken(Time now, LinkId id, const session::event::Broken& broken) {
  if (links_.at(id).accepted) ++turned_away_;
  close(id, false);
  node_.on_link_failed(now, id, broken.failure, broken.rejected_by_peer, broken.peer);
}

void Engine::on(Time now, const input::Drained& drained) {
  const auto at = links_.find(drained.link);
  if (at == links_.end()) return;
  Link& link = at->second;
  link.with_driver = drained.queued;
  if (!link.held_feeders.empty()) watch(drained.link, link, after(now, config_.limits.stall_timeout));
  release_data(drained.link, link);
  const auto still = links_.find(drained.link);
  if (still != links_.end() && still->second.own_bytes == 0) node_.on_drained(drained.link);
}

void Engine::on(Time now, const input::Closed& closed) {
  const auto at = links_.find(closed.link);
  if (at == links_.end()) return;
  const bool let_go = at->second.closing;
  const bool stranger = at->second.accepted && !at->second.session.authenticated();
  std::optional<session::Peer> peer;
  if (at->second.session.authenticated()) peer = at->second.session.peer();
  release_feeders(closed.link, at->second);
  forget(at);
  if (stranger && !let_go) ++turned_away_;
  if (!let_go)
    node_.on_link_failed(now, closed.link, Failure{FailureCode::unreachable, Phase::join, {}, {}, closed.reason}, false,
                         peer);
}

void Engine::on(Time, const input::MakeRoom&) { drop_unproven(kNever, 1); }

void Engine::on(Time now, const input::Tick&) {
  drop_unproven(now, handshakes_.size());
  drop_stalled(now);
  node_.on_time(now);
  if (close_completion_ && close_until_ <= now) complete_close();
}

void Engine::on(Time now, node::Call& call) {
  if (std::holds_alternative<node::Close>(call.operation) && !close_call_) {
    close_call_ = call.id;
    close_until_ = std::min(call.deadline, after(now, config_.close_timeout));
  }
  node_.call(now, std::move(call));
}

// Turns away those who have not proved themselves: whoever came at or before `until`, at most `count`.
void Engine::drop_unproven(Time until, std::size_t count) {
  while (count > 0 && !handshakes_.empty() && handshakes_.front().first <= until) {
    const LinkId id = handshakes_.front().second;
    handshakes_.pop_front();
    const auto at = links_.find(id);
    if (at == links_.end() || at->second.session.authenticated()) continue;
    ++turned_away_;
    --count;
    close(id, true);
  }
}

// Whoever takes nothing while others wait for that is lost, and the others are read again.
void Engine::drop_stalled(Time now) {
  while (!stalls_.empty() && stalls_.begin()->first <= now) {
    const LinkId id = stalls_.begin()->second;
    const session::Peer peer = links_.at(id).session.peer();
    close(id, true);
    const Failure failure{FailureCode::unreachable,
                          Phase::running,
                          RankSet::single(peer.rank),
                          {},
                          "it has read nothing for " + seconds_text(config_.limits.stall_timeout)};
    node_.on_link_failed(now, id, failure, false, peer);
  }
}

void Engine::carry_out() {
  // A rank that was not given the id of its job has that of whom it met, until that turns out to be another job.
  if (!config_.job.known() && config_.rank != kRootRank) identity_.job = node_.job();
  node_.settle(now_);
  while (!node_.effects().empty()) {
    for (node::Effect& effect : node_.effects().take()) {
      std::visit([&](auto& some) { carry_out(some); }, effect);
    }
  }
}

void Engine::carry_out(node::effect::OpenLink& open) {
  Link link{session::Session::initiate(identity_, open.role, open.to, nonces_.next()), false, false, false, {}};
  links_.emplace(open.connect.link, std::move(link));
  outputs_.emplace_back(std::move(open.connect));
}

void Engine::carry_out(node::effect::SendFrame& send) {
  const auto at = links_.find(send.link);
  if (at == links_.end() || at->second.closing) return;
  Link& link = at->second;
  const bool overtakes = send.frame_class == node::FrameClass::control;
  if (overtakes || (link.data.empty() && link.with_driver < kDriverWindowBytes)) {
    transmit(send.link, link, std::move(send.frame), std::move(send.enclosure));
  } else {
    link.bytes_of(send.feeder) += send.frame.size();
    link.data.push_back({std::move(send.frame), send.feeder, std::move(send.enclosure)});
  }
  if (send.feeder != kNoLink && link.waiting() > config_.limits.transmit_high_bytes) {
    hold_feeder(send.link, link, send.feeder);
  } else if (send.feeder == kNoLink && overtakes && link.with_driver > kMostOwnControl) {
    hold_feeder(send.link, link, send.link);
  }
}

// From now on children take part in collectives.
void Engine::carry_out(node::effect::Formed& formed) {
  for (auto& [id, link] : links_) link.session.allow_streams();
  outputs_.emplace_back(std::move(formed));
}

void Engine::carry_out(node::effect::CloseLink& effect) { close(effect.link, effect.abandon); }

void Engine::carry_out(node::effect::Refuse& effect) { refuse(effect.link, effect.failure); }

void Engine::carry_out(node::effect::RefuseCallers& effect) {
  for (const auto& [deadline, id] : std::exchange(handshakes_, {})) {
    const auto at = links_.find(id);
    if (at != links_.end() && !at->second.session.authenticated()) refuse(id, effect.failure);
  }
}

void Engine::carry_out(node::Completion& completion) {
  if (completion.id == close_call_ && closing_links_ > 0) {
    close_completion_ = std::move(completion);
  } else {
    outputs_.emplace_back(std::move(completion));
  }
}

void Engine::complete_close() { outputs_.emplace_back(*std::exchange(close_completion_, std::nullopt)); }

void Engine::refuse(LinkId id, const Failure& failure) {
  const auto at = links_.find(id);
  if (at == links_.end() || at->second.closing) return;
  ++turned_away_;
  at->second.session.reject(failure);
  transmit(id, at->second, at->second.session.take_output());
  close(id, false);
}

void Engine::transmit(LinkId id, Link& link, Payload bytes, wire::Enclosure enclosure) {
  if (bytes.empty()) return;
  link.with_driver += bytes.size();
  outputs_.emplace_back(output::Transmit{id, std::move(bytes), std::move(enclosure)});
}

void Engine::release_data(LinkId id, Link& link) {
  while (!link.data.empty() && link.with_driver < kDriverWindowBytes) {
    link.bytes_of(link.data.front().feeder) -= link.data.front().frame.size();
    transmit(id, link, std::move(link.data.front().frame), std::move(link.data.front().enclosure));
    link.data.pop_front();
  }
  if (link.waiting() <= config_.limits.transmit_low_bytes) release_feeders(id, link);
  if (link.closing && link.data.empty()) finish_close(id, false);
}

void Engine::hold_feeder(LinkId id, Link& link, LinkId feeder) {
  const auto at = links_.find(feeder);
  if (at == links_.end() || !link.held_feeders.insert(feeder).second) return;
  if (link.stalled_at == kNever) watch(id, link, after(now_, config_.limits.stall_timeout));
  if (++at->second.held_by == 1) outputs_.emplace_back(node::effect::PauseReading{feeder});
}

void Engine::watch(LinkId id, Link& link, Time stalled_at) {
  stalls_.erase({link.stalled_at, id});
  link.stalled_at = stalled_at;
  if (stalled_at != kNever) stalls_.emplace(stalled_at, id);
}

void Engine::release_feeders(LinkId id, Link& link) {
  watch(id, link, kNever);
  for (const LinkId feeder : std::exchange(link.held_feeders, {})) {
    const auto at = links_.find(feeder);
    if (at != links_.end() && --at->second.held_by == 0) outputs_.emplace_back(node::effect::ResumeReading{feeder});
  }
}

void Engine::forget(std::map<LinkId, Link>::iterator at) {
  if (at->second.accepted && !at->second.session.authenticated()) --unproven_;
  if (at->second.closing) --closing_links_;
  links_.erase(at);
  if (close_completion_ && closing_links_ == 0) complete_close();
}

void Engine::close(LinkId id, bool abandon) {
  const auto at = links_.find(id);
  if (at == links_.end()) return;
  release_feeders(id, at->second);
  if (abandon || at->second.data.empty()) return finish_close(id, abandon);
  if (!std::exchange(at->second.closing, true)) ++closing_links_;
}

void Engine::finish_close(LinkId id, bool abandon) {
  outputs_.emplace_back(output::Close{id, abandon});
  forget(links_.find(id));
}

}  // namespace banyan::engine
