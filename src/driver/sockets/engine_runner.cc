#include "driver/sockets/engine_runner.hh"

#include <algorithm>

#include "base/assert.hh"
#include "driver/sockets/clock.hh"
#include "driver/sockets/link.hh"
#include "driver/sockets/own_sockets.hh"
#include "driver/sockets/process.hh"

namespace banyan::driver {
namespace {

// An engine that answers each Drained with more to send could keep the thread for ever on a fast link: after so many
// inputs in a row the others have their turn.
constexpr int kInputsPerTurn = 64;

// Between two questions for a name that is not known yet: the first wait, doubled each time, and the longest.
constexpr std::chrono::milliseconds kResolveAgainFirst{100};
constexpr std::chrono::milliseconds kResolveAgainGreatest{1000};

template <typename Result>
Outcome outcome_of(Result& result) {
  return std::move(result);
}
// An application takes the parts apart: now it counts what a parent says of their sizes.
template <>
Outcome outcome_of(node::Parts& parts) {
  if (auto payloads = parts.split()) return *std::move(payloads);
  return Failure{
      FailureCode::protocol,
      Phase::running,
      {},
      {},
      "the result is damaged: the sizes of its parts don't add up; see whether all ranks run the same Banyan"};
}

}  // namespace

EngineRunner::EngineRunner(Process& process, RankOptions options, InterfaceChoice choice,
                           std::unique_ptr<engine::Machine> machine)
    : process_(process), options_(std::move(options)), choice_(std::move(choice)), machine_(std::move(machine)) {
  // Of two ranks that know the number, one marks it first.
  if (inherits_rendezvous(options_) && own_socket(*options_.rendezvous_fd))
    inherited_ = Socket(*options_.rendezvous_fd);
}

EngineRunner::~EngineRunner() = default;

// --- the owner ---

void EngineRunner::start(std::shared_ptr<Promise> promise) {
  if (!open() || started_) {
    promise->complete(
        Failure{FailureCode::misuse, Phase::setup, {}, {}, started_ ? "started twice" : "started after close"});
    return;
  }
  started_ = true;
  start_ = std::move(promise);
  ++process_.started_ranks;
  feed(engine::input::Start{});
}

void EngineRunner::call(node::Call call, std::shared_ptr<Promise> promise) {
  if (!open() || !started_) {
    promise->complete(Failure{open() ? FailureCode::misuse : FailureCode::closed,
                              Phase::setup,
                              {},
                              {},
                              open() ? "called before start" : "called after close"});
    return;
  }
  calls_.emplace(call.id, std::move(promise));
  feed(std::move(call));
}

void EngineRunner::close() {
  if (!open()) return;
  BANYAN_ASSERT(!busy_);
  const std::shared_ptr<EngineRunner> self = shared_from_this();
  for (auto& [id, attempt] : attempts_) attempt->cancel();
  attempts_.clear();
  offers_.clear();
  for (std::shared_ptr<Acceptor>& acceptor : acceptors_) {
    if (acceptor) process_.listeners.release(std::exchange(acceptor, nullptr), *this);
  }
  for (auto& [id, link] : std::exchange(links_, {})) link->close();
  process_.reactor.clear_alarm(*this);
  inputs_.clear();
  machine_.reset();
  inherited_.reset();
  if (started_) --process_.started_ranks;
  std::erase(process_.runners, self);
  --process_.open_ranks;
  end_calls(Failure{FailureCode::closed, Phase::closing, {}, {}, "this rank was closed"});
}

void EngineRunner::end_calls(const Failure& failure) {
  if (start_) std::exchange(start_, nullptr)->complete(failure);
  for (auto& [id, promise] : std::exchange(calls_, {})) promise->complete(failure);
}

node::Statistics EngineRunner::statistics() const {
  node::Statistics result;
  if (machine_) result = machine_->statistics();
  result.turned_away += process_.turned_away;
  return result;
}

std::optional<Failure> EngineRunner::failure() const {
  return failed_.load(std::memory_order_acquire) ? failure_ : std::nullopt;
}

void EngineRunner::fail(Failure failure) {
  if (!open() || this->failure()) return;
  failure_ = failure;
  failed_.store(true, std::memory_order_release);
  end_calls(failure);
  if (options_.on_failed) options_.on_failed(failure);
}

// --- inputs ---

void EngineRunner::feed(engine::Input input) {
  inputs_.push_back(std::move(input));
  if (!busy_ && !continuation_posted_) work_off();
}

void EngineRunner::work_off() noexcept {
  if (!open()) return inputs_.clear();
  busy_ = true;
  for (int i = 0; !inputs_.empty() && i < kInputsPerTurn; ++i) {
    engine::Input input = std::move(inputs_.front());
    inputs_.pop_front();
    machine_->handle(now(), std::move(input));
    drain();
    // What several inputs caused leaves together; what it frees comes back as more input.
    if (inputs_.empty()) flush_links();
  }
  flush_links();
  busy_ = false;
  if (!inputs_.empty()) {
    continuation_posted_ = true;
    process_.reactor.run_later([self = shared_from_this()] {
      self->continuation_posted_ = false;
      self->work_off();
    });
  }
  schedule();
}

void EngineRunner::drain() {
  for (;;) {
    engine::Output output = machine_->poll();
    std::visit([this](auto& some) { carry_out(some); }, output);
    if (std::holds_alternative<engine::output::Wait>(output)) return;
  }
}

void EngineRunner::flush_links() {
  for (const std::shared_ptr<Link>& link : written_) {
    if (link->flush()) inputs_.push_back(engine::input::Drained{link->id(), link->queued()});
  }
  written_.clear();
}

void EngineRunner::schedule() {
  if (deadline_ > now()) {
    process_.reactor.set_alarm(*this, deadline_);
    return;
  }
  process_.reactor.clear_alarm(*this);
  if (tick_posted_) return;
  tick_posted_ = true;
  // Behind the handlers that are ready now.
  process_.reactor.run_later([self = shared_from_this()] {
    self->tick_posted_ = false;
    if (self->open() && self->deadline_ <= now()) self->feed(engine::input::Tick{});
  });
}

void EngineRunner::on_alarm(Time) { feed(engine::input::Tick{}); }

bool EngineRunner::make_room() {
  const std::size_t before = links_.size();
  feed(engine::input::MakeRoom{});
  return links_.size() < before;
}

void EngineRunner::offer(const Caller& caller, Descriptor descriptor, Slice first_bytes) {
  const AcceptToken token = process_.last_token = next(process_.last_token);
  const node::Listener listener = caller.acceptor->kind();
  offers_.emplace(token, Offer{std::move(descriptor), on_this_host(listener), std::move(first_bytes)});
  feed(engine::input::Accepted{token, listener, caller.local, caller.remote});
}

void EngineRunner::connected(const ConnectAttempt& attempt, Descriptor descriptor, const Endpoint& local) {
  const LinkId link = attempt.order().link;
  if (const auto left_off = attempt.left_off()) opened_ = {link, *left_off};
  add_link(link, attempt.order().target == node::Target::local, std::move(descriptor));
  attempts_.erase(link);
  feed(engine::input::Connected{link, local});
}

// What took the connection and said nothing may be no rank: the next search goes on behind it.
void EngineRunner::leave_unanswered(const Link& link) {
  if (!link.heard() && opened_ && opened_->first == link.id()) left_off_ = opened_->second;
}

void EngineRunner::connect_failed(LinkId link, std::string reason) {
  attempts_.erase(link);
  feed(engine::input::ConnectFailed{link, std::move(reason)});
}

void EngineRunner::link_closed(LinkId link, const std::string& reason) {
  if (const auto place = links_.find(link); place != links_.end()) {
    leave_unanswered(*place->second);
    links_.erase(place);
  }
  feed(engine::input::Closed{link, reason});
}

void EngineRunner::add_link(LinkId id, bool local, Descriptor descriptor) {
  const auto link = std::make_shared<Link>(process_, *this, id, local ? Link::Transport::local : Link::Transport::tcp,
                                           std::move(descriptor));
  links_.emplace(id, link);
  link->begin();
}

// --- outputs ---

void EngineRunner::carry_out(engine::output::Transmit& transmit) {
  const auto place = links_.find(transmit.link);
  if (place == links_.end()) return;
  const std::shared_ptr<Link>& link = place->second;
  link->enqueue(transmit.bytes, transmit.enclosure);
  if (written_.empty() || written_.back() != link) {
    if (std::find(written_.begin(), written_.end(), link) == written_.end()) written_.push_back(link);
  }
}

void EngineRunner::carry_out(engine::output::Close& close) {
  if (const auto attempt = attempts_.find(close.link); attempt != attempts_.end()) {
    if (const auto left_off = attempt->second->left_off()) left_off_ = left_off;
    attempt->second->cancel();
    attempts_.erase(attempt);
  }
  const auto place = links_.find(close.link);
  if (place == links_.end()) return;
  const std::shared_ptr<Link> link = std::move(place->second);
  links_.erase(place);
  std::erase(written_, link);
  leave_unanswered(*link);
  close.abandon ? link->abandon() : link->close();
}

void EngineRunner::carry_out(engine::output::Adopt& adopt) {
  const auto place = offers_.find(adopt.token);
  if (place == offers_.end()) return;
  Offer offer = std::move(place->second);
  offers_.erase(place);
  add_link(adopt.link, offer.local, std::move(offer.descriptor));
  if (!offer.first_bytes.empty())
    inputs_.push_back(engine::input::BytesReceived{adopt.link, std::move(offer.first_bytes)});
}

void EngineRunner::carry_out(node::effect::Connect& connect) {
  const LinkId id = connect.link;
  const AddressPlace first = left_off_ && left_off_->concerns(connect) ? left_off_->next : AddressPlace{};
  const auto attempt = std::make_shared<ConnectAttempt>(process_, *this, std::move(connect), first);
  attempts_.emplace(id, attempt);
  attempt->begin();
}

void EngineRunner::carry_out(node::effect::Listen& listen) {
  std::shared_ptr<Acceptor>& place = acceptors_[static_cast<std::size_t>(listen.listener)];
  BANYAN_ASSERT(place == nullptr);
  Listeners::Opened opened;
  switch (listen.listener) {
    case node::Listener::rendezvous:
      if (!inherited_) return spawn(process_.reactor, listen_at_rendezvous(shared_from_this()));
      opened = process_.listeners.adopt(*this, std::move(inherited_));
      break;
    case node::Listener::network:
      if (!listen.name.empty())
        return spawn(process_.reactor, listen_at_host(shared_from_this(), std::move(listen.name)));
      opened = process_.listeners.open_network(*this, listen.endpoint, choice_, options_.ports);
      break;
    case node::Listener::local:
    case node::Listener::direct: opened = process_.listeners.open_local(*this, listen.listener, listen.name); break;
  }
  listening(listen.listener, std::move(opened));
}

Task EngineRunner::listen_at_rendezvous(std::shared_ptr<EngineRunner> self) {
  Listeners::Opened opened = co_await process_.listeners.open_rendezvous(self);
  if (open() && !failure()) listening(node::Listener::rendezvous, std::move(opened));
}

Task EngineRunner::listen_at_host(std::shared_ptr<EngineRunner> self, std::string host) {
  // A name for the target: GCC 12 destroys temporaries in a co_await expression twice.
  const HostAndPort target = HostAndPort::parse(host).value_or(HostAndPort{});
  const Resolved resolved = co_await resolve_patiently(self, target);
  if (!self->open() || resolved.addresses.empty()) co_return;
  listening(node::Listener::network,
            process_.listeners.open_network(*this, resolved.addresses.front().endpoint(), choice_, options_.ports));
}

TaskOf<Resolved> EngineRunner::resolve_patiently([[maybe_unused]] std::shared_ptr<EngineRunner> self,
                                                 HostAndPort target) {
  Pause pause(process_.reactor);
  std::chrono::milliseconds time = kResolveAgainFirst;
  for (bool told = false;; told = true) {
    Resolved resolved = co_await process_.resolver.resolve(target);
    if (!open() || failure()) co_return Resolved{{}, "this rank is over", false};
    if (!resolved.addresses.empty()) co_return resolved;
    if (!told) warn(resolved.error + "; it is tried again, in case the name is on its way");
    co_await pause.until(after(now(), time));
    if (!open() || failure()) co_return Resolved{{}, "this rank is over", false};
    time = std::min(2 * time, kResolveAgainGreatest);
  }
}

void EngineRunner::warn(const std::string& text) const {
  if (options_.on_notice) options_.on_notice({node::effect::Notice::Level::warning, text, false});
}

void EngineRunner::listening(node::Listener listener, Listeners::Opened opened) {
  if (!opened.notice.empty()) warn(opened.notice);
  if (!opened.acceptor) {
    feed(engine::input::ListenFailed{listener, std::move(opened.error)});
    return;
  }
  const Endpoint bound = opened.acceptor->bound();
  acceptors_[static_cast<std::size_t>(listener)] = std::move(opened.acceptor);
  feed(engine::input::Listening{listener, bound});
}

void EngineRunner::carry_out(node::effect::StopListening& stop) {
  std::shared_ptr<Acceptor>& acceptor = acceptors_[static_cast<std::size_t>(stop.listener)];
  if (acceptor) process_.listeners.release(std::exchange(acceptor, nullptr), *this);
}

void EngineRunner::carry_out(node::effect::PauseReading& pause) {
  if (const auto place = links_.find(pause.link); place != links_.end()) place->second->pause_reading();
}

void EngineRunner::carry_out(node::effect::ResumeReading& resume) {
  if (const auto place = links_.find(resume.link); place != links_.end()) place->second->resume_reading();
}

void EngineRunner::carry_out(node::effect::Formed& formed) {
  if (start_) std::exchange(start_, nullptr)->complete(std::move(formed.table));
}

void EngineRunner::carry_out(node::effect::Failed& failed) { fail(std::move(failed.failure)); }

void EngineRunner::carry_out(node::effect::Notice& notice) {
  if (options_.on_notice) options_.on_notice(notice);
}

void EngineRunner::carry_out(node::Completion& completion) {
  const auto place = calls_.find(completion.id);
  if (place == calls_.end()) return;
  const std::shared_ptr<Promise> promise = std::move(place->second);
  calls_.erase(place);
  std::visit([&](auto& result) { promise->complete(outcome_of(result), completion.source); }, completion.result);
}

}  // namespace banyan::driver
