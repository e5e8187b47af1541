#include "sim/cluster.hh"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/assert.hh"

namespace banyan::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// How long a process works before others of its host get their turn.
constexpr Duration kTurn = microseconds(20);
// As in the Asio driver: reads on one link before others have their turn.
constexpr std::size_t kReadsPerTurn = 16;
// Linux repeats a SYN, and a SYN+ACK, that was not answered: after 1 s, 2 s, 4 s ...
constexpr Duration kFirstRepeat = seconds(1);
constexpr Duration kLastRepeat = seconds(64);
constexpr std::uint16_t kEphemeralPort = 50'000;
// Deadlines in the past are ticked away one by one; an engine that always names another one computes for ever.
constexpr int kMostTicks = 10'000;

}  // namespace

ClusterOptions ClusterOptions::erratic(std::uint64_t seed) {
  constexpr std::array<std::size_t, 4> kPieces{16, 256, 4096, std::size_t{1} << 20};
  Random random(seed);
  ClusterOptions options;
  options.network.latency = options.network.local_latency = microseconds(1);
  options.network.jitter = microseconds(100);
  options.network.slow_one_in = 50;
  options.network.slow = milliseconds(5);
  options.small_read = kPieces[random.below(kPieces.size())];
  options.clock_spread = std::chrono::hours(1);
  return options;
}

Cluster::Cluster(const ClusterOptions& options, std::uint64_t seed)
    : options_(options), random_(seed), clocks_(~seed), network_(options.network, random_) {}

std::size_t Cluster::add(node::Config config, const Endpoint& address, Duration wait) {
  const auto i = static_cast<std::uint32_t>(processes_.size());
  Process& process = processes_.emplace_back();
  process.config = config;
  process.address = address;
  process.engine = std::make_unique<engine::Engine>(std::move(config));
  State& state = states_.emplace_back();
  const auto [place, is_new] =
      host_numbers_.emplace(process.config.host_key, static_cast<std::uint32_t>(hosts_.size()));
  if (is_new) hosts_.emplace_back().cores.resize(options_.cores_per_host);
  if (options_.clock_spread > Duration{}) {
    state.clock_ahead =
        Duration(static_cast<Duration::rep>(clocks_.below(static_cast<std::uint64_t>(options_.clock_spread.count()))));
  }
  state.host = place->second;
  state.cores = options_.one_machine ? 0 : state.host;
  at(after(now_, wait), [this, i] {
    processes_[i].started = true;
    if (processes_[i].alive) give(i, engine::input::Start{});
  });
  return i;
}

void Cluster::at(Time time, std::function<void()> what) {
  std::uint32_t slot = 0;
  if (unused_actions_.empty()) {
    slot = static_cast<std::uint32_t>(actions_.size());
    actions_.push_back(std::move(what));
  } else {
    slot = unused_actions_.back();
    unused_actions_.pop_back();
    actions_[slot] = std::move(what);
  }
  events_.plan(std::max(time, now_), Event::Kind::action, slot);
}

void Cluster::step() {
  const Event event = events_.take();
  now_ = event.at;
  ++events_done_;
  switch (event.kind) {
    case Event::Kind::run: return take_core(event.a);
    case Event::Kind::core: {
      hosts_[event.a].core_planned = false;
      return hand_out_cores(event.a);
    }
    case Event::Kind::alarm: return alarm(event.a, event.at);
    case Event::Kind::arrival: return arrive(event.a, event.b);
    case Event::Kind::drained: return drained(event.a, event.b);
    case Event::Kind::action: {
      const auto what = std::exchange(actions_[event.a], {});
      unused_actions_.push_back(event.a);
      return what();
    }
  }
}

CallId Cluster::call(std::size_t i, decltype(node::Call::operation) operation, Duration timeout) {
  const CallId id = next_call_ = next(next_call_);
  if (std::holds_alternative<node::Close>(operation)) processes_[i].closing = id;
  give(static_cast<std::uint32_t>(i), node::Call{id, own_time(i, after(now_, timeout)), std::move(operation)});
  return id;
}

const node::Completion* Cluster::result(std::size_t i, CallId id) const {
  const auto found = processes_[i].completions.find(id);
  return found == processes_[i].completions.end() ? nullptr : &found->second;
}

void Cluster::kill(std::size_t i) {
  processes_[i].alive = false;
  ++milestones_;
  clear_inbox(static_cast<std::uint32_t>(i));
  close_all(static_cast<std::uint32_t>(i), [this] { return random_.below(2) == 0; });
  if (observer != nullptr) observer->on_kill(now_, static_cast<std::uint32_t>(i));
}

void Cluster::exit(std::uint32_t i) {
  processes_[i].exited = true;
  clear_inbox(i);
  close_all(i, [] { return false; });
}

