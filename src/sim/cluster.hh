// The simulation's driver: a whole job of real engines in one memory, with neither sockets nor threads. It carries out
// what engines ask for as the Asio driver does (connects, listens, carries bytes, closes) on a network and on hosts
// that exist as figures. Time is virtual and jumps from event to event; everything random comes from one seed, so one
// seed is one run, on every machine.
//
//   Cluster cluster({.network = {.latency = microseconds(25)}}, seed);
//   for (...) cluster.add(config, address);
//   cluster.run([&] { return ...; }, after(cluster.now(), seconds(60)));
//
// What no engine may do, whatever happens to it, is written down in faults().
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/random.hh"
#include "engine/engine.hh"
#include "sim/costs.hh"
#include "sim/event_queue.hh"
#include "sim/fifo.hh"
#include "sim/network.hh"
#include "sim/observer.hh"

namespace banyan::sim {

// What becomes of a connection: `silent`: no answer at all; `mute`: it opens, and nothing that is said on it arrives.
enum class Path : std::uint8_t { open, refused, silent, mute };

struct ClusterOptions {
  NetworkOptions network;
  Costs costs;
  // Of each host; 0: one for each of its processes.
  std::uint32_t cores_per_host = 0;
  // One machine plays all hosts, which share those cores.
  bool one_machine = false;
  // Connections that may wait to be accepted, for each listener.
  std::uint32_t accept_queue = 4096;
  // Bytes on their way or unread, each way of a connection, that the kernel holds; more wait in the sender's driver.
  std::size_t socket_buffer = 0;
  // The most bytes that one read yields, as with the Asio driver; and, if `small_read` is not 0, three of four reads
  // yield any number up to it, the fourth any up to `small_read`.
  std::size_t read_bytes = std::size_t{1} << 18;
  std::size_t small_read = 0;

  // Processes' clocks, of which nobody may compare two, differ by up to so much.
  Duration clock_spread{};

  // Nothing costs CPU; every step takes 1 to 101 us, one in fifty up to 5 ms; bytes come in pieces of any size; clocks
  // differ by up to an hour.
  static ClusterOptions erratic(std::uint64_t seed);
};

class Cluster {
 public:
  struct Process {
    node::Config config;
    Endpoint address;  // of its machine; ports are the cluster's
    std::unique_ptr<engine::Engine> engine;
    bool started = false;
    bool alive = true;
    bool exited = false;  // after it closed
    bool frozen = false;
    bool kept_open = false;
    std::shared_ptr<const wire::Table> table;  // once formed
    Time formed_at = kNever;
    std::optional<Failure> failed;
    std::optional<CallId> closing;
    bool closed = false;
    std::vector<node::effect::Notice> notices;
    std::map<CallId, node::Completion> completions;
    std::size_t pauses = 0;  // how often it stopped reading a link
    Time wait = kNever;
    Duration busy{};  // CPU time

    bool over() const { return !alive || frozen || failed || closed; }
  };
  // What went over the wires of one kind.
  struct Traffic {
    std::uint64_t links = 0;
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
  };

  Cluster(const ClusterOptions& options, std::uint64_t seed);
  explicit Cluster(std::uint64_t seed) : Cluster(ClusterOptions::erratic(seed), seed) {}
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // A process on the machine that its host key names; starts after `wait`. Returns its number, which is not its rank.
  std::size_t add(node::Config config, const Endpoint& address, Duration wait = {});

  std::size_t size() const { return processes_.size(); }
  std::uint32_t host_of(std::size_t i) const { return states_[i].host; }
  // Whether it has connections of which it knows that they are open.
  bool connected(std::size_t i) const;
  Process& operator[](std::size_t i) { return processes_[i]; }
  const Process& operator[](std::size_t i) const { return processes_[i]; }
  Time now() const { return now_; }
  Random& random() { return random_; }
  const std::vector<std::string>& faults() const { return faults_; }
  // Opened so far, refused ones not counted.
  std::uint64_t connections() const { return connections_opened_; }
  // Mixed from every input of every engine and its time: equal for equal runs.
  std::uint64_t digest() const { return digest_; }
  std::uint64_t events() const { return events_done_; }
  // Grows whenever a process forms, fails, completes a call or dies.
  std::uint64_t milestones() const { return milestones_; }
  // Of all engines.
  std::uint64_t inputs() const { return inputs_; }
  // What went over a connection that `belongs` to it, by the processes at its two ends; closed ones count as of nobody.
  template <typename Visit>
  void for_each_connection(Visit visit) const {
    for (const Connection& connection : connections_) {
      if (connection.used && !connection.closed()) {
        visit(connection.half[0].process, connection.half[1].process, connection.local, connection.traffic);
      }
    }
  }
  const Traffic& of_closed_connections() const { return closed_traffic_; }

