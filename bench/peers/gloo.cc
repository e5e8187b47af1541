// Gloo as its users have it: a full mesh of connections, whose addresses go through a store of files.
#include <gloo/allgather.h>
#include <gloo/barrier.h>
#include <gloo/broadcast.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/file_store.h>
#include <gloo/transport/tcp/device.h>

#include <filesystem>

#include "peer.hh"

namespace banyan::bench {
namespace {

constexpr std::uint64_t kMessages = 1;  // Gloo's slot

std::filesystem::path store_of(const Place& place) { return std::filesystem::temp_directory_path() / place.id; }

// The folder of the store.
class Folder : public Server {
 public:
  explicit Folder(const Place& place) : path_(store_of(place)) { std::filesystem::create_directory(path_); }
  ~Folder() override {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

 private:
  std::filesystem::path path_;
};

class GlooJob : public TableJob {
 public:
  using TableJob::TableJob;

  void start(const std::string& blob) override {
    gloo::rendezvous::FileStore store(store_of(place_));
    auto device = gloo::transport::tcp::CreateDevice(place_.address().c_str());
    context_ = std::make_shared<gloo::rendezvous::Context>(place_.rank, place_.ranks);
    context_->connectFullMesh(store, device);
    table_ = allgather(blob);
  }

  void barrier() override {
    gloo::BarrierOptions options(context_);
    gloo::barrier(options);
  }
  std::string allgather(const std::string& bytes) override {
    std::string own = bytes;
    std::string all(bytes.size() * static_cast<std::size_t>(place_.ranks), '\0');
    gloo::AllgatherOptions options(context_);
    options.setInput(own.data(), own.size());
    options.setOutput(all.data(), all.size());
    gloo::allgather(options);
    return all;
  }
  void broadcast(std::string& bytes, int root) override {
    gloo::BroadcastOptions options(context_);
    options.setOutput(bytes.data(), bytes.size());
    options.setRoot(root);
    gloo::broadcast(options);
  }
  void send(int to, const std::string& bytes) override {
    std::string copy = bytes;
    const auto buffer = context_->createUnboundBuffer(copy.data(), copy.size());
    buffer->send(to, kMessages);
    buffer->waitSend();
  }
  void receive(int from, std::string& bytes) override {
    const auto buffer = context_->createUnboundBuffer(bytes.data(), bytes.size());
    buffer->recv(from, kMessages);
    buffer->waitRecv();
  }

 private:
  std::shared_ptr<gloo::rendezvous::Context> context_;
};

class GlooImplementation : public Implementation {
 public:
  std::string name() const override { return "gloo"; }
  std::string what() const override { return "Gloo: full mesh over TCP, addresses through files"; }
  std::string version() const override { return BANYAN_BENCH_PEER_VERSION; }
  Listens listens() const override { return Listens::nobody; }
  std::unique_ptr<Server> serve(const Place& place) const override { return std::make_unique<Folder>(place); }
  std::unique_ptr<Job> join(const Place& place) const override { return std::make_unique<GlooJob>(place); }
};

}  // namespace

extern "C" std::unique_ptr<Implementation> banyan_bench_make_peer() { return std::make_unique<GlooImplementation>(); }

}  // namespace banyan::bench
