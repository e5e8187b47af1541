#include "rank.hh"

#include <cstdlib>
#include <exception>
#include <iostream>

#include "sockets.hh"
#include "system.hh"

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

// Between the first rank and the last.
void ping_pong(Job& job, const Place& place, const Phase& phase) {
  const int last = place.ranks - 1;
  if (place.rank != 0 && place.rank != last) return;
  std::string bytes(phase.bytes, 'p');
  for (int i = 0; i < phase.times; ++i) {
    if (place.rank == 0) job.send(last, bytes);
    if (place.rank == 0) job.receive(last, bytes);
    if (place.rank == last) job.receive(0, bytes);
    if (place.rank == last) job.send(0, bytes);
  }
}

void call(Job& job, const Place& place, const Phase& phase) {
  if (phase.kind == Phase::Kind::send_and_receive) return ping_pong(job, place, phase);
  const std::string own = blob_of(place.rank, phase.bytes);
  for (int i = 0; i < phase.times; ++i) {
    if (phase.kind == Phase::Kind::barrier) {
      job.barrier();
    } else if (phase.kind == Phase::Kind::allgather) {
      const std::string all = job.allgather(own);
      expect(all.size() == own.size() * static_cast<std::size_t>(place.ranks) &&
                 all.compare(static_cast<std::size_t>(place.rank) * own.size(), own.size(), own) == 0,
             "allgather");
    } else {
      std::string bytes = place.rank == 0 ? own : std::string(own.size(), '\0');
      job.broadcast(bytes, 0);
      expect(bytes == blob_of(0, phase.bytes), "broadcast");
    }
  }
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

void perform(SharedRun& shared, const Shape& shape, const std::string& run, int rank,
             const Implementation& implementation) {
  Place place = place_of(shape, rank, run, shared.command());
  if (rank == 0 && implementation.listens() == Implementation::Listens::rank_0) {
    auto [listener, address] = listen_at(place.root_address());
    shared.port() = address.port;
    place.listener = listener.release();
  }
  shared.barrier();
  place.port = shared.port();
  std::unique_ptr<Job> job = implementation.join(place);
  for (const Phase& phase : phases(shape.ranks, shape.most_bytes, shape.start_alone)) {
    bool offered = true;
    shared.measure(rank, [&] {
      if (phase.kind == Phase::Kind::start) return job->start(blob_of(rank, shape.blob_bytes));
      try {
        call(*job, place, phase);
      } catch (const NotOffered&) {
        offered = false;
      }
    });
    if (!offered) shared.sample(rank).ms = -1;
    if (phase.kind == Phase::Kind::start) {
      std::ranges::copy(job->steps_ms(), shared.sample(rank).steps_ms.begin());
      for (int other = 0; other < shape.ranks; ++other) {
        expect(job->blob_of(other) == blob_of(other, shape.blob_bytes), "start");
      }
    }
    shared.barrier();  // the coordinator reads the samples
    shared.barrier();
  }
  job.reset();
  shared.barrier();
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
    shared.fail(rank, error.what());
    std::_Exit(EXIT_FAILURE);
  }
}

}  // namespace banyan::bench