  // How process `from` finds the way to `to`; by default open. Asked for each connection.
  std::function<Path(std::size_t from, std::size_t to, node::Target target)> path;
  // When bytes that could leave host `from` for host `to` at this time do: later, while the way is cut. By default at
  // once. Asked with host keys' numbers, as host_of() gives them.
  std::function<Time(Time now, std::uint32_t from, std::uint32_t to)> weather;
  bool records_handshakes = false;
  // Hears of each completion instead of Process::completions, if set.
  std::function<void(std::size_t i, Time now, const node::Completion&)> on_completion;
  // Watches, if set.
  Observer* observer = nullptr;

  // Runs until `done`, or the events end, or `limit` has come; says whether it is done.
  template <typename Done>
  bool run(Done done, Time limit) {
    while (!done()) {
      if (events_.empty() || events_.next_time() > limit) {
        now_ = std::max(now_, limit);
        return false;
      }
      step();
    }
    return true;
  }
  void run_for(Duration time) {
    run([] { return false; }, after(now_, time));
  }
  // Does `what` at this time.
  void at(Time time, std::function<void()> what);

  CallId call(std::size_t i, decltype(node::Call::operation) operation, Duration timeout = std::chrono::seconds(10));
  // Null while it is pending.
  const node::Completion* result(std::size_t i, CallId id) const;

  // Ends the process as the system would: what it had sent may or may not arrive.
  void kill(std::size_t i);
  // The process stops working and keeps its connections; and goes on.
  void freeze(std::size_t i) { processes_[i].frozen = true; }
  void thaw(std::size_t i);
  // From now on it needs so many times its CPU time, and at least `wake` each time it wakes up.
  void slow_down(std::size_t i, std::int64_t times, Duration wake);
  // One of the process's connections breaks: what is on its way is lost, and both ends hear of it. Whose the other end
  // was; none if it has no connection to one that is `wanted`.
  std::optional<std::size_t> reset(
      std::size_t i, const std::function<bool(std::size_t)>& wanted = [](std::size_t) { return true; });
  // What the process has said last in a handshake of its own, for a stranger who has listened.
  const std::string& overheard(std::size_t i) const { return states_[i].overheard; }

  // The process keeps its rank open when that has failed; others close it, or leave it open, by chance.
  void keep_open(std::size_t i) { processes_[i].kept_open = true; }

  // Bytes that process `to` has yet to read of what `from` has sent it.
  std::size_t unread(std::size_t from, std::size_t to);
  // `from` breaks the rules: it sends this frame to its neighbour `to`, beside what its engine sends.
  void forge(std::size_t from, std::size_t to, const Payload& frame);

  // Someone who is no engine sends these bytes to where process `to` listens, and closes afterwards if `then_close`.
  void stranger(std::size_t to, node::Listener listener, std::string bytes, bool then_close);
  // A stranger holds a Unix name of a machine, and never answers.
  void squat(const std::string& machine, const std::string& name);
  // One listens at the rendezvous, and never answers.
  void squat_rendezvous();

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  struct Beside {
    std::uint64_t offset;  // in the stream, of the first byte that goes with it
    wire::Enclosure bytes;
  };
  struct Half {
    std::uint32_t process = kStranger;
    LinkId link = kNoLink;     // accepting side: none until it is adopted
    Fifo<Payload> flight;      // on its way to this side; an empty one is the end
    Fifo<Slice> readable;      // has come, and is not read yet
    Fifo<Beside> enclosures;   // of bytes that are not read yet
    std::uint64_t given = 0;   // bytes that the other side's engine has handed over for this side
    std::uint64_t taken = 0;   // bytes that have been read
    std::size_t unread = 0;    // bytes of both
    std::size_t reported = 0;  // what the other side's engine believes to be queued in its driver
    Payload batch;             // written by this side's engine and not yet handed to the kernel
    Time last_arrival{};
    bool open = true;
    bool ended = false;  // the end has come, after what is readable
    bool paused = false;
    bool marked = false;    // stands in its process's inbox
    bool admitted = false;  // accepted by its process
    bool batched = false;
    bool drain_planned = false;  // a `drained` event is on its way to this side
  };
  struct Connection {
    std::array<Half, 2> half;  // 0 connected, 1 accepted
    node::Listener listener{};
    std::uint32_t pins = 0;  // what refers to it: events, inboxes
    bool used = false;
    bool local = false;
    bool mute = false;
    Traffic traffic;

