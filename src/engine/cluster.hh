// For tests: a whole job of real engines in one memory, with neither sockets nor threads. The cluster carries out what
// engines ask for as a driver would: it connects, listens, carries bytes and closes. A seed decides how long each thing
// takes and into what pieces bytes fall; time is virtual and jumps from event to event, so one seed is one run.
//
//   Cluster cluster(seed);
//   for (...) cluster.add(config, address);
//   cluster.run([&] { return ...; }, after(cluster.now(), seconds(60)));
//
// What no engine may do, whatever happens to it, is written down in faults().
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "base/assert.hh"
#include "base/random.hh"
#include "engine/engine.hh"

namespace banyan::engine {

class Cluster {
 public:
  // What becomes of a connection: `silent`: no answer at all; `mute`: it opens, and nothing that is said on it arrives.
  enum class Path : std::uint8_t { open, refused, silent, mute };

  struct Process {
    node::Config config;
    Endpoint address;  // of its machine; ports are the cluster's
    std::unique_ptr<Engine> engine;
    bool started = false;
    bool alive = true;
    bool exited = false;  // after it closed
    bool frozen = false;
    std::shared_ptr<const wire::Table> table;  // once formed
    std::optional<Failure> failed;
    std::optional<CallId> closing;
    bool closed = false;
    std::vector<node::effect::Notice> notices;
    std::map<CallId, node::Completion> completions;
    std::size_t pauses = 0;  // how often it stopped reading a link
    Time wait = kNever;

    bool over() const { return !alive || frozen || failed || closed; }
  };

  explicit Cluster(std::uint64_t seed) : random_(seed) {
    constexpr std::array<std::size_t, 4> kPieces{16, 256, 4096, std::size_t{1} << 20};
    piece_ = kPieces[random_.below(kPieces.size())];
  }

  // A process on the machine that its host key names; starts after `wait`. Returns its number, which is not its rank.
  std::size_t add(node::Config config, const Endpoint& address, Duration wait = {}) {
    const std::size_t i = processes_.size();
    Process process;
    process.config = config;
    process.address = address;
    process.engine = std::make_unique<Engine>(std::move(config));
    processes_.push_back(std::move(process));
    states_.emplace_back();
    at(after(now_, wait), [this, i] {
      processes_[i].started = true;
      feed(i, input::Start{});
    });
    return i;
  }

  std::size_t size() const { return processes_.size(); }
  Process& operator[](std::size_t i) { return processes_[i]; }
  Time now() const { return now_; }
  Random& random() { return random_; }
  const std::vector<std::string>& faults() const { return faults_; }
  std::uint64_t connections() const { return connections_.size(); }

  // How process `from` finds the way to `to`; by default open. Asked for each connection.
  std::function<Path(std::size_t from, std::size_t to, node::Target target)> path;

  // Runs until `done`, or the events end, or `limit` has come; says whether it is done.
  template <typename Done>
  bool run(Done done, Time limit) {
    while (!done()) {
      if (events_.empty() || events_.begin()->first.first > limit) {
        now_ = std::max(now_, limit);
        return false;
      }
      auto event = events_.extract(events_.begin());
      now_ = event.key().first;
      event.mapped()();
    }
    return true;
  }
  void run_for(Duration time) {
    run([] { return false; }, after(now_, time));
  }

  CallId call(std::size_t i, decltype(node::Call::operation) operation, Duration timeout = std::chrono::seconds(10)) {
    const CallId id = next_call_ = next(next_call_);
    if (std::holds_alternative<node::Close>(operation)) processes_[i].closing = id;
    feed(i, node::Call{id, after(now_, timeout), std::move(operation)});
    return id;
  }
  // Null while it is pending.
  const node::Completion* result(std::size_t i, CallId id) const {
    const auto found = processes_[i].completions.find(id);
    return found == processes_[i].completions.end() ? nullptr : &found->second;
  }

  // Ends the process as the system would: what it had sent may or may not arrive.
  void kill(std::size_t i) {
    processes_[i].alive = false;
    close_all(i, [this] { return random_.below(2) == 0; });
  }
  // The process stops working and keeps its connections.
  void freeze(std::size_t i) { processes_[i].frozen = true; }

  // Bytes that process `to` has yet to read of what `from` has sent it.
  std::size_t unread(std::size_t from, std::size_t to) {
    const auto [connection, side] = link_into(from, to);
    return connection->half[side].inbound.size();
  }
  // `from` breaks the rules: it sends this frame to its neighbour `to`, beside what its engine sends.
  void forge(std::size_t from, std::size_t to, const Payload& frame) {
    const auto [connection, side] = link_into(from, to);
    connection->half[side].inbound += frame.to_string();
    schedule(connection, side);
  }

