#include "rank.hh"

#include <algorithm>
#include <cstdlib>
#include <exception>

#include "sockets.hh"

namespace banyan::bench {
namespace {

constexpr std::size_t kKiB = 1024;
// More repetitions make one of these figures steadier; fewer end sooner where all processes share a few cores.
constexpr int kCallsOfSmallJobs = 50;
constexpr int kCalls = 10;
constexpr int kCallsOfLargeJobs = 3;
constexpr int kSmallJob = 64;
constexpr int kLargeJob = 256;
constexpr int kRoundTrips = 100;
constexpr std::size_t kPingBytes = 8;

std::string blob_of(int rank, std::size_t bytes) {
  std::string blob(bytes, static_cast<char>('a' + rank % 26));
  const std::string number = std::to_string(rank);
  return blob.replace(0, std::min(number.size(), bytes), number, 0, std::min(number.size(), bytes));
}

void expect(bool right, const char* what) {
  if (!right) throw std::runtime_error(std::string("wrong result of ") + what);
}

// The calls of one phase. What they send is made before the time begins, and what has come is checked after its end.
class Calls {
 public:
  Calls(Job& job, const Place& place, const Phase& phase)
      : job_(job), place_(place), phase_(phase), own_(blob_of(place.rank, phase.bytes)) {
    came_ = phase.kind == Phase::Kind::broadcast && place.rank != 0 ? std::string(phase.bytes, '\0') : own_;
  }

  void call(int times) {
    for (int i = 0; i < times; ++i) {
      switch (phase_.kind) {
        case Phase::Kind::start: break;
        case Phase::Kind::barrier: job_.barrier(); break;
        case Phase::Kind::allgather: came_ = job_.allgather(own_); break;
        case Phase::Kind::broadcast: job_.broadcast(came_, 0); break;
        case Phase::Kind::send_and_receive: ping_pong(); break;
      }
    }
  }
  void check() {
    if (phase_.kind == Phase::Kind::broadcast) expect(came_ == blob_of(0, phase_.bytes), "broadcast");
    if (phase_.kind == Phase::Kind::send_and_receive && plays())
      expect(came_ == blob_of(other(), phase_.bytes), "receive");
    if (phase_.kind != Phase::Kind::allgather) return;
    expect(came_.size() == phase_.bytes * static_cast<std::size_t>(place_.ranks), "allgather");
    for (const int rank :
         {place_.rank, (place_.rank + 1) % place_.ranks, (place_.rank + place_.ranks / 2) % place_.ranks}) {
      const std::size_t begin = static_cast<std::size_t>(rank) * phase_.bytes;
      expect(came_.compare(begin, phase_.bytes, blob_of(rank, phase_.bytes)) == 0, "allgather");
    }
  }

 private:
  // Between the first rank and the last.
  int other() const { return place_.rank == 0 ? place_.ranks - 1 : 0; }
  bool plays() const { return place_.rank == 0 || place_.rank == place_.ranks - 1; }
  void ping_pong() {
    if (!plays()) return;
    if (place_.rank == 0) job_.send(other(), own_);
    job_.receive(other(), came_);
    if (place_.rank != 0) job_.send(other(), own_);
  }