void Cluster::thaw(std::size_t i) {
  processes_[i].frozen = false;
  if (runs(i)) want_core(static_cast<std::uint32_t>(i));
}

void Cluster::slow_down(std::size_t i, std::int64_t times, Duration wake) {
  states_[i].slowness = times;
  states_[i].least_wake = wake;
}

bool Cluster::connected(std::size_t i) const {
  const auto& links = states_[i].links;
  return std::any_of(links.begin(), links.end(), [](const auto& link) { return link.second.connection != kNone; });
}

std::optional<std::size_t> Cluster::reset(std::size_t i, const std::function<bool(std::size_t)>& wanted) {
  std::vector<End> open;
  for (const auto& [link, end] : states_[i].links) {
    if (end.connection == kNone) continue;
    const std::uint32_t other = connections_[end.connection].half[1 - end.side].process;
    if (other != kStranger && wanted(other)) open.push_back(end);
  }
  if (open.empty()) return std::nullopt;
  const auto [number, side] = open[random_.below(open.size())];
  Connection& connection = connections_[number];
  const std::uint32_t other = connection.half[1 - side].process;
  for (const std::uint32_t end : {0u, 1u}) {
    Half& half = connection.half[end];
    half.ended = true;
    half.readable.clear();
    for (Payload& bytes : half.flight) bytes = {};
    half.unread = 0;
    mark_readable(number, end);
  }
  return other;
}

std::size_t Cluster::unread(std::size_t from, std::size_t to) {
  const End end = link_into(from, to);
  return connections_[end.connection].half[end.side].unread;
}

void Cluster::forge(std::size_t from, std::size_t to, const Payload& frame) {
  const End end = link_into(from, to);
  send(end.connection, end.side, now_, frame);
}

void Cluster::stranger(std::size_t to, node::Listener listener, std::string bytes, bool then_close) {
  const std::uint32_t connection =
      new_connection(kStranger, kNoLink, {Path::open, {static_cast<std::uint32_t>(to), listener}});
  connections_[connection].half[1].admitted = true;
  if (!bytes.empty()) send(connection, 1, now_, Payload(Slice::adopt(std::move(bytes))));
  if (then_close) hang_up(connection, 0, now_, false);
  unpin(connection);
}

void Cluster::squat(const std::string& machine, const std::string& name) {
  bound_["local " + machine + " " + name] = Bound{kStranger, node::Listener::local};
}

void Cluster::squat_rendezvous() { bound_["rendezvous"] = Bound{kStranger, node::Listener::rendezvous}; }

// --- processes and cores -------------------------------------------------------------------------------------------

void Cluster::give(std::uint32_t i, Work work) {
  if (!exists(i)) {
    if (work.kind == Work::Kind::acceptable) hang_up(work.connection, 1, now_, true);
    if (work.connection != kNone) unpin(work.connection);
    return;
  }
  states_[i].inbox.push(std::move(work));
  want_core(i);
}

void Cluster::give(std::uint32_t i, engine::Input input) {
  give(i, Work{Work::Kind::input, kNone, 0, std::make_unique<engine::Input>(std::move(input))});
}

void Cluster::want_core(std::uint32_t i) {
  State& state = states_[i];
  if (std::exchange(state.queued, true)) return;
  if (state.free_at > now_) return events_.plan(state.free_at, Event::Kind::run, i);
  take_core(i);
}

// The process is ready; it runs now if its host has a core for it.
void Cluster::take_core(std::uint32_t i) {
  if (options_.cores_per_host == 0) return turn(i, nullptr);
  hosts_[states_[i].cores].waiting.push(i);
  hand_out_cores(states_[i].cores);
}

void Cluster::hand_out_cores(std::uint32_t number) {
  Host& host = hosts_[number];
  while (!host.waiting.empty()) {
    const auto core = std::min_element(host.cores.begin(), host.cores.end());
    if (*core > now_) {
      if (!std::exchange(host.core_planned, true)) events_.plan(*core, Event::Kind::core, number);
      return;
    }
    turn(host.waiting.pop(), &*core);
  }
}

// Everything that stands in the process's inbox by now, and what its engine makes of it.
void Cluster::turn(std::uint32_t i, Time* core) {
  State& state = states_[i];
  clock_ = now_;
  if (std::exchange(state.asleep, false)) {
    spend(i, options_.costs.wake);
    spend(i, state.least_wake);
  }
  const Time until = clock_ + kTurn;
  for (int ticks = 0; runs(i);) {
    work_off_inbox(i, until);
    flush(i);
    if (!state.inbox.empty() || !runs(i) || processes_[i].wait > clock_) break;
    if (++ticks > kMostTicks) {
      fault(i, "names deadlines that have passed, for ever");
      break;
    }
    feed(i, engine::input::Tick{});
  }
  state.free_at = clock_;
  if (core != nullptr) *core = clock_;
  state.queued = false;
  if (!runs(i)) return;
  plan_alarm(i);
  if (state.inbox.empty()) {
    state.asleep = true;
  } else {
    state.queued = true;
    events_.plan(clock_, Event::Kind::run, i);
  }
}