    bool closed() const { return !half[0].open && !half[1].open; }
  };
  struct End {
    std::uint32_t connection = kNone;  // none: it is being opened
    std::uint32_t side = 0;
  };
  struct Work {
    enum class Kind : std::uint8_t { input, readable, acceptable } kind{};
    std::uint32_t connection = kNone;
    std::uint32_t side = 0;
    std::unique_ptr<engine::Input> input;
  };
  struct Bound {
    std::uint32_t process = kStranger;
    node::Listener listener{};
  };
  struct Way {
    Path path{};
    Bound to;
  };
  struct Host {
    std::vector<Time> cores;      // when each is free
    Fifo<std::uint32_t> waiting;  // processes that want one
    bool core_planned = false;
    std::uint16_t last_port = 1000;
  };
  // What the driver keeps of a process.
  struct State {
    std::uint32_t host = 0;
    std::uint32_t cores = 0;  // the host whose cores it runs on
    std::map<LinkId, End> links;
    std::map<AcceptToken, std::uint32_t> offered;
    Fifo<Work> inbox;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> written;  // (connection, side) with a batch
    std::array<std::uint32_t, node::kListeners> accept_queue{};    // taken, by listener
    std::array<bool, node::kListeners> listening{};                // by listener
    Time free_at{};                                                // until then it computes
    std::weak_ptr<const Payload> last_enclosure;                   // stands in shared memory already
    Time alarm_at = kNever;
    std::int64_t slowness = 1;
    Duration least_wake{};
    std::string overheard;
    Duration clock_ahead{};  // of the cluster's clock
    bool queued = false;     // for a core, or it has one
    bool asleep = true;
  };

  void step();

  // --- processes and cores ---
  Time own_time(std::size_t i, Time time) const { return after(time, states_[i].clock_ahead); }
  // Its kernel works for it, whether it moves or not.
  bool exists(std::size_t i) const {
    const Process& process = processes_[i];
    return process.started && process.alive && !process.exited;
  }
  bool runs(std::size_t i) const { return exists(i) && !processes_[i].frozen; }
  void give(std::uint32_t i, Work work);
  void give(std::uint32_t i, engine::Input input);
  void want_core(std::uint32_t i);
  void take_core(std::uint32_t i);
  void hand_out_cores(std::uint32_t host);
  void turn(std::uint32_t i, Time* core);
  void work_off_inbox(std::uint32_t i, Time until);
  void clear_inbox(std::uint32_t i);
  void plan_alarm(std::uint32_t i);
  void alarm(std::uint32_t i, Time planned);
  void spend(std::uint32_t i, Duration cost);
  void spend(std::uint32_t i, std::int64_t nanoseconds) { spend(i, Duration(nanoseconds)); }
  void exit(std::uint32_t i);

  // --- the engine's two doors ---
  void feed(std::uint32_t i, engine::Input input);
  void show(std::uint32_t i, const engine::Input& input) const;
  void on(std::uint32_t i, engine::output::Wait& wait);
  void on(std::uint32_t i, engine::output::Transmit& transmit);
  void on(std::uint32_t i, engine::output::Close& close);
  void on(std::uint32_t i, engine::output::Adopt& adopt);
  void on(std::uint32_t i, node::effect::Connect& connect);
  void on(std::uint32_t i, node::effect::Listen& listen);
  void on(std::uint32_t i, node::effect::StopListening& stop);
  void on(std::uint32_t i, node::effect::PauseReading& pause);
  void on(std::uint32_t i, node::effect::ResumeReading& resume);
  void on(std::uint32_t i, node::effect::Formed& formed);
  void on(std::uint32_t i, node::effect::Failed& failed);
  void on(std::uint32_t i, node::effect::Notice& notice);
  void on(std::uint32_t i, node::Completion& completion);