  Job& job_;
  const Place& place_;
  const Phase phase_;
  const std::string own_;
  std::string came_;
};

// False: the implementation does not offer it.
bool measure_calls(SharedRun& shared, Job& job, const Place& place, const Phase& phase) {
  Calls calls(job, place, phase);
  bool offered = true;
  try {
    calls.call(1);  // what only the first one does, such as making connections, does not count
  } catch (const NotOffered&) {
    offered = false;
  }
  shared.measure(place.rank, [&] {
    if (offered) calls.call(phase.times);
  });
  if (offered) calls.check();
  return offered;
}

void measure_start(SharedRun& shared, Job& job, const Place& place) {
  const std::string blob = blob_of(place.rank, place.blob_bytes);
  shared.measure(place.rank, [&] { job.start(blob); });
  std::ranges::copy(job.steps_ms(), shared.sample(place.rank).steps_ms.begin());
  for (int rank = 0; rank < place.ranks; ++rank) {
    expect(job.blob_of(rank) == blob_of(rank, place.blob_bytes), "start");
  }
}

void measure_phases(SharedRun& shared, const Shape& shape, Job& job, const Place& place) {
  for (const Phase& phase : phases(shape.ranks, shape.most_bytes, shared.command().start_alone != 0)) {
    if (phase.kind == Phase::Kind::start) {
      measure_start(shared, job, place);
    } else if (!measure_calls(shared, job, place, phase)) {
      shared.sample(place.rank).ms = -1;
    }
    shared.barrier();  // the coordinator reads the samples
    shared.barrier();
  }
}

// Says why, and ends the process at once: the end of a job could wait for others, who wait for this rank.
[[noreturn]] void give_up(SharedRun& shared, int rank, const std::exception& error) {
  shared.fail(rank, error.what());
  std::_Exit(EXIT_FAILURE);
}

// One start, as it is told by the command in shared memory.
void perform(SharedRun& shared, const Shape& shape, const std::string& run, int rank,
             const Implementation& implementation) {
  Place place = place_of(shape, rank, run, shared.command());
  if (rank == 0 && implementation.listens() == Implementation::Listens::rank_0) {
    auto [listener, address] = listen_at_quiet_port(place.root_address());
    shared.port() = address.port;
    place.listener = listener.release();
  }
  shared.barrier();
  place.port = shared.port();
  std::unique_ptr<Job> job = implementation.join(place);
  shared.barrier();  // what joining took is not counted
  shared.barrier();
  try {
    measure_phases(shared, shape, *job, place);
  } catch (const std::exception& error) {
    give_up(shared, rank, error);
  }
  job.reset();
  shared.barrier();
}

}  // namespace

std::string Phase::name() const {
  const std::string size = " " + std::to_string(bytes) + " B";
  switch (kind) {
    case Kind::start: return "start";
    case Kind::barrier: return "barrier";
    case Kind::allgather: return "allgather" + size;
    case Kind::broadcast: return "broadcast" + size;
    case Kind::send_and_receive: return "send and receive" + size;
  }
  return {};
}

std::vector<Phase> phases(int ranks, std::size_t most_bytes, bool start_alone) {
  std::vector<Phase> all{{Phase::Kind::start}};
  if (start_alone) return all;
  const int long_calls = ranks <= kLargeJob ? kCalls : kCallsOfLargeJobs;
  const int calls = ranks <= kSmallJob ? kCallsOfSmallJobs : long_calls;
  all.push_back({Phase::Kind::barrier, 0, calls});
  for (const std::size_t bytes : {std::size_t{64}, kKiB, 64 * kKiB}) {
    if (bytes * static_cast<std::size_t>(ranks) > most_bytes) continue;
    all.push_back({Phase::Kind::allgather, bytes, bytes < kKiB ? calls : long_calls});
  }
  all.push_back({Phase::Kind::broadcast, kKiB, calls});
  all.push_back({Phase::Kind::broadcast, 64 * kKiB, long_calls});
  if (ranks > 1) all.push_back({Phase::Kind::send_and_receive, kPingBytes, kRoundTrips});
  return all;
}

Place place_of(const Shape& shape, int rank, const std::string& run, const Command& command) {
  Place place;
  place.rank = rank;
  place.ranks = shape.ranks;
  place.ranks_per_host = shape.ranks_per_host;
  place.blob_bytes = shape.blob_bytes;
  place.hosts = shape.hosts;
  place.id = run + "-" + std::to_string(command.number);
  place.secret = "of " + place.id;
  return place;
}

void be_rank(SharedRun& shared, const Shape& shape, const std::string& run, int rank,
             const Implementations& implementations) {
  try {
    for (;;) {
      shared.barrier();
      const Command command = shared.command();
      if (command.kind == Command::Kind::quit) return;
      perform(shared, shape, run, rank, *implementations.at(command.implementation));
    }
  } catch (const std::exception& error) {
    give_up(shared, rank, error);
  }
}

}  // namespace banyan::bench