void Cluster::work_off_inbox(std::uint32_t i, Time until) {
  State& state = states_[i];
  while (!state.inbox.empty() && runs(i) && clock_ <= until) {
    Work work = state.inbox.pop();
    switch (work.kind) {
      case Work::Kind::input: feed(i, std::move(*work.input)); break;
      case Work::Kind::acceptable: accept(i, work.connection); break;
      case Work::Kind::readable: read(i, work.connection, work.side); break;
    }
    if (work.connection != kNone) unpin(work.connection);
  }
}

void Cluster::clear_inbox(std::uint32_t i) {
  Fifo<Work>& inbox = states_[i].inbox;
  while (!inbox.empty()) {
    const Work work = inbox.pop();
    if (work.connection != kNone) unpin(work.connection);
  }
}

void Cluster::plan_alarm(std::uint32_t i) {
  const Time wait = processes_[i].wait;
  State& state = states_[i];
  if (wait == kNever || state.alarm_at <= wait) return;
  state.alarm_at = std::max(wait, clock_);
  events_.plan(state.alarm_at, Event::Kind::alarm, i);
}

void Cluster::alarm(std::uint32_t i, Time planned) {
  State& state = states_[i];
  if (state.alarm_at != planned) return;  // an earlier one took its place
  state.alarm_at = kNever;
  if (!runs(i)) return;
  if (processes_[i].wait <= now_) return want_core(i);
  clock_ = now_;
  plan_alarm(i);
}

void Cluster::spend(std::uint32_t i, Duration cost) {
  cost *= states_[i].slowness;
  clock_ += cost;
  processes_[i].busy += cost;
}

// --- the engine's two doors ----------------------------------------------------------------------------------------

void Cluster::feed(std::uint32_t i, engine::Input input) {
  if (!runs(i)) return;
  Process& process = processes_[i];
  ++inputs_;
  const auto* enclosed = std::get_if<engine::input::Enclosed>(&input);
  if (enclosed != nullptr) {
    spend(i, options_.costs.map);
  } else {
    spend(i, std::holds_alternative<engine::input::Start>(input) ? options_.costs.start : options_.costs.input);
  }
  mix(static_cast<std::uint64_t>(clock_.time_since_epoch().count()));
  mix((std::uint64_t{i} << 8) | input.index());
  if (const auto* received = std::get_if<engine::input::BytesReceived>(&input)) mix(received->bytes.size());
  if (enclosed != nullptr) mix(enclosed->bytes.size());
  if (observer != nullptr) show(i, input);
  process.engine->handle(own_time(i, clock_), std::move(input));
  for (;;) {
    engine::Output output = process.engine->poll();
    std::visit([&](auto& some) { on(i, some); }, output);
    if (std::holds_alternative<engine::output::Wait>(output)) return;
  }
}

// What an observer hears of inputs: those that come from no other process.
void Cluster::show(std::uint32_t i, const engine::Input& input) const {
  if (std::holds_alternative<engine::input::Start>(input)) observer->on_start(clock_, i);
  if (const auto* call = std::get_if<node::Call>(&input)) observer->on_call(clock_, i, *call);
}

void Cluster::on(std::uint32_t i, engine::output::Wait& wait) {
  Process& process = processes_[i];
  process.wait = wait.deadline == kNever ? kNever : wait.deadline - states_[i].clock_ahead;
  if (process.wait == kNever && !process.table && !process.failed && !process.closed) {
    fault(i, "waits for ever for the job to form");
  }
}

