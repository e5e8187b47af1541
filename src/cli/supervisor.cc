#include "cli/supervisor.hh"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include <fmt/format.h>

#include "cli/descendants.hh"
#include "cli/error.hh"
#include "cli/process.hh"
#include "cli/rendezvous.hh"
#include "cli/signals.hh"
#include "driver/sockets/clock.hh"

namespace banyan::cli {
namespace {

constexpr std::size_t kJobIdBytes = 16;
constexpr std::size_t kSecretBytes = 32;
// Ranks started between two looks at the others: signals and output wait for some milliseconds at most.
constexpr int kStartsPerTurn = 16;
// Two interrupts closer together than this are one: `timeout`, for example, signals a process and then its group.
constexpr Duration kInterruptGap = std::chrono::milliseconds(200);
// What ranks left behind dies at once unless it is stuck in the kernel.
constexpr Duration kSweepPatience = std::chrono::seconds(5);
// Descriptors per rank (stdout, stderr, exit event), and those that the launcher needs besides.
constexpr std::uint64_t kDescriptorsPerRank = 3;
constexpr std::uint64_t kDescriptorsPerRankWithoutPrefix = 1;
constexpr std::uint64_t kOtherDescriptors = 64;

Duration seconds(double count) { return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(count)); }

void check_descriptors(const Job& job, const RunOptions& options) {
  const std::uint64_t per_rank = options.no_prefix ? kDescriptorsPerRankWithoutPrefix : kDescriptorsPerRank;
  const std::uint64_t needed = job.world_size * per_rank + job.host_addresses.size() + kOtherDescriptors;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= needed) return;
  throw Error(kExitOwnFailure,
              fmt::format("{} ranks take {} descriptors, and the limit is {} (ulimit -Hn){}", job.world_size, needed,
                          limit.rlim_cur, options.no_prefix ? "" : "; --no-prefix takes fewer"));
}

Error cannot_start(Rank rank, const std::string& command, int error) {
  switch (error) {
    case EAGAIN:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      return Error(kExitOwnFailure, fmt::format("cannot start rank {}: {}", raw(rank), std::strerror(error)));
    case ENOENT: return Error(kExitNotExecutable, fmt::format("cannot run '{}': its interpreter is missing", command));
    default: return Error(kExitNotExecutable, fmt::format("cannot run '{}': {}", command, std::strerror(error)));
  }
}

}  // namespace

Supervisor::Supervisor(const RunOptions& options, Command command, Inheritance inheritance, Descriptor foreground_alive)
    : options_(options),
      command_(std::move(command)),
      inheritance_(std::move(inheritance)),
      foreground_alive_(std::move(foreground_alive)),
      signals_(signal_descriptor()),
      null_device_(open_null_device()),
      exits_(::epoll_create1(EPOLL_CLOEXEC)),
      ranks_(options.ranks),
      to_start_(options.ranks),
      outcomes_(options.ranks),
      escalation_(seconds(options.kill_after_s)) {
  if (!exits_) throw system_error("watch the ranks");
  set_nonblocking(foreground_alive_);
  if (!options.no_prefix) output_.emplace(console_, options.ranks);
  // Ranks that write to the terminal themselves would write into the line.
  rewrite_progress_ = options.progress == "auto" && !options.quiet && !options.no_prefix && stderr_is_terminal();

  job_.world_size = options.ranks;
  job_.ranks_per_host = options.ranks_per_host;
  job_.timeout = options.timeout;
  job_.fan_out = options.fan_out;
  job_.id = random_hex(kJobIdBytes);
  job_.secret = random_hex(kSecretBytes);
}

int Supervisor::run() {
  try {
    take_ports();
    environments_.emplace(job_);
    check_descriptors(job_, options_);
  } catch (const Error& error) {
    fail(error, driver::now());
  }
  while (!finished()) {
    const Time now = driver::now();
    start_more_ranks(now);
    console_.flush();
    wait_for_events(now);
    if (foreground_gone()) {
      kill_descendants(kSweepPatience);
      return kExitOwnFailure;
    }
    const Time then = driver::now();
    take_signals(then);
    take_exits(then);
    escalate(then);
    take_notices();
    take_output();
    sweep();
    report();
  }
  return exit_code();
}

// --- starting --------------------------------------------------------------------------------------------------------

void Supervisor::take_ports() {
  const driver::HostAndPort host_port = parse_host_port(options_.rendezvous);
  TakenPort rendezvous = listen_on(host_port);
  job_.rendezvous = rendezvous.address;
  rendezvous_ = std::move(rendezvous.socket);
  if (!options_.computed && !options_.listed_hosts) return;
  const std::uint32_t listed = std::min(options_.listed_hosts.value_or(job_.host_count()), job_.host_count());
  job_.host_addresses.push_back(job_.rendezvous);
  while (job_.host_addresses.size() < listed) {
    TakenPort leader = hold_port(host_port.host);
    job_.host_addresses.push_back(leader.address);
    held_ports_.push_back(std::move(leader.socket));
  }
}

