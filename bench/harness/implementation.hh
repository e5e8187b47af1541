// What is measured: ways in which N processes come to know each other. A peer's adapter may be a module of its own
// (bench/peers), loaded when it has been built.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace banyan::bench {

constexpr std::size_t kMostSteps = 4;

// Where one rank stands in one start, and what all of them know.
struct Place {
  int rank = 0;
  int ranks = 0;
  int ranks_per_host = 0;          // rank r plays on host r / ranks_per_host
  std::vector<std::string> hosts;  // the address of each; the same for all where one machine plays them
  int port = 0;                    // where the job meets, on rank 0's host
  int listener = -1;               // rank 0, and the coordinator: a socket that listens there already, to be closed
  std::string id;                  // no two starts have the same
  std::string secret;
  std::size_t blob_bytes = 0;  // of each rank's

  int host() const { return rank / ranks_per_host; }
  int host_count() const { return (ranks + ranks_per_host - 1) / ranks_per_host; }
  const std::string& address() const { return hosts.at(static_cast<std::size_t>(host())); }
  const std::string& root_address() const { return hosts.front(); }
};

// An operation that an implementation does not offer. It is reported as absent.
struct NotOffered : std::runtime_error {
  NotOffered() : std::runtime_error("not offered") {}
};

// One rank's part in one job. Its end closes every connection. Ours wait for the kernel; some peers spin.
class Job {
 public:
  Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  virtual ~Job() = default;

  // Returns when this rank holds the blobs of all. Each is as long as this one.
  virtual void start(const std::string& blob) = 0;
  virtual std::string blob_of(int rank) = 0;
  // What the start's time went into, in ms, by Implementation::steps().
  virtual std::vector<double> steps_ms() { return {}; }

  virtual void barrier() { throw NotOffered(); }
  // The contributions of all, by rank; each is as long as this one.
  virtual std::string allgather(const std::string& /*bytes*/) { throw NotOffered(); }
  virtual void broadcast(std::string& /*bytes*/, int /*root*/) { throw NotOffered(); }
  virtual void send(int /*to*/, const std::string& /*bytes*/) { throw NotOffered(); }
  // As many bytes as there is room for.
  virtual void receive(int /*from*/, std::string& /*bytes*/) { throw NotOffered(); }
};

// A job that keeps all blobs in one string, by rank.
class TableJob : public Job {
 public:
  explicit TableJob(Place place) : place_(std::move(place)) {}
  std::string blob_of(int rank) override {
    return table_.substr(static_cast<std::size_t>(rank) * place_.blob_bytes, place_.blob_bytes);
  }

 protected:
  const Place place_;
  std::string table_;
};

// A process beside the ranks, which an implementation needs: the coordinator plays it.
class Server {
 public:
  Server() = default;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  virtual ~Server() = default;

  // While the ranks start; returns when they have been served. `look_after` is called several times a second, and
  // throws when there is no point in waiting.
  virtual void serve(const std::function<void()>& /*look_after*/) {}
  // CPU time until now of processes other than the coordinator.
  virtual std::int64_t cpu_ns() { return 0; }
};

class Implementation {
 public:
  Implementation() = default;
  Implementation(const Implementation&) = delete;
  Implementation& operator=(const Implementation&) = delete;
  virtual ~Implementation() = default;

  virtual std::string name() const = 0;
  // In one line, for people.
  virtual std::string what() const = 0;
  // What a start consists of, one after the other; up to kMostSteps. What its time is longer than their sum is the
  // rest.
  virtual std::vector<std::string> steps() const { return {}; }
  // Of itself and of what it is made of.
  virtual std::string version() const { return {}; }
  // Whether it needs a socket that listens at Place::port before the ranks come: at rank 0, or at the coordinator.
  enum class Listens : std::uint8_t { nobody, rank_0, coordinator };
  virtual Listens listens() const { return Listens::rank_0; }
  // Whether it works, and says something, where the ranks are on several hosts.
  virtual bool crosses_hosts() const { return true; }
  virtual std::unique_ptr<Server> serve(const Place&) const { return nullptr; }
  // Neither of them costs anything yet: time runs from Job::start on.
  virtual std::unique_ptr<Job> join(const Place& place) const = 0;
  // The command that starts the ranks where they can't be forked (mpirun), followed by program and arguments; each
  // such start has processes of its own. Empty: forked.
  virtual std::vector<std::string> launcher(int /*ranks*/) const { return {}; }
  // The program that the launcher starts, if not the benchmark itself.
  virtual std::string rank_program() const { return {}; }
};

using Implementations = std::vector<std::unique_ptr<Implementation>>;

}  // namespace banyan::bench