void Cluster::on(std::uint32_t i, engine::output::Transmit& transmit) {
  const auto found = states_[i].links.find(transmit.link);
  if (found == states_[i].links.end() || found->second.connection == kNone) {
    return fault(i, "transmits on a link that is not open");
  }
  const auto [number, side] = found->second;
  Connection& connection = connections_[number];
  if (!connection.half[1 - side].open || connection.mute) return;
  ++connection.traffic.messages;
  connection.traffic.bytes += transmit.bytes.size();
  Half& own = connection.half[side];
  Half& peer = connection.half[1 - side];
  if (transmit.enclosure) {
    if (!connection.local) fault(i, "shares memory with another host");
    if (states_[i].last_enclosure.lock() != transmit.enclosure) {
      spend(i, options_.costs.enclosing(transmit.enclosure->size()));
      states_[i].last_enclosure = transmit.enclosure;
    }
    peer.enclosures.push({peer.given, std::move(transmit.enclosure)});
  }
  peer.given += transmit.bytes.size();
  own.batch.append(transmit.bytes);
  // The caller's first two frames are its side of the handshake.
  if (records_handshakes && side == 0 && connection.traffic.messages <= 2) {
    std::string& overheard = states_[i].overheard;
    if (connection.traffic.messages == 1) overheard.clear();
    overheard += transmit.bytes.to_string();
  }
  if (!std::exchange(own.batched, true)) states_[i].written.emplace_back(number, side);
}

void Cluster::on(std::uint32_t i, engine::output::Close& close) {
  const auto found = states_[i].links.find(close.link);
  if (found == states_[i].links.end()) return;  // the other side was faster
  const auto [connection, side] = found->second;
  states_[i].links.erase(found);
  spend(i, options_.costs.close);
  if (connection == kNone) {
    if (observer != nullptr) observer->on_close(clock_, i, close.link, kStranger);
    return;
  }
  if (close.abandon) {
    connections_[connection].half[side].batch = {};
  } else {
    write(i, connection, side);
  }
  if (observer != nullptr) observer->on_close(clock_, i, close.link, connections_[connection].half[1 - side].process);
  hang_up(connection, side, clock_, close.abandon);
}

void Cluster::on(std::uint32_t i, engine::output::Adopt& adopt) {
  const auto offered = states_[i].offered.extract(adopt.token);
  BANYAN_ASSERT(!offered.empty());
  connections_[offered.mapped()].half[1].link = adopt.link;
  spend(i, options_.costs.authenticate);
  if (!states_[i].links.emplace(adopt.link, End{offered.mapped(), 1}).second) fault(i, "uses a link id twice");
}

void Cluster::on(std::uint32_t i, node::effect::Connect& connect) {
  if (!states_[i].links.emplace(connect.link, End{}).second) fault(i, "uses a link id twice");
  const bool local = connect.target == node::Target::local;
  spend(i, local ? options_.costs.connect_local : options_.costs.connect_tcp);
  if (observer != nullptr) {
    const Bound* to = listener_at(i, connect);
    observer->on_connect(clock_, i, connect, to == nullptr ? kStranger : to->process);
  }
  at(clock_ + network_.hesitation(), [this, i, connect] { open(i, connect); });
}

void Cluster::on(std::uint32_t i, node::effect::Listen& listen) {
  spend(i, options_.costs.listen);
  at(clock_ + network_.hesitation(), [this, i, listen] { bind(i, listen); });
}

void Cluster::on(std::uint32_t i, node::effect::StopListening& stop) {
  states_[i].listening[static_cast<std::size_t>(stop.listener)] = false;
  std::erase_if(bound_,
                [&](const auto& entry) { return entry.second.process == i && entry.second.listener == stop.listener; });
}

void Cluster::on(std::uint32_t i, node::effect::PauseReading& pause) {
  ++processes_[i].pauses;
  set_paused(i, pause.link, true);
}

void Cluster::on(std::uint32_t i, node::effect::ResumeReading& resume) { set_paused(i, resume.link, false); }

void Cluster::on(std::uint32_t i, node::effect::Formed& formed) {
  Process& process = processes_[i];
  if (process.table || process.failed) fault(i, "forms twice, or after it failed");
  ++milestones_;
  process.table = formed.table;
  process.formed_at = clock_;
  if (observer != nullptr) observer->on_formed(clock_, i);
  spend(i, options_.costs.formed);
}

void Cluster::on(std::uint32_t i, node::effect::Failed& failed) {
  Process& process = processes_[i];
  if (process.failed) fault(i, "fails twice");
  ++milestones_;
  process.failed = failed.failure;
  if (observer != nullptr) observer->on_failed(clock_, i, failed.failure);
  // Half of the programs let the exception end them, which closes the rank.
  if (random_.below(2) == 0 || process.closing || process.kept_open) return;
  at(clock_ + network_.hesitation(), [this, i] {
    if (!processes_[i].closing) call(i, node::Close{});
  });
}

void Cluster::on(std::uint32_t i, node::effect::Notice& notice) { processes_[i].notices.push_back(notice); }

void Cluster::on(std::uint32_t i, node::Completion& completion) {
  Process& process = processes_[i];
  ++milestones_;
  if (process.closing == completion.id && std::holds_alternative<Payload>(completion.result)) {
    process.closed = !process.failed;
    // The driver lets go of the engine there and then, of what it had handed over a little later.
    at(clock_ + network_.hesitation(), [this, i] { exit(i); });
  }
  if (observer != nullptr) observer->on_completion(clock_, i, completion);
  if (on_completion) return on_completion(i, clock_, completion);
  if (!process.completions.emplace(completion.id, completion).second) fault(i, "completes a call twice");
}