  // --- listening and connecting ---
  std::string key(std::uint32_t i, node::Target target, const Endpoint& endpoint, const std::string& name) const;
  void bind(std::uint32_t i, const node::effect::Listen& listen);
  bool listens(const Bound& own) const {
    return states_[own.process].listening[static_cast<std::size_t>(own.listener)];
  }
  std::uint32_t& queue_of(const Bound& to) {
    return states_[to.process].accept_queue[static_cast<std::size_t>(to.listener)];
  }
  const Bound* listener_at(std::uint32_t i, const node::effect::Connect& connect) const;
  Way find(std::uint32_t i, const node::effect::Connect& connect) const;
  bool wants(std::uint32_t i, LinkId link) const;
  void open(std::uint32_t i, const node::effect::Connect& connect);
  void open_local(std::uint32_t i, const node::effect::Connect& connect);
  Time trip_to(std::uint32_t i, const node::effect::Connect& connect);
  Time after_weather(Time now, std::uint32_t from, std::uint32_t to) const;
  void call_in(std::uint32_t i, const node::effect::Connect& connect, Duration repeat);
  void handshake_complete(std::uint32_t connection, Duration repeat);
  void tell_connected(std::uint32_t connection);
  void refuse(std::uint32_t i, LinkId link);
  void admit(std::uint32_t connection);
  void accept(std::uint32_t i, std::uint32_t connection);
  void set_paused(std::uint32_t i, LinkId link, bool paused);

  // --- carrying bytes ---
  std::uint32_t new_connection(std::uint32_t i, LinkId link, const Way& way);
  void unpin(std::uint32_t connection);
  void flush(std::uint32_t i);
  bool write(std::uint32_t i, std::uint32_t connection, std::uint32_t side);
  void send(std::uint32_t connection, std::uint32_t to_side, Time time, Payload bytes);
  void arrive(std::uint32_t connection, std::uint32_t side);
  void mark_readable(std::uint32_t connection, std::uint32_t side);
  void read(std::uint32_t i, std::uint32_t connection, std::uint32_t side);
  void read_bytes(std::uint32_t i, Half& half, bool local);
  void feed_bytes(std::uint32_t i, Half& half, const Payload& bytes);
  void drained(std::uint32_t connection, std::uint32_t side);
  std::size_t queued(const Half& receiver) const;
  void hang_up(std::uint32_t connection, std::uint32_t side, Time time, bool abandon);
  void lose_some(Half& half);
  template <typename Abandon>
  void close_all(std::uint32_t i, Abandon abandon);
  End link_into(std::size_t from, std::size_t to);

  void fault(std::size_t i, const std::string& what);
  void mix(std::uint64_t value);

  const ClusterOptions options_;
  Random random_;
  Random clocks_;  // apart, so that clocks change nothing else
  Network network_;
  Time now_{};
  // Of the process whose turn it is: ahead of now_ by what it has spent.
  Time clock_{};
  EventQueue events_;
  std::deque<Process> processes_;
  std::deque<State> states_;
  std::deque<Host> hosts_;
  std::unordered_map<std::string, std::uint32_t> host_numbers_;
  std::deque<Connection> connections_;
  std::vector<std::uint32_t> unused_connections_;
  std::unordered_map<std::string, Bound> bound_;
  std::vector<std::function<void()>> actions_;
  std::vector<std::uint32_t> unused_actions_;
  AcceptToken next_token_{};
  CallId next_call_{};
  std::vector<std::string> faults_;
  Traffic closed_traffic_;
  std::uint64_t connections_opened_ = 0;
  std::uint64_t events_done_ = 0;
  std::uint64_t milestones_ = 0;
  std::uint64_t inputs_ = 0;
  std::uint64_t digest_ = 0xcbf2'9ce4'8422'2325u;
};

}  // namespace banyan::sim