void Supervisor::start_more_ranks(Time now) {
  try {
    for (int i = 0; i < kStartsPerTurn && starting(); ++i) {
      start_rank(Rank{started_});
      ++started_;
    }
  } catch (const Error& error) {
    fail(error, now);
  }
}

void Supervisor::start_rank(Rank rank) {
  const bool root = rank == kRootRank;
  std::vector<int> inherited;
  Descriptor progress;
  if (root) {
    inherited.push_back(rendezvous_.get());
    environments_->add("BANYAN_RENDEZVOUS_FD", std::to_string(rendezvous_.get()));
    if (rewrite_progress_ || (options_.progress == "plain" && !options_.quiet)) {
      progress = progress_.open();
      inherited.push_back(progress.get());
      environments_->add("BANYAN_PROGRESS_FD", std::to_string(progress.get()));
    }
  }
  const Descriptor out = output_ ? output_->add(rank, Stream::out) : Descriptor();
  const Descriptor err = output_ ? output_->add(rank, Stream::err) : Descriptor();
  const int root_input = inheritance_.keyboard ? inheritance_.keyboard.get() : STDIN_FILENO;

  ProcessRequest request{
      .path = command_.path(),
      .arguments = command_.arguments(),
      .environment = environments_->block_of(rank),
      .standard_input = root ? root_input : null_device_.get(),
      .standard_output = out ? out.get() : STDOUT_FILENO,
      .standard_error = err ? err.get() : STDERR_FILENO,
      .inherited = inherited,
      .signal_mask = inheritance_.signal_mask,
      .descriptor_limit = inheritance_.descriptor_limit,
  };
  StartedProcess process = start_process(request);
  if (process.error == ENOEXEC) {
    command_.run_by_shell();
    request.path = command_.path();
    request.arguments = command_.arguments();
    process = start_process(request);
  }
  if (process.error != 0) throw cannot_start(rank, command_.name(), process.error);

  if (root) {
    // From here on the rank's own end decides: when it dies, nobody answers at the rendezvous.
    rendezvous_.reset();
    inheritance_.keyboard.reset();
  }
  if (process.exit_event) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = raw(rank);
    ::epoll_ctl(exits_.get(), EPOLL_CTL_ADD, process.exit_event.get(), &event);
  }
  rank_of_.emplace(process.pid, rank);
  ranks_[raw(rank)] = {process.pid, std::move(process.exit_event)};
  outcomes_.record_start(rank);
}

// --- the turns of the event loop -------------------------------------------------------------------------------------

void Supervisor::wait_for_events(Time now) {
  if (finished()) return;
  std::vector<pollfd> waits = {{signals_.get(), POLLIN, 0}, {foreground_alive_.get(), POLLIN, 0}};
  if (progress_.read_end()) waits.push_back({progress_.read_end().get(), POLLIN, 0});
  if (output_ && !output_->all_closed() && console_.has_room())
    waits.push_back({output_->ready_event().get(), POLLIN, 0});
  console_.add_waits(waits);

  using std::chrono::milliseconds;
  int timeout_ms = -1;
  if (escalation_.deadline() != kNever) {
    const auto left = std::chrono::ceil<milliseconds>(std::max(escalation_.deadline() - now, Duration::zero()));
    timeout_ms = static_cast<int>(std::min(left, milliseconds(std::chrono::hours(1))).count());
  }
  const bool more_to_do = starting() || (over() && !reported_ && console_.has_room());
  ::poll(waits.data(), waits.size(), more_to_do ? 0 : timeout_ms);
}

void Supervisor::take_signals(Time now) {
  while (const int signal = next_signal(signals_)) {
    if (signal != SIGCHLD) pass_on(signal, now);
  }
}

void Supervisor::pass_on(int signal, Time now) {
  if (asks_to_end(signal)) {
    ended_by_signal_ = signal;
    start_no_more();
    abandoned_ = abandoned_ || swept_;
  }
  if (signal == SIGINT) {
    if (interrupted_at_) {
      if (now - *interrupted_at_ >= kInterruptGap) interrupt_again(now);
      return;
    }
    interrupted_at_ = now;
  }
  send(signal);
}

void Supervisor::interrupt_again(Time now) {
  own_exit_code_ = kExitSignalBase + SIGINT;
  escalation_.hurry(now);
}

// To each rank's whole group: what it started itself is meant too.
void Supervisor::send(int signal) {
  for (const RankProcess& rank : ranks_) {
    if (rank.pid == 0) continue;
    if (::kill(-rank.pid, signal) != 0) ::kill(rank.pid, signal);
  }
}