// --- listening and connecting --------------------------------------------------------------------------------------

// Where the name or address of a Connect or Listen stands in bound_.
std::string Cluster::key(std::uint32_t i, node::Target target, const Endpoint& endpoint,
                         const std::string& name) const {
  switch (target) {
    case node::Target::rendezvous: return "rendezvous";
    case node::Target::local: return "local " + processes_[i].config.host_key + " " + name;
    case node::Target::host: return "host " + name;
    case node::Target::endpoint: break;
  }
  return endpoint.to_string();
}

void Cluster::bind(std::uint32_t i, const node::effect::Listen& listen) {
  if (!exists(i)) return;
  const bool local = node::on_this_host(listen.listener);
  Endpoint endpoint;
  if (!local) {
    endpoint = processes_[i].address;
    endpoint.port = hosts_[states_[i].host].last_port;
    while (bound_.contains(key(i, node::Target::endpoint, endpoint, {}))) ++endpoint.port;
    hosts_[states_[i].host].last_port = static_cast<std::uint16_t>(endpoint.port + 1);
  }
  const node::Target target = local                                           ? node::Target::local
                              : listen.listener == node::Listener::rendezvous ? node::Target::rendezvous
                                                                              : node::Target::endpoint;
  const Bound own{i, listen.listener};
  if (!bound_.emplace(key(i, target, endpoint, listen.name), own).second) {
    return give(i, engine::input::ListenFailed{listen.listener, "address already in use"});
  }
  states_[i].listening[static_cast<std::size_t>(listen.listener)] = true;
  if (target == node::Target::rendezvous) {
    bound_[key(i, node::Target::endpoint, endpoint, {})] = own;
    const node::Config& config = processes_[i].config;
    if (!config.hosts.empty()) bound_["host " + config.hosts[0]] = own;
  } else if (target == node::Target::endpoint && !listen.name.empty()) {
    bound_["host " + listen.name] = own;
  }
  give(i, engine::input::Listening{listen.listener, endpoint});
}

bool Cluster::wants(std::uint32_t i, LinkId link) const {
  const auto found = states_[i].links.find(link);
  return exists(i) && found != states_[i].links.end() && found->second.connection == kNone;
}

// Who listens where the connection goes to; null: nobody.
const Cluster::Bound* Cluster::listener_at(std::uint32_t i, const node::effect::Connect& connect) const {
  const std::string& name =
      connect.target == node::Target::host ? processes_[i].config.hosts[connect.host_index] : connect.name;
  const auto found = bound_.find(key(i, connect.target, connect.endpoint, name));
  return found == bound_.end() ? nullptr : &found->second;
}

// The same, and whether the way there is open.
Cluster::Way Cluster::find(std::uint32_t i, const node::effect::Connect& connect) const {
  const Bound* listener = listener_at(i, connect);
  if (listener == nullptr) return {Path::refused, {}};
  const Bound& to = *listener;
  if (to.process == kStranger) return {Path::mute, to};
  return {path ? path(i, to.process, connect.target) : Path::open, to};
}

void Cluster::refuse(std::uint32_t i, LinkId link) {
  if (!wants(i, link)) return;
  states_[i].links.erase(link);
  if (observer != nullptr) observer->on_refused(now_, i, link);
  give(i, engine::input::ConnectFailed{link, "connection refused"});
}

void Cluster::open(std::uint32_t i, const node::effect::Connect& connect) {
  if (!wants(i, connect.link)) return;
  if (connect.target == node::Target::local) return open_local(i, connect);
  at(trip_to(i, connect), [this, i, connect] { call_in(i, connect, kFirstRepeat); });
}

// When a packet of process `i` reaches the host that it wants to connect to. Where nobody listens, any host answers.
Time Cluster::trip_to(std::uint32_t i, const node::effect::Connect& connect) {
  const Bound to = find(i, connect).to;
  const std::uint32_t host = states_[i].host;
  const std::uint32_t there = to.process == kStranger ? host + 1 : states_[to.process].host;
  return network_.trip(after_weather(now_, host, there), host, there);
}

Time Cluster::after_weather(Time now, std::uint32_t from, std::uint32_t to) const {
  return weather && from != to ? weather(now, from, to) : now;
}

