#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <thread>

#include "../harness/sockets.hh"
#include "../harness/system.hh"
#include "baselines.hh"

namespace banyan::bench {
namespace {

// mscclpp staggers above this many ranks, NCCL above that many.
constexpr int kStaggerAbove = 128;
constexpr int kStaggerAboveNccl = 256;
constexpr int kRatePerSecondNccl = 7000;

using Clock = std::chrono::steady_clock;

double ms(Clock::duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

struct Introduction {
  std::int32_t rank = 0;
  std::int32_t ranks = 0;
  Address for_root;
  Address for_ring;
};

std::chrono::microseconds stagger(const StarRing& scheme, const Place& place) {
  using Stagger = StarRing::Stagger;
  if (scheme.stagger == Stagger::per_rank_ms && place.ranks > kStaggerAbove) {
    return std::chrono::milliseconds(place.rank);
  }
  if (scheme.stagger == Stagger::per_rank_7000th && place.ranks > kStaggerAboveNccl) {
    return std::chrono::microseconds(std::int64_t{place.rank} * 1'000'000 / kRatePerSecondNccl);
  }
  return {};
}

// The thread in rank 0's process that everybody knows. One connection at a time, as in the models.
void be_root(const Socket& listener, int ranks, bool answers_early) {
  std::vector<std::optional<Introduction>> known(static_cast<std::size_t>(ranks));
  const auto tell = [&](int rank) {
    const auto& next = known[static_cast<std::size_t>((rank + 1) % ranks)];
    connect_to(known[static_cast<std::size_t>(rank)]->for_root).send(next->for_ring);
  };
  for (int came = 0; came < ranks; ++came) {
    const auto introduction = accept_from(listener).receive<Introduction>();
    if (introduction.ranks != ranks || introduction.rank < 0 || introduction.rank >= ranks) {
      throw std::runtime_error("a rank of another job came to the root");
    }
    const int rank = introduction.rank;
    known[static_cast<std::size_t>(rank)] = introduction;
    if (!answers_early || ranks == 1) continue;
    if (known[static_cast<std::size_t>((rank + 1) % ranks)]) tell(rank);
    const int previous = (rank + ranks - 1) % ranks;
    if (known[static_cast<std::size_t>(previous)]) tell(previous);
  }
  if (answers_early && ranks > 1) return;
  for (int rank = 0; rank < ranks; ++rank) tell(rank);
}

class StarRingJob : public Job {
 public:
  StarRingJob(const StarRing& scheme, const Place& place) : scheme_(scheme), place_(place), root_(place.listener) {}
  ~StarRingJob() override {
    if (root_thread_.joinable()) root_thread_.join();
  }

  void start(const std::string& blob) override {
    if (place_.rank == 0) {
      root_thread_ = std::thread([this] { be_root(root_, place_.ranks, scheme_.root_answers_early); });
    }
    auto [listener, own] = listen_at(place_.address());
    listener_ = std::move(listener);
    const auto begin = Clock::now();
    connect_ring(own);
    const auto connected = Clock::now();
    // The address is a part of what everybody tells about itself.
    std::string told(sizeof(own) + blob.size(), '\0');
    std::memcpy(told.data(), &own, sizeof(own));
    told.replace(sizeof(own), blob.size(), blob);
    told_bytes_ = told.size();
    table_ = allgather(told);
    steps_ms_ = {ms(introduced_ - begin), ms(connected - introduced_), ms(Clock::now() - connected)};
  }
  std::vector<double> steps_ms() override { return steps_ms_; }

  std::string blob_of(int rank) override {
    return table_.substr(static_cast<std::size_t>(rank) * told_bytes_ + sizeof(Address), told_bytes_ - sizeof(Address));
  }

  // Of one byte in the ring of mscclpp; in log2 N rounds between pairs in that of NCCL.
  void barrier() override {
    if (!scheme_.both_ways) {
      allgather("b");
      return;
    }
    std::string byte("b");
    for (int distance = 1; distance < place_.ranks; distance *= 2) {
      send((place_.rank + distance) % place_.ranks, byte);
      receive((place_.rank - distance + place_.ranks) % place_.ranks, byte);
    }
  }

  std::string allgather(const std::string& bytes) override {
    const std::size_t size = bytes.size();
    std::string all(size * static_cast<std::size_t>(place_.ranks), '\0');
    all.replace(static_cast<std::size_t>(place_.rank) * size, size, bytes);
    if (scheme_.both_ways) {
      pass_both_ways(all.data(), size);
    } else {
      pass_one_way(all.data(), size);
    }
    return all;
  }

  // Around the ring; or from the root to each.
  void broadcast(std::string& bytes, int root) override {
    if (!scheme_.both_ways) {
      if (place_.rank != root) previous_.receive(bytes.data(), bytes.size());
      if ((place_.rank + 1) % place_.ranks != root) next_.send(bytes.data(), bytes.size());
    } else if (place_.rank != root) {
      receive(root, bytes);
    } else {
      for (int rank = 0; rank < place_.ranks; ++rank) {
        if (rank != root) send(rank, bytes);
      }
    }
  }

  // On a connection of its own for each pair and direction, made with the first message.
  void send(int to, const std::string& bytes) override {
    Socket& socket = to_[to];
    if (!socket.open()) {
      Address address;
      std::memcpy(&address, table_.data() + static_cast<std::size_t>(to) * told_bytes_, sizeof(address));
      socket = connect_to(address);
      socket.send(std::int32_t{place_.rank});
    }
    socket.send(bytes.data(), bytes.size());
  }
  void receive(int from, std::string& bytes) override {
    while (!from_[from].open()) {
      Socket socket = accept_from(listener_);
      const auto rank = socket.receive<std::int32_t>();
      from_[rank] = std::move(socket);
    }
    from_[from].receive(bytes.data(), bytes.size());
  }

 private:
  void connect_ring(const Address& own) {
    const auto [for_root, address_for_root] = listen_at(place_.address());
    std::this_thread::sleep_for(stagger(scheme_, place_));
    const Introduction introduction{place_.rank, place_.ranks, address_for_root, own};
    connect_to(address_of(place_.root_address(), place_.port)).send(introduction);
    const auto next = accept_from(for_root).receive<Address>();
    introduced_ = Clock::now();
    next_ = connect_to(next);
    previous_ = accept_from(listener_);
  }

  char* part(char* all, std::size_t size, int rank) const {
    const int ranks = place_.ranks;
    return all + static_cast<std::size_t>((rank % ranks + ranks) % ranks) * size;
  }

  void pass_one_way(char* all, std::size_t size) {
    const int rank = place_.rank;
    for (int step = 0; step < place_.ranks - 1; ++step) {
      std::array<Transfer, 2> transfers{{{&next_, true, part(all, size, rank - step), size},
                                         {&previous_, false, part(all, size, rank - step - 1), size}}};
      exchange(transfers);
    }
  }
  void pass_both_ways(char* all, std::size_t size) {
    const int rank = place_.rank;
    const int steps = place_.ranks / 2;
    for (int step = 0; step < steps; ++step) {
      std::array<Transfer, 4> transfers{{{&next_, true, part(all, size, rank - step), size},
                                         {&previous_, false, part(all, size, rank - step - 1), size},
                                         {&previous_, true, part(all, size, rank + step), size},
                                         {&next_, false, part(all, size, rank + step + 1), size}}};
      const bool one_way = step == steps - 1 && place_.ranks % 2 == 0;
      exchange(std::span(transfers).first(one_way ? 2 : 4));
    }
  }

  const StarRing& scheme_;
  Place place_;
  Socket root_;
  std::thread root_thread_;
  Socket listener_;
  Socket next_;
  Socket previous_;
  std::map<int, Socket> to_;
  std::map<int, Socket> from_;
  std::string table_;
  std::size_t told_bytes_ = 0;
  Clock::time_point introduced_;
  std::vector<double> steps_ms_;
};

class StarRingImplementation : public Implementation {
 public:
  explicit StarRingImplementation(StarRing scheme) : scheme_(std::move(scheme)) {}
  std::string name() const override { return scheme_.name; }
  std::string what() const override { return scheme_.what; }
  std::vector<std::string> steps() const override { return {"root", "ring", "all-gather"}; }
  std::unique_ptr<Job> join(const Place& place) const override { return std::make_unique<StarRingJob>(scheme_, place); }

 private:
  StarRing scheme_;
};

}  // namespace

std::unique_ptr<Implementation> star_ring(StarRing scheme) {
  return std::make_unique<StarRingImplementation>(std::move(scheme));
}

}  // namespace banyan::bench