void Supervisor::take_exits(Time now) {
  while (true) {
    // The order matters: the first to fail is blamed.
    if (take_exit_events(now)) continue;

    // Orphans that were adopted, and ranks on kernels without exit events.
    int wait_status = 0;
    const pid_t pid = ::waitpid(-1, &wait_status, WNOHANG);
    if (pid <= 0) return;
    if (const auto found = rank_of_.find(pid); found != rank_of_.end()) end_rank(found->second, wait_status, now);
  }
}

bool Supervisor::take_exit_events(Time now) {
  std::array<epoll_event, 64> events;
  const int ready = ::epoll_wait(exits_.get(), events.data(), static_cast<int>(events.size()), 0);
  bool ended = false;
  for (int i = 0; i < ready; ++i) {
    const Rank rank{events[static_cast<std::size_t>(i)].data.u32};
    int wait_status = 0;
    const pid_t pid = ::waitpid(ranks_[raw(rank)].pid, &wait_status, WNOHANG);
    // Its debugger is to be told first: SIGCHLD comes when that has been.
    if (pid == 0) continue;
    // Reaped by kill_descendants, which killed it.
    if (pid < 0) wait_status = SIGKILL;
    end_rank(rank, wait_status, now);
    ended = true;
  }
  return ended;
}

void Supervisor::end_rank(Rank rank, int wait_status, Time now) {
  RankProcess& process = ranks_[raw(rank)];
  rank_of_.erase(process.pid);
  // Closing alone would not do, see RankOutput::end.
  if (process.exit_event) ::epoll_ctl(exits_.get(), EPOLL_CTL_DEL, process.exit_event.get(), nullptr);
  process = RankProcess{};
  outcomes_.record_end(rank, wait_status);
  if (!outcomes_.failed()) return;
  start_no_more();
  escalation_.begin(now);
  if (rewrite_progress_ && !outcomes_.running().empty()) {
    const auto left = outcomes_.running().count();
    console_.set_progress(fmt::format("{}; waiting for {} other{} to end: {}", outcomes_.first_failure(), left,
                                      left == 1 ? "" : "s", outcomes_.running().to_string()));
  }
}

void Supervisor::escalate(Time now) {
  while (const std::optional<int> signal = escalation_.advance(now)) {
    const RankSet& running = outcomes_.running();
    if (running.empty()) return;
    if (!options_.quiet && !own_exit_code_) {
      console_.say(fmt::format("rank{} {} still run{}: sending SIG{}", running.count() > 1 ? "s" : "",
                               running.to_string(), running.count() > 1 ? "" : "s", ::sigabbrev_np(*signal)));
    }
    send(*signal);
  }
}

void Supervisor::take_notices() {
  if (!progress_.read_end()) return;
  for (const std::string& notice : progress_.read()) {
    if (!rewrite_progress_) {
      console_.say(notice);
    } else if (!outcomes_.failed()) {
      console_.set_progress(says_formed(notice) ? "" : notice);
    }
  }
  // Rank 0 has closed it: nothing will come that could take the line away.
  if (!progress_.read_end() && !outcomes_.failed()) console_.set_progress("");
}

void Supervisor::take_output() {
  if (!output_) return;
  for (const Stream stream : {Stream::out, Stream::err}) {
    if (console_.closed(stream)) output_->close(stream);
  }
  if (!console_.has_room()) return;
  const bool read = output_->read_ready();
  // All who could write are gone, and all they wrote has been read; a pipe that is still open is in foreign hands.
  if (swept_ && !read) output_->close_all();
}

// Once all ranks have ended, what they started ends too.
void Supervisor::sweep() {
  if (swept_ || !over()) return;
  kill_descendants(kSweepPatience);
  swept_ = true;
}

void Supervisor::report() {
  if (!swept_ || reported_ || (output_ && !output_->all_closed())) return;
  reported_ = true;
  console_.set_progress("");
  if (outcomes_.failed() && !options_.quiet) {
    for (const std::string& line : outcomes_.summary()) console_.say(line);
  }
  if (!console_.write_error().empty()) console_.say(console_.write_error());
}

bool Supervisor::over() const { return !starting() && (outcomes_.running().empty() || escalation_.given_up()); }

bool Supervisor::finished() const { return abandoned_ || (reported_ && console_.idle()); }

bool Supervisor::foreground_gone() const {
  char nothing = 0;
  return ::read(foreground_alive_.get(), &nothing, 1) == 0;
}

// The launcher's own misfortune: said at once, and the ranks that run are ended.
void Supervisor::fail(const Error& error, Time now) {
  console_.say(error.what());
  if (!own_exit_code_) own_exit_code_ = error.exit_code();
  start_no_more();
  escalation_.hurry(now);
}

int Supervisor::exit_code() const {
  if (own_exit_code_) return *own_exit_code_;
  if (outcomes_.failed()) return outcomes_.exit_code();
  if (started_ < options_.ranks && ended_by_signal_ != 0) return kExitSignalBase + ended_by_signal_;
  return console_.write_error().empty() ? 0 : kExitOwnFailure;
}

}  // namespace banyan::cli