// A Unix socket: open at once, or refused.
void Cluster::open_local(std::uint32_t i, const node::effect::Connect& connect) {
  const Way way = find(i, connect);
  if (way.path == Path::silent) return;
  if (way.path == Path::refused || (way.path == Path::open && queue_of(way.to) >= options_.accept_queue)) {
    return refuse(i, connect.link);
  }
  const std::uint32_t connection = new_connection(i, connect.link, way);
  connections_[connection].local = true;
  tell_connected(connection);
  if (way.path == Path::open) admit(connection);
  unpin(connection);
}

// The SYN has come. A full accept queue drops it, and the caller's kernel repeats it.
void Cluster::call_in(std::uint32_t i, const node::effect::Connect& connect, Duration repeat) {
  if (!wants(i, connect.link)) return;
  const Way way = find(i, connect);
  if (way.path == Path::silent) return;
  if (way.path == Path::refused) {
    return at(trip_to(i, connect), [this, i, link = connect.link] { refuse(i, link); });
  }
  if (way.path == Path::open && queue_of(way.to) >= options_.accept_queue) {
    if (repeat > kLastRepeat) return;
    return at(now_ + repeat, [this, i, connect, repeat] { call_in(i, connect, repeat * 2); });
  }
  const std::uint32_t number = new_connection(i, connect.link, way);
  const Time known = trip_to(i, connect);
  at(known, [this, number] {
    tell_connected(number);
    unpin(number);
  });
  if (way.path == Path::mute) return;
  ++connections_[number].pins;
  at(known + (known - now_), [this, number] { handshake_complete(number, kFirstRepeat); });
}

// The last packet of TCP's own handshake has come. If the accept queue has filled up meanwhile, it is dropped: the
// connection is open for its caller, and nobody hears what is said on it until the listener's kernel tries again.
void Cluster::handshake_complete(std::uint32_t number, Duration repeat) {
  const Half& callee = connections_[number].half[1];
  const Bound to{callee.process, connections_[number].listener};
  if (callee.open && queue_of(to) >= options_.accept_queue && repeat <= kLastRepeat) {
    return at(now_ + repeat, [this, number, repeat] { handshake_complete(number, repeat * 2); });
  }
  if (!callee.open || !listens(to) || repeat > kLastRepeat) {
    hang_up(number, 1, now_, true);
  } else {
    admit(number);
  }
  unpin(number);
}

// The connection stands in the accept queue.
void Cluster::admit(std::uint32_t number) {
  const Half& callee = connections_[number].half[1];
  ++queue_of({callee.process, connections_[number].listener});
  ++connections_[number].pins;
  give(callee.process, Work{Work::Kind::acceptable, number, 1, nullptr});
}

void Cluster::accept(std::uint32_t i, std::uint32_t number) {
  Connection& connection = connections_[number];
  --queue_of({i, connection.listener});
  spend(i, connection.local ? options_.costs.accept_local : options_.costs.accept_tcp);
  connection.half[1].admitted = true;
  if (!connection.half[1].readable.empty() || connection.half[1].ended) mark_readable(number, 1);
}

// The caller learns that its connection is open, and closes it if it has lost interest.
void Cluster::tell_connected(std::uint32_t number) {
  const std::uint32_t i = connections_[number].half[0].process;
  const LinkId link = connections_[number].half[0].link;
  if (!wants(i, link)) return hang_up(number, 0, now_, false);
  states_[i].links[link] = {number, 0};
  Endpoint own;
  if (!connections_[number].local) {
    own = processes_[i].address;
    own.port = kEphemeralPort;
  }
  give(i, engine::input::Connected{link, own});
}

void Cluster::set_paused(std::uint32_t i, LinkId link, bool paused) {
  const auto found = states_[i].links.find(link);
  if (found == states_[i].links.end() || found->second.connection == kNone) return;
  connections_[found->second.connection].half[found->second.side].paused = paused;
  if (!paused) mark_readable(found->second.connection, found->second.side);
}

// --- carrying bytes ------------------------------------------------------------------------------------------------

// Pinned once.
std::uint32_t Cluster::new_connection(std::uint32_t i, LinkId link, const Way& way) {
  std::uint32_t number = 0;
  if (unused_connections_.empty()) {
    number = static_cast<std::uint32_t>(connections_.size());
    connections_.emplace_back();
  } else {
    number = unused_connections_.back();
    unused_connections_.pop_back();
  }
  Connection& connection = connections_[number];
  connection.half[0].process = i;
  connection.half[0].link = link;
  connection.half[0].admitted = true;
  connection.half[1].process = way.to.process;
  connection.listener = way.to.listener;
  connection.mute = way.path == Path::mute;
  connection.used = true;
  connection.pins = 1;
  ++connections_opened_;
  return number;
}

