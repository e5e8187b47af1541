#include "banyan_implementation.hh"

#include <algorithm>

#include <banyan/hierarchical_bootstrap.hpp>

namespace banyan::bench {
namespace {

class BanyanJob : public Job {
 public:
  BanyanJob(const Place& place, bool computed) : place_(place), computed_(computed) {}

  void start(const std::string& blob) override {
    job_.init(options_of(place_, computed_, blob));
    job_.start();
  }
  std::string blob_of(int rank) override { return job_.peer_blob(rank); }
  std::vector<double> steps_ms() override {
    const Statistics statistics = job_.statistics();
    return {statistics.placed_ms, statistics.table_ms - statistics.placed_ms,
            statistics.formed_ms - statistics.table_ms};
  }

  void barrier() override { job_.barrier(); }
  std::string allgather(const std::string& bytes) override {
    const Handle all = job_.begin_allgather(bytes);
    all.wait();
    std::string joined(bytes.size() * all.message_count(), '\0');
    for (std::size_t rank = 0; rank < all.message_count(); ++rank) all.copy(joined.data() + rank * bytes.size(), rank);
    return joined;
  }
  void broadcast(std::string& bytes, int root) override { job_.broadcast(root, bytes); }
  void send(int to, const std::string& bytes) override { job_.send(to, bytes); }
  void receive(int from, std::string& bytes) override { bytes = job_.recv<std::string>(from); }

 private:
  Place place_;
  bool computed_;
  HierarchicalBootstrap job_;
};

class BanyanImplementation : public Implementation {
 public:
  explicit BanyanImplementation(bool computed) : computed_(computed) {}
  std::string name() const override { return computed_ ? "banyan-computed" : "banyan"; }
  std::string what() const override {
    return computed_ ? "Banyan, with every host in a list (BANYAN_HOSTS)" : "Banyan, through its rendezvous";
  }
  std::vector<std::string> steps() const override { return {"find a place", "until the table comes", "table"}; }
  std::string version() const override { return BANYAN_VERSION_STRING; }
  std::unique_ptr<Job> join(const Place& place) const override { return std::make_unique<BanyanJob>(place, computed_); }

 private:
  bool computed_;
};

}  // namespace

Options options_of(const Place& place, bool computed, const std::string& blob) {
  Options options;
  options.rank = place.rank;
  options.world_size = place.ranks;
  options.rendezvous = place.root_address() + ":" + std::to_string(place.port);
  options.rendezvous_fd = place.listener;
  options.job_id = place.id;
  options.secret = place.secret;
  options.local_rank = place.rank % place.ranks_per_host;
  options.local_size = std::min(place.ranks_per_host, place.ranks - place.host() * place.ranks_per_host);
  options.host_name = options.host_id = "host-" + std::to_string(place.host());
  if (computed) {
    for (int host = 0; host < place.host_count(); ++host) {
      options.hosts.push_back(place.hosts[static_cast<std::size_t>(host)] + ":" + std::to_string(place.port));
    }
    options.host_index = place.host();
  }
  options.blob = blob;
  options.start_timeout = Timeout::none();  // the benchmark has its own
  return options;
}

std::unique_ptr<Implementation> banyan_implementation(bool computed) {
  return std::make_unique<BanyanImplementation>(computed);
}

}  // namespace banyan::bench