  // Someone who is no engine sends these bytes to where process `to` listens, and closes afterwards if `then_close`.
  void stranger(std::size_t to, node::Listener listener, std::string bytes, bool then_close) {
    auto connection = std::make_shared<Connection>();
    connection->half[0] = {kStranger, kNoLink, {}, false, true, false, false};
    connection->half[1] = {to, kNoLink, std::move(bytes), false, true, then_close, false};
    connection->listener = listener;
    connections_.push_back(connection);
    schedule(connection, 1);
  }
  // A stranger holds a Unix name of a machine, and never answers.
  void squat(const std::string& machine, const std::string& name) {
    bound_["local " + machine + " " + name] = Bound{kStranger, node::Listener::local};
  }

 private:
  static constexpr std::size_t kStranger = SIZE_MAX;

  struct Half {
    std::size_t process = kStranger;
    LinkId link = kNoLink;  // accepting side: none until it is adopted
    std::string inbound;
    bool scheduled = false;
    bool open = true;
    bool ended = false;  // the other side has closed: after `inbound` comes Closed
    bool paused = false;
  };
  struct Connection {
    std::array<Half, 2> half;  // 0 connected, 1 accepted
    node::Listener listener{};
    bool mute = false;
  };
  using Shared = std::shared_ptr<Connection>;
  struct Bound {
    std::size_t process;
    node::Listener listener;
  };
  struct State {
    std::map<LinkId, std::pair<Shared, std::size_t>> links;  // also those that are being opened, with null
    std::map<AcceptToken, Shared> offered;
  };

  template <typename Abandon>
  void close_all(std::size_t i, Abandon abandon) {
    for (const auto& connection : connections_) {
      for (std::size_t side = 0; side < 2; ++side) {
        if (connection->half[side].process == i && connection->half[side].open) hang_up(connection, side, abandon());
      }
    }
    std::erase_if(bound_, [i](const auto& entry) { return entry.second.process == i; });
  }

  // The open connection from one process to another, and the receiving side of it.
  std::pair<Shared, std::size_t> link_into(std::size_t from, std::size_t to) {
    for (const auto& connection : connections_) {
      for (std::size_t side = 0; side < 2; ++side) {
        const auto& [receiver, sender] = std::tie(connection->half[side], connection->half[1 - side]);
        if (receiver.process == to && sender.process == from && receiver.open && sender.open) return {connection, side};
      }
    }
    BANYAN_ASSERT(!"they are neighbours");
    return {};
  }