void Cluster::unpin(std::uint32_t number) {
  Connection& connection = connections_[number];
  BANYAN_ASSERT(connection.pins > 0);
  if (--connection.pins > 0 || !connection.closed()) return;
  ++closed_traffic_.links;
  closed_traffic_.messages += connection.traffic.messages;
  closed_traffic_.bytes += connection.traffic.bytes;
  connection = Connection{};
  unused_connections_.push_back(number);
}

// Hands over to the kernel what the engine has written since it was last done.
void Cluster::flush(std::uint32_t i) {
  auto& written = states_[i].written;
  while (!written.empty()) {
    for (const auto& [connection, side] : std::exchange(written, {})) {
      if (write(i, connection, side)) {
        const Half& own = connections_[connection].half[side];
        feed(i, engine::input::Drained{own.link, connections_[connection].half[1 - side].reported});
      }
    }
  }
}

// Says whether the engine is to hear that the kernel took some of it.
bool Cluster::write(std::uint32_t i, std::uint32_t number, std::uint32_t side) {
  Half& own = connections_[number].half[side];
  own.batched = false;
  if (own.batch.empty()) return false;
  Payload bytes = std::exchange(own.batch, {});
  const std::size_t count = bytes.size();
  spend(i, options_.costs.writing(connections_[number].local, count));
  Half& peer = connections_[number].half[1 - side];
  const std::size_t believed = peer.reported + count;
  send(number, 1 - side, clock_, std::move(bytes));
  peer.reported = queued(peer);
  return peer.reported < believed && own.open;
}

// Of the bytes that are under way to this side, those that the kernels have no room for.
std::size_t Cluster::queued(const Half& receiver) const {
  return receiver.unread - std::min(receiver.unread, options_.socket_buffer);
}

// Without bytes: the end.
void Cluster::send(std::uint32_t number, std::uint32_t to_side, Time time, Payload bytes) {
  Connection& connection = connections_[number];
  Half& to = connection.half[to_side];
  const Half& from = connection.half[1 - to_side];
  if (!to.open || to.process == kStranger) return;
  const std::uint32_t there = states_[to.process].host;
  const std::uint32_t here = from.process == kStranger ? there : states_[from.process].host;
  to.last_arrival =
      std::max(to.last_arrival, network_.arrival(after_weather(time, here, there), here, there, bytes.size()));
  if (observer != nullptr && !bytes.empty())
    observer->on_send({time, to.last_arrival, from.process, to.process}, bytes);
  to.unread += bytes.size();
  to.flight.push(std::move(bytes));
  ++connection.pins;
  events_.plan(to.last_arrival, Event::Kind::arrival, number, to_side);
}

void Cluster::arrive(std::uint32_t number, std::uint32_t side) {
  Half& half = connections_[number].half[side];
  const Payload bytes = half.flight.pop();
  if (bytes.empty()) half.ended = true;
  for (std::size_t i = 0; i < bytes.slice_count(); ++i) half.readable.push(bytes.slice(i));
  mark_readable(number, side);
  unpin(number);
}

void Cluster::mark_readable(std::uint32_t number, std::uint32_t side) {
  Half& half = connections_[number].half[side];
  if (half.marked || !half.open || half.paused || !half.admitted || half.process == kStranger) return;
  if (half.readable.empty() && !half.ended) return;
  half.marked = true;
  ++connections_[number].pins;
  give(half.process, Work{Work::Kind::readable, number, side, nullptr});
}

void Cluster::read(std::uint32_t i, std::uint32_t number, std::uint32_t side) {
  Connection& connection = connections_[number];
  Half& half = connection.half[side];
  half.marked = false;
  if (!half.open || half.paused) return;
  if (half.link == kNoLink && !half.readable.empty()) {
    const AcceptToken token = next_token_ = next(next_token_);
    states_[i].offered[token] = number;
    const Endpoint own = connection.local ? Endpoint{} : processes_[i].address;
    feed(i, engine::input::Accepted{token, connection.listener, own, {}});
    if (!half.open) return;
  }
  if (half.readable.empty()) {
    half.open = false;
    states_[i].links.erase(half.link);
    spend(i, options_.costs.close);
    if (observer != nullptr) observer->on_closed(clock_, i, connection.half[1 - side].process);
    if (half.link != kNoLink) feed(i, engine::input::Closed{half.link, "connection closed by the peer"});
    return;
  }
  read_bytes(i, half, connection.local);
  Half& sender = connection.half[1 - side];
  if (queued(half) < half.reported && sender.open && sender.process != kStranger && !sender.drain_planned) {
    sender.drain_planned = true;
    ++connection.pins;
    events_.plan(network_.trip(clock_, states_[i].host, states_[sender.process].host), Event::Kind::drained, number,
                 1 - side);
  }
  mark_readable(number, side);
}

