// Runs one engine: hands it inputs, carries its outputs out in order, and keeps what belongs to them: its links, tries
// to connect, listeners, deadline and what its rank was asked for. Belongs to the driving thread, but for what is
// marked.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "driver/sockets/alarms.hh"
#include "driver/sockets/connect_attempt.hh"
#include "driver/sockets/descriptor.hh"
#include "driver/sockets/interface_choice.hh"
#include "driver/sockets/listeners.hh"
#include "driver/sockets/outcome.hh"
#include "driver/sockets/rank_options.hh"
#include "engine/machine.hh"

namespace banyan::driver {

class Acceptor;
class Link;
struct Caller;
struct Process;

class EngineRunner final : public std::enable_shared_from_this<EngineRunner>, private Alarm {
 public:
  EngineRunner(Process& process, RankOptions options, InterfaceChoice choice, std::unique_ptr<engine::Machine> machine);
  ~EngineRunner();

  // --- from any thread ---
  const RankOptions& options() const { return options_; }
  const node::Config& config() const { return options_.config; }
  const InterfaceChoice& interface_choice() const { return choice_; }
  CallId next_call_id() { return CallId{last_call_id_.fetch_add(1, std::memory_order_relaxed) + 1}; }
  std::optional<Failure> failure() const;

  // --- what the rank's owner wants ---
  void start(std::shared_ptr<Promise> promise);
  void call(node::Call call, std::shared_ptr<Promise> promise);
  void close();
  bool open() const { return machine_ != nullptr; }
  JobId job() const { return machine_ ? machine_->job() : JobId{}; }
  node::Statistics statistics() const;
  // Where to listen. A name that nobody knows yet may be known in a moment (that of a pod, for example), so it is asked
  // for until there is an answer; how long that may take is the engine's affair. No addresses once the rank is over.
  TaskOf<Resolved> resolve_patiently(std::shared_ptr<EngineRunner> self, HostAndPort target);
  // The driver itself can't go on.
  void fail(Failure failure);

  // --- what happens outside; each is handed to the engine now, or once it has done with the input it is busy with ---
  void feed(engine::Input input);
  // Asks the engine to close a connection that has proved nothing; says whether it did.
  bool make_room();
  void offer(const Caller& caller, Descriptor descriptor, Slice first_bytes);
  void connected(const ConnectAttempt& attempt, Descriptor descriptor, const Endpoint& local);
  void connect_failed(LinkId link, std::string reason);
  void link_closed(LinkId link, const std::string& reason);

 private:
  struct Offer {
    Descriptor descriptor;
    bool local = false;
    Slice first_bytes;
  };

  void work_off() noexcept;  // what throws leaves an engine half fed
  void drain();
  void flush_links();
  void schedule();
  void on_alarm(Time now) override;

  // One for each output that is not Wait.
  void carry_out(engine::output::Transmit& transmit);
  void carry_out(engine::output::Close& close);
  void carry_out(engine::output::Adopt& adopt);
  void carry_out(node::effect::Connect& connect);
  void carry_out(node::effect::Listen& listen);
  void carry_out(node::effect::StopListening& stop);
  void carry_out(node::effect::PauseReading& pause);
  void carry_out(node::effect::ResumeReading& resume);
  void carry_out(node::effect::Formed& formed);
  void carry_out(node::effect::Failed& failed);
  void carry_out(node::effect::Notice& notice);
  void carry_out(node::Completion& completion);
  void carry_out(engine::output::Wait& wait) { deadline_ = wait.deadline; }

  void add_link(LinkId id, bool local, Descriptor descriptor);
  void leave_unanswered(const Link& link);
  Task listen_at_rendezvous(std::shared_ptr<EngineRunner> self);
  Task listen_at_host(std::shared_ptr<EngineRunner> self, std::string host);
  void listening(node::Listener listener, Listeners::Opened opened);
  void warn(const std::string& text) const;
  void end_calls(const Failure& failure);

  Process& process_;
  RankOptions options_;
  const InterfaceChoice choice_;
  std::unique_ptr<engine::Machine> machine_;  // none once closed

  std::deque<engine::Input> inputs_;
  bool busy_ = false;
  bool continuation_posted_ = false;
  Time deadline_ = kNever;
  bool tick_posted_ = false;

  std::unordered_map<LinkId, std::shared_ptr<Link>> links_;
  std::vector<std::shared_ptr<Link>> written_;  // links with bytes of this drain
  std::unordered_map<LinkId, std::shared_ptr<ConnectAttempt>> attempts_;
  std::optional<LeftOff> left_off_;                   // by the last search that was in vain
  std::optional<std::pair<LinkId, LeftOff>> opened_;  // by the last one that was not
  std::unordered_map<AcceptToken, Offer> offers_;
  Socket inherited_;                                                   // the rendezvous, until the engine listens there
  std::array<std::shared_ptr<Acceptor>, node::kListeners> acceptors_;  // by node::Listener

  bool started_ = false;
  std::shared_ptr<Promise> start_;
  std::unordered_map<CallId, std::shared_ptr<Promise>> calls_;
  std::atomic<std::uint64_t> last_call_id_{0};
  std::optional<Failure> failure_;  // unchanging once it is published:
  std::atomic<bool> failed_{false};
};

}  // namespace banyan::driver
