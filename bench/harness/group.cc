#include "group.hh"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <random>
#include <sstream>
#include <thread>

#include "sockets.hh"

namespace banyan::bench {
namespace {

// Until processes are there; it is not measured.
constexpr std::chrono::seconds kLaunchPatience{120};
// Of a launcher, after its ranks have ended or it has been told to end them.
constexpr std::chrono::milliseconds kGlance{20};
constexpr int kGlancesAtEnd = 250;
volatile std::sig_atomic_t interrupted = 0;
constexpr const char* kLaunched = "--be-rank-of";
// What each launched rank finds out about itself: Open MPI, PMIx's own launcher, MPICH and `banyan run`.
constexpr std::array kRankVariables{"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "BANYAN_RANK"};

std::string random_name() {
  std::random_device random;
  std::ostringstream name;
  name << "banyan-benchmark-" << std::hex << random() << random();
  return name.str();
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) return std::string("was ended by the signal ") + ::strsignal(WTERMSIG(status));
  return "ended with code " + std::to_string(WEXITSTATUS(status));
}

void enter(const std::string& network_namespace) {
  const int file = checked(::open(network_namespace.c_str(), O_RDONLY | O_CLOEXEC), network_namespace.c_str());
  checked(::setns(file, CLONE_NEWNET), "setns");
  ::close(file);
}

std::vector<std::string> words_of(const Shape& shape, const std::string& run) {
  return {kLaunched,
          run,
          std::to_string(shape.ranks),
          std::to_string(shape.ranks_per_host),
          std::to_string(shape.blob_bytes),
          std::to_string(shape.most_bytes)};
}

}  // namespace

Group::Group(const Shape& shape, const Implementations& implementations, std::chrono::seconds patience)
    : shape_(shape),
      implementations_(implementations),
      patience_(patience),
      run_(random_name()),
      shared_(shape.ranks + 1, "/" + run_, SharedRun::Access::make) {}

Group::Group(const Shape& shape, const Implementations& implementations, const std::vector<std::string>& namespaces,
             std::chrono::seconds patience)
    : Group(shape, implementations, patience) {
  SharedRun::forget("/" + run_);  // the ranks inherit the memory
  fork_ranks(namespaces);
}

void Group::fork_ranks(const std::vector<std::string>& namespaces) {
  std::cout.flush();
  const pid_t parent = ::getpid();
  for (int rank = 0; rank < shape_.ranks; ++rank) {
    const pid_t process = checked(::fork(), "fork");
    if (process == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(EXIT_FAILURE);
      try {
        if (!namespaces.empty()) enter(namespaces.at(static_cast<std::size_t>(rank / shape_.ranks_per_host)));
      } catch (const std::exception& error) {
        shared_.fail(rank, error.what());
        ::_exit(EXIT_FAILURE);
      }
      be_rank(shared_, shape_, run_, rank, implementations_);
      ::_exit(EXIT_SUCCESS);
    }
    processes_.push_back(process);
    if (!namespaces.empty() && rank % shape_.ranks_per_host == 0) of_network_.push_back(process);
  }
  if (of_network_.empty()) {
    of_network_.push_back(parent);
  } else {
    // A server that the coordinator plays stands on rank 0's host.
    home_ = Socket(checked(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), "/proc/self/ns/net"));
    enter(namespaces.front());
  }
  healthy_ = true;
}

Group::Group(const Shape& shape, const Implementations& implementations, std::size_t implementation,
             std::chrono::seconds patience)
    : Group(shape, implementations, patience) {
  launched_ = true;
  std::vector<std::string> words = implementations.at(implementation)->launcher(shape.ranks);
  words.push_back(implementations.at(implementation)->rank_program());
  for (std::string& word : words_of(shape, run_)) words.push_back(std::move(word));
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t process = checked(::fork(), "fork");
  if (process == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setpgid(0, 0);  // so that it can be ended with all that it started
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  processes_.push_back(process);
  of_network_.push_back(::getpid());
  healthy_ = true;
}

Group::~Group() {
  if (healthy_) {
    shared_.command().kind = Command::Kind::quit;
    try {
      barrier("end");
    } catch (const std::exception&) {
      healthy_ = false;
    }
  }
  for (const pid_t process : processes_) end(process);
  SharedRun::forget("/" + run_);
  if (home_.open()) ::setns(home_.descriptor(), CLONE_NEWNET);
}

// A rank has been told to quit, or is not needed any more. A launcher tidies up after its ranks if it is asked to.
void Group::end(pid_t process) {
  if (launched_) {
    if (!healthy_) ::kill(process, SIGTERM);
    for (int glance = 0; glance < kGlancesAtEnd; ++glance) {
      if (::waitpid(process, nullptr, WNOHANG) == process) return;
      std::this_thread::sleep_for(kGlance);
    }
    ::kill(-process, SIGKILL);
  }
  if (!healthy_) ::kill(process, SIGKILL);
  ::waitpid(process, nullptr, 0);
}

void heed_interrupts() {
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { interrupted = 1; });
}