void Cluster::read_bytes(std::uint32_t i, Half& half, bool local) {
  // What a driver reads in a row, here in one go; each read is paid for.
  std::size_t most = options_.read_bytes * kReadsPerTurn;
  if (options_.small_read != 0) {
    // Mostly large pieces, so that a run takes no ages.
    most = 1 + random_.below(random_.below(4) == 0 ? options_.small_read : options_.read_bytes);
  }
  Payload bytes;
  while (bytes.size() < most && !half.readable.empty()) {
    Slice& front = half.readable.front();
    const std::size_t room = most - bytes.size();
    if (front.size() <= room) {
      bytes.append(half.readable.pop());
    } else {
      bytes.append(front.part(0, room));
      front = front.part(room);
    }
  }
  half.unread -= bytes.size();
  half.taken += bytes.size();
  spend(i, options_.costs.reading(local, bytes.size(), (bytes.size() - 1) / options_.read_bytes + 1));
  // A kernel hands out what is enclosed with the first byte that was sent beside it, and one thing in each read.
  while (half.open && !half.enclosures.empty() && half.enclosures.front().offset < half.taken) {
    const std::size_t before = bytes.size() - (half.taken - half.enclosures.front().offset);
    feed_bytes(i, half, bytes.part(0, before));
    if (!half.open) return;
    bytes = bytes.part(before, bytes.size() - before);
    feed(i, engine::input::Enclosed{half.link, *half.enclosures.pop().bytes});
  }
  feed_bytes(i, half, bytes);
}

void Cluster::feed_bytes(std::uint32_t i, Half& half, const Payload& bytes) {
  if (bytes.empty() || !half.open) return;
  if (options_.small_read != 0) return feed(i, engine::input::BytesReceived{half.link, bytes.flatten()});
  // As they were sent: nothing is copied.
  for (std::size_t slice = 0; slice < bytes.slice_count() && half.open; ++slice) {
    feed(i, engine::input::BytesReceived{half.link, bytes.slice(slice)});
  }
}

void Cluster::drained(std::uint32_t number, std::uint32_t side) {
  Half& own = connections_[number].half[side];
  Half& peer = connections_[number].half[1 - side];
  own.drain_planned = false;
  peer.reported = queued(peer);
  if (own.open && own.link != kNoLink) give(own.process, engine::input::Drained{own.link, peer.reported});
  unpin(number);
}

void Cluster::hang_up(std::uint32_t number, std::uint32_t side, Time time, bool abandon) {
  Connection& connection = connections_[number];
  if (!std::exchange(connection.half[side].open, false)) return;
  Half& peer = connection.half[1 - side];
  if (abandon && options_.small_read != 0) lose_some(peer);
  ++connection.pins;
  send(number, 1 - side, time, {});
  if (peer.process == kStranger) peer.open = false;
  unpin(number);
}

// A reset discards what is on its way, from anywhere on.
void Cluster::lose_some(Half& half) {
  std::size_t kept = random_.below(half.unread + 1);
  for (Payload& bytes : half.flight) {
    if (kept < bytes.size()) {
      half.unread -= bytes.size() - kept;
      bytes = bytes.part(0, kept);
    }
    kept -= bytes.size();
  }
}

template <typename Abandon>
void Cluster::close_all(std::uint32_t i, Abandon abandon) {
  states_[i].listening = {};
  std::erase_if(bound_, [i](const auto& entry) { return entry.second.process == i; });
  states_[i].links.clear();
  for (std::uint32_t number = 0; number < connections_.size(); ++number) {
    for (std::uint32_t side = 0; side < 2; ++side) {
      const Half& half = connections_[number].half[side];
      if (connections_[number].used && half.process == i && half.open) hang_up(number, side, now_, abandon());
    }
  }
}

// The open connection from one process to another, and the receiving side of it.
Cluster::End Cluster::link_into(std::size_t from, std::size_t to) {
  for (std::uint32_t number = 0; number < connections_.size(); ++number) {
    for (std::uint32_t side = 0; side < 2; ++side) {
      const Half& receiver = connections_[number].half[side];
      const Half& sender = connections_[number].half[1 - side];
      if (receiver.process == to && sender.process == from && receiver.open && sender.open) return {number, side};
    }
  }
  BANYAN_ASSERT(!"they are neighbours");
  return {};
}

void Cluster::fault(std::size_t i, const std::string& what) {
  faults_.push_back("rank " + std::to_string(raw(processes_[i].config.rank)) + ": " + what);
}

// FNV-1a, eight bytes at a time.
void Cluster::mix(std::uint64_t value) { digest_ = (digest_ ^ value) * 0x100'0000'01b3u; }

}  // namespace banyan::sim
