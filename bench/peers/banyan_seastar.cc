// Banyan on Seastar: each rank is a process with one shard, which runs before the clock does. The rank's own thread
// waits for that shard as a program that is not Seastar's would.
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <banyan/seastar_bootstrap.hpp>

#include "../banyan_implementation.hh"
#include "driver/seastar/seastar_thread.hh"
#include "launched.hh"

namespace banyan::bench {
namespace {

Buffer buffer_of(const std::string& text) { return Buffer::copy_of(text); }
std::string text_of(const Buffer& buffer) { return {buffer.get(), buffer.size()}; }

template <typename Work>
auto run(Work work) {
  return driver::SeastarThread::instance().run(std::move(work));
}

class SeastarBench : public Job {
 public:
  explicit SeastarBench(const Place& place) : place_(place) {
    run([this] {
      job_.emplace();
      return seastar::make_ready_future<>();
    });
  }
  ~SeastarBench() override {
    run([this] { return job_->stop().finally([this] { job_.reset(); }); });
  }

  void start(const std::string& blob) override {
    run([&] {
      job_->init(options_of(place_, false, blob));
      return job_->start();
    });
  }
  std::string blob_of(int rank) override {
    return run([&] { return job_->peer_blob(rank).then(text_of); });
  }
  void barrier() override {
    run([&] { return job_->barrier(); });
  }
  std::string allgather(const std::string& bytes) override {
    return run([&] {
      return job_->allgather(buffer_of(bytes)).then([](const std::vector<Buffer>& all) {
        std::string joined;
        for (const Buffer& one : all) joined.append(one.get(), one.size());
        return joined;
      });
    });
  }
  void broadcast(std::string& bytes, int root) override {
    bytes = run([&] { return job_->broadcast(root, buffer_of(bytes)).then(text_of); });
  }
  void send(int to, const std::string& bytes) override {
    run([&] { return job_->send(to, buffer_of(bytes)); });
  }
  void receive(int from, std::string& bytes) override {
    bytes = run([&] { return job_->recv(from).then(text_of); });
  }

 private:
  const Place place_;
  std::optional<SeastarBootstrap> job_;
};

}  // namespace
}  // namespace banyan::bench

int main(int argument_count, char** arguments) {
  ::setenv("BANYAN_SEASTAR_ARGUMENTS", "--smp 1 --memory 128M", 0);
  return banyan::bench::launched_main<banyan::bench::SeastarBench, banyan::bench::Implementation::Listens::rank_0>(
      argument_count, arguments, BANYAN_VERSION_STRING);
}
