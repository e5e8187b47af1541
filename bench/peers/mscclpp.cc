// mscclpp's TcpBootstrap as its users have it: under mpirun, its unique id through MPI_Bcast. MPI has been started
// before the time begins.
#include <mscclpp/core.hpp>

#include "launched.hh"
#include "mpi_job.hh"

namespace banyan::bench {
namespace {

class MscclppJob : public MpiJob {
 public:
  explicit MscclppJob(const Place& place) : MpiJob(place) { expect(::MPI_Init(nullptr, nullptr)); }
  ~MscclppJob() override { bootstrap_.reset(); }

  void start(const std::string& blob) override {
    bootstrap_ = std::make_unique<mscclpp::TcpBootstrap>(place_.rank, place_.ranks);
    mscclpp::UniqueId id{};
    if (place_.rank == 0) id = mscclpp::TcpBootstrap::createUniqueId();
    expect(::MPI_Bcast(id.data(), static_cast<int>(id.size()), MPI_BYTE, 0, MPI_COMM_WORLD));
    bootstrap_->initialize(id);
    table_ = allgather(blob);
  }
  void barrier() override { bootstrap_->barrier(); }
  std::string allgather(const std::string& bytes) override {
    std::string all(bytes.size() * static_cast<std::size_t>(place_.ranks), '\0');
    all.replace(static_cast<std::size_t>(place_.rank) * bytes.size(), bytes.size(), bytes);
    bootstrap_->allGather(all.data(), static_cast<int>(bytes.size()));
    return all;
  }
  void broadcast(std::string& bytes, int root) override {
    bootstrap_->broadcast(bytes.data(), static_cast<int>(bytes.size()), root);
  }
  void send(int to, const std::string& bytes) override {
    std::string copy = bytes;
    static_cast<mscclpp::Bootstrap&>(*bootstrap_).send(copy.data(), static_cast<int>(copy.size()), to, 0);
  }
  void receive(int from, std::string& bytes) override {
    static_cast<mscclpp::Bootstrap&>(*bootstrap_).recv(bytes.data(), static_cast<int>(bytes.size()), from, 0);
  }

 private:
  std::unique_ptr<mscclpp::TcpBootstrap> bootstrap_;
};

}  // namespace
}  // namespace banyan::bench

int main(int argument_count, char** arguments) {
  return banyan::bench::launched_main<banyan::bench::MscclppJob>(argument_count, arguments, mscclpp::version());
}
