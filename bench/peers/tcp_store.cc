// PyTorch's TCPStore. Its server runs in rank 0's process, from before the time begins: a client that finds none waits
// a second before it tries again, which would say nothing about the store.
#include <map>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "../harness/key_value_job.hh"
#include "../harness/sockets.hh"
#include "peer.hh"

namespace banyan::bench {
namespace {

using Bytes = std::vector<std::uint8_t>;

class StoreJob : public KeyValueJob {
 public:
  explicit StoreJob(const Place& place) : KeyValueJob(place) {
    Socket(place.listener).close();  // the store makes its own at this port
    if (place.rank == 0) store_ = make_store(true);
  }

 protected:
  void connect() override {
    if (place_.rank != 0) store_ = make_store(false);
  }
  void set(const std::string& key, const std::string& value) override {
    store_->set(key, Bytes(value.begin(), value.end()));
  }
  std::string get(const std::string& key) override {
    const Bytes bytes = store_->get(key);
    return {bytes.begin(), bytes.end()};
  }
  std::int64_t add(const std::string& key) override { return store_->add(key, 1); }

 private:
  c10::intrusive_ptr<c10d::TCPStore> make_store(bool with_server) const {
    c10d::TCPStoreOptions options;
    options.port = static_cast<std::uint16_t>(place_.port);
    options.waitWorkers = false;
    options.isServer = with_server;
    return c10::make_intrusive<c10d::TCPStore>(place_.root_address(), options);
  }

  c10::intrusive_ptr<c10d::TCPStore> store_;
};

class StoreImplementation : public Implementation {
 public:
  std::string name() const override { return "tcp-store"; }
  std::string what() const override {
    return "libtorch's TCPStore, its server running; rank 0 puts all blobs together";
  }
  std::string version() const override { return BANYAN_BENCH_PEER_VERSION; }
  std::unique_ptr<Job> join(const Place& place) const override { return std::make_unique<StoreJob>(place); }
};

}  // namespace

extern "C" std::unique_ptr<Implementation> banyan_bench_make_peer() { return std::make_unique<StoreImplementation>(); }

}  // namespace banyan::bench