void Group::look_after(std::chrono::steady_clock::time_point deadline, const std::string& what) {
  if (interrupted != 0) throw Interrupted();
  const std::string where = " (" + what + ")";
  int status = 0;
  const auto dead = std::ranges::find_if(processes_, [&](pid_t process) {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(process), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == process;
  });
  // A rank says why it ends before it does.
  if (const std::string failure = shared_.failure(); !failure.empty()) throw StartFailed(failure + where);
  if (dead != processes_.end()) {
    const auto rank = dead - processes_.begin();
    ::waitpid(*dead, &status, 0);
    const std::string who =
        processes_.size() == 1 && shape_.ranks > 1 ? "the launcher" : "rank " + std::to_string(rank);
    processes_.erase(dead);
    throw StartFailed(who + " " + how_it_ended(status) + where);
  }
  if (std::chrono::steady_clock::now() > deadline) {
    throw StartFailed("not done within --timeout" + where, true);
  }
}

void Group::barrier(const std::string& what) { barrier(what, patience_); }

void Group::barrier(const std::string& what, std::chrono::seconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  shared_.barrier([&] { look_after(deadline, what); });
}

Found Group::measure(const Phase& phase, Server* server, const Counters& before) {
  const std::int64_t server_cpu = server == nullptr ? 0 : server->cpu_ns();
  const auto deadline = std::chrono::steady_clock::now() + patience_;
  shared_.measure(
      shared_.coordinator(),
      [&] {
        if (server != nullptr && phase.kind == Phase::Kind::start) {
          server->serve([&] { look_after(deadline, phase.name()); });
        }
      },
      [&] { look_after(deadline, phase.name()); });
  barrier(phase.name());
  const Counters counted = counters(of_network_) - before;
  const std::int64_t server_cpu_ns = (server == nullptr ? 0 : server->cpu_ns()) - server_cpu;
  Found found = sum_up(phase, server_cpu_ns, counted);
  barrier(phase.name());
  return found;
}

Found Group::sum_up(const Phase& phase, std::int64_t server_cpu_ns, const Counters& counted) {
  Found found;
  found.phase = phase;
  found.counted = counted;
  found.cpu_us_busiest = static_cast<double>(server_cpu_ns) / 1e3;
  found.cpu_us = found.cpu_us_busiest;
  for (int process = 0; process < shared_.processes(); ++process) {
    const Sample& sample = shared_.sample(process);
    found.cpu_us += sample.cpu_us;
    found.cpu_us_busiest = std::max(found.cpu_us_busiest, sample.cpu_us);
    if (process == shared_.coordinator()) continue;
    found.offered = found.offered && sample.ms >= 0;
    if (sample.ms > found.slowest_ms) {
      found.slowest_ms = sample.ms;
      found.steps_ms = sample.steps_ms;
    }
    found.memory_kib = std::max(found.memory_kib, sample.memory_kib);
  }
  return found;
}

std::vector<Found> Group::start(std::size_t index, bool start_alone) {
  static std::uint32_t starts = 0;
  const Implementation& implementation = *implementations_.at(index);
  try {
    shared_.command() = {Command::Kind::start, static_cast<std::uint32_t>(launched_ ? 0 : index), start_alone ? 1u : 0u,
                         ++starts};
    barrier("beginning", std::max(patience_, kLaunchPatience));
    Place place = place_of(shape_, 0, run_, shared_.command());
    if (implementation.listens() == Implementation::Listens::coordinator) {
      auto [listener, address] = listen_at_quiet_port(place.root_address());
      shared_.port() = place.port = address.port;
      place.listener = listener.release();
    }
    const std::unique_ptr<Server> server = implementation.serve(place);
    for (int i = 0; i < 2; ++i) barrier("beginning", std::max(patience_, kLaunchPatience));
    const Counters before = counters(of_network_);
    barrier("beginning", std::max(patience_, kLaunchPatience));
    std::vector<Found> all;
    for (const Phase& phase : phases(shape_.ranks, shape_.most_bytes, start_alone)) {
      all.push_back(measure(phase, server.get(), before));
    }
    barrier("end");
    return all;
  } catch (...) {
    healthy_ = false;
    throw;
  }
}

bool is_launched_rank(int argument_count, char** arguments) {
  return argument_count > 1 && std::string_view(arguments[1]) == kLaunched;
}

int be_launched_rank(int argument_count, char** arguments, const Implementations& implementations) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a rank that waits for the others would outlive its launcher
  const std::vector<std::string> words(arguments + 2, arguments + argument_count);
  Shape shape;
  shape.ranks = std::stoi(words.at(1));
  shape.ranks_per_host = std::stoi(words.at(2));
  shape.blob_bytes = std::stoull(words.at(3));
  shape.most_bytes = std::stoull(words.at(4));
  shape.hosts.assign(static_cast<std::size_t>(shape.host_count()), "127.0.0.1");
  int rank = -1;
  for (const char* const variable : kRankVariables) {
    if (const char* const value = std::getenv(variable); value != nullptr && rank < 0) rank = std::atoi(value);
  }
  if (rank < 0) {
    std::cerr << "the launcher does not say which rank this is" << std::endl;
    return EXIT_FAILURE;
  }
  SharedRun shared(shape.ranks + 1, "/" + words.at(0), SharedRun::Access::find);
  be_rank(shared, shape, words.at(0), rank, implementations);
  return EXIT_SUCCESS;
}

}  // namespace banyan::bench