  Duration delay() {
    const std::uint64_t most = random_.below(50) == 0 ? 5'000'000 : 100'000;
    return Duration(static_cast<Duration::rep>(1'000 + random_.below(most)));
  }
  void at(Time time, std::function<void()> what) { events_.emplace(std::pair(time, ++sequence_), std::move(what)); }
  void later(std::function<void()> what) { at(after(now_, delay()), std::move(what)); }
  void fault(std::size_t i, const std::string& what) {
    faults_.push_back("rank " + std::to_string(raw(processes_[i].config.rank)) + ": " + what);
  }

  bool runs(std::size_t i) const {
    const Process& process = processes_[i];
    return process.started && process.alive && !process.exited && !process.frozen;
  }
  void feed(std::size_t i, Input input) {
    Process& process = processes_[i];
    if (!runs(i)) return;
    process.engine->handle(now_, std::move(input));
    for (;;) {
      Output output = process.engine->poll();
      if (const auto* wait = std::get_if<output::Wait>(&output)) {
        process.wait = wait->deadline;
        break;
      }
      std::visit([&](auto& some) { carry_out(i, some); }, output);
    }
    if (process.wait == kNever) {
      if (!process.table && !process.failed && !process.closed) fault(i, "waits for ever for the job to form");
      return;
    }
    at(std::max(process.wait, now_), [this, i, wait = process.wait] {
      if (processes_[i].wait == wait) feed(i, input::Tick{});
    });
  }

  void carry_out(std::size_t, output::Wait&) {}
  void carry_out(std::size_t i, output::Transmit& transmit) {
    const auto found = states_[i].links.find(transmit.link);
    if (found == states_[i].links.end() || !found->second.first)
      return fault(i, "transmits on a link that is not open");
    const auto& [connection, side] = found->second;
    Half& peer = connection->half[1 - side];
    if (!peer.open || connection->mute) return;
    peer.inbound += transmit.bytes.to_string();
    schedule(connection, 1 - side);
  }
  void carry_out(std::size_t i, output::Close& close) {
    const auto found = states_[i].links.find(close.link);
    if (found == states_[i].links.end()) return;  // the other side was faster
    const auto [connection, side] = found->second;
    states_[i].links.erase(found);
    if (connection) hang_up(connection, side, close.abandon);
  }
  void carry_out(std::size_t i, output::Adopt& adopt) {
    const Shared connection = states_[i].offered.at(adopt.token);
    states_[i].offered.erase(adopt.token);
    connection->half[1].link = adopt.link;
    if (!states_[i].links.emplace(adopt.link, std::pair(connection, std::size_t{1})).second)
      fault(i, "uses a link id twice");
  }
  void carry_out(std::size_t i, node::effect::Connect& connect) {
    if (!states_[i].links.emplace(connect.link, std::pair(nullptr, std::size_t{0})).second)
      fault(i, "uses a link id twice");
    later([this, i, connect] { open(i, connect); });
  }
  void carry_out(std::size_t i, node::effect::Listen& listen) {
    later([this, i, listen] { bind(i, listen); });
  }
  void carry_out(std::size_t i, node::effect::StopListening& stop) {
    std::erase_if(
        bound_, [&](const auto& entry) { return entry.second.process == i && entry.second.listener == stop.listener; });
  }
  void carry_out(std::size_t i, node::effect::PauseReading& pause) {
    ++processes_[i].pauses;
    set_paused(i, pause.link, true);
  }
  void carry_out(std::size_t i, node::effect::ResumeReading& resume) { set_paused(i, resume.link, false); }
  void carry_out(std::size_t i, node::effect::Formed& formed) {
    if (processes_[i].table || processes_[i].failed) fault(i, "forms twice, or after it failed");
    processes_[i].table = formed.table;
  }
  void carry_out(std::size_t i, node::effect::Failed& failed) {
    if (processes_[i].failed) fault(i, "fails twice");
    processes_[i].failed = failed.failure;
    // Half of the programs let the exception end them, which closes the rank.
    if (random_.below(2) == 0 || processes_[i].closing) return;
    later([this, i] {
      if (!processes_[i].closing) call(i, node::Close{});
    });
  }
  void carry_out(std::size_t i, node::effect::Notice& notice) { processes_[i].notices.push_back(notice); }
  void carry_out(std::size_t i, node::Completion& completion) {
    if (processes_[i].closing == completion.id && std::holds_alternative<Payload>(completion.result)) {
      processes_[i].closed = !processes_[i].failed;
      // The driver lets go of the engine there and then, of what it had handed over a little later.
      later([this, i] {
        processes_[i].exited = true;
        close_all(i, [] { return false; });
      });
    }
    if (!processes_[i].completions.emplace(completion.id, completion).second) fault(i, "completes a call twice");
  }

  // Where the name or address of a Connect or Listen stands in bound_.
  std::string key(std::size_t i, node::Target target, const Endpoint& endpoint, const std::string& name) const {
    switch (target) {
      case node::Target::rendezvous: return "rendezvous";
      case node::Target::local: return "local " + processes_[i].config.host_key + " " + name;
      case node::Target::host: return "host " + name;
      case node::Target::endpoint: break;
    }
    return "port " + std::to_string(endpoint.port);
  }
  void open(std::size_t i, const node::effect::Connect& connect) {
    const auto asked = states_[i].links.find(connect.link);
    if (!runs(i) || asked == states_[i].links.end()) return;
    const std::string& name =
        connect.target == node::Target::host ? processes_[i].config.hosts.at(connect.host_index) : connect.name;
    const auto found = bound_.find(key(i, connect.target, connect.endpoint, name));
    Path way = found == bound_.end() ? Path::refused : found->second.process == kStranger ? Path::mute : Path::open;
    if (way == Path::open && path) way = path(i, found->second.process, connect.target);
    if (way == Path::silent) return;
    if (way == Path::refused) {
      states_[i].links.erase(asked);
      return feed(i, input::ConnectFailed{connect.link, "connection refused"});
    }
    auto connection = std::make_shared<Connection>();
    connection->half[0].process = i;
    connection->half[0].link = connect.link;
    connection->half[1].process = found->second.process;
    connection->listener = found->second.listener;
    connection->mute = way == Path::mute;
    connections_.push_back(connection);
    asked->second = {connection, 0};
    feed(i, input::Connected{connect.link, connect.target == node::Target::local ? Endpoint{} : address(i)});
  }
  void bind(std::size_t i, const node::effect::Listen& listen) {
    if (!runs(i)) return;
    const Endpoint endpoint = listen.listener == node::Listener::local ? Endpoint{} : address(i);
    const node::Target target = listen.listener == node::Listener::local        ? node::Target::local
                                : listen.listener == node::Listener::rendezvous ? node::Target::rendezvous
                                                                                : node::Target::endpoint;
    if (!bound_.emplace(key(i, target, endpoint, listen.name), Bound{i, listen.listener}).second) {
      return feed(i, input::ListenFailed{listen.listener, "address already in use"});
    }
    if (target == node::Target::rendezvous) {
      bound_[key(i, node::Target::endpoint, endpoint, {})] = {i, listen.listener};
      if (!processes_[i].config.hosts.empty())
        bound_["host " + processes_[i].config.hosts.front()] = {i, listen.listener};
    } else if (target == node::Target::endpoint && !listen.name.empty()) {
      bound_["host " + listen.name] = {i, listen.listener};
    }
    feed(i, input::Listening{listen.listener, endpoint});
  }
  Endpoint address(std::size_t i) {
    Endpoint endpoint = processes_[i].address;
    endpoint.port = ++last_port_;
    return endpoint;
  }
  void set_paused(std::size_t i, LinkId link, bool paused) {
    const auto found = states_[i].links.find(link);
    if (found == states_[i].links.end() || !found->second.first) return;
    found->second.first->half[found->second.second].paused = paused;
    if (!paused) schedule(found->second.first, found->second.second);
  }

  void hang_up(const Shared& connection, std::size_t side, bool abandon) {
    connection->half[side].open = false;
    Half& peer = connection->half[1 - side];
    if (abandon && !peer.inbound.empty()) peer.inbound.resize(random_.below(peer.inbound.size() + 1));
    peer.ended = true;
    schedule(connection, 1 - side);
  }
  void schedule(const Shared& connection, std::size_t side) {
    Half& half = connection->half[side];
    if (half.scheduled || !half.open || half.process == kStranger) return;
    half.scheduled = true;
    later([this, connection, side] { arrive(connection, side); });
  }
  void arrive(const Shared& connection, std::size_t side) {
    Half& half = connection->half[side];
    half.scheduled = false;
    const std::size_t i = half.process;
    if (!half.open || half.paused || !runs(i)) return;
    if (half.link == kNoLink) {
      if (half.inbound.empty()) return;
      const AcceptToken token = next_token_ = next(next_token_);
      states_[i].offered[token] = connection;
      const bool local = connection->listener == node::Listener::local;
      feed(i, input::Accepted{token, connection->listener, local ? Endpoint{} : processes_[i].address, {}});
      if (!half.open) return;
    }
    if (half.inbound.empty()) {
      if (!half.ended) return;
      half.open = false;
      states_[i].links.erase(half.link);
      return feed(i, input::Closed{half.link, "connection closed by the peer"});
    }
    // Mostly large pieces, so that a run takes no ages.
    const std::size_t most = random_.below(4) == 0 ? piece_ : std::size_t{1} << 17;
    const std::size_t count = 1 + random_.below(std::min(most, half.inbound.size()));
    const Slice bytes = Slice::copy(std::string_view(half.inbound).substr(0, count));
    half.inbound.erase(0, count);
    if (!half.inbound.empty() || half.ended) schedule(connection, side);
    const Half& sender = connection->half[1 - side];
    feed(i, input::BytesReceived{half.link, bytes});
    if (sender.open && sender.process != kStranger && sender.link != kNoLink) {
      feed(sender.process, input::Drained{sender.link, half.inbound.size()});
    }
  }

  Random random_;
  std::size_t piece_;
  Time now_{};
  std::uint64_t sequence_ = 0;
  std::map<std::pair<Time, std::uint64_t>, std::function<void()>> events_;
  std::vector<Process> processes_;
  std::vector<State> states_;
  std::vector<Shared> connections_;
  std::map<std::string, Bound> bound_;
  std::uint16_t last_port_ = 1000;
  AcceptToken next_token_{};
  CallId next_call_{};
  std::vector<std::string> faults_;
};

}  // namespace banyan::engine
