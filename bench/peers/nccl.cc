// NCCL as its users have it: under mpirun, its unique id through MPI_Bcast, a GPU for each rank of a host. That is its
// whole start, of which the bootstrap is a part: its figures must not be set beside those of a bootstrap as if they
// were one thing. MPI has been started, and the GPU chosen, before the time begins.
#include <cuda_runtime.h>
#include <nccl.h>

#include "launched.hh"
#include "mpi_job.hh"

namespace banyan::bench {
namespace {

void expect_cuda(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(::cudaGetErrorString(error));
}
void expect_nccl(ncclResult_t result) {
  if (result != ncclSuccess) throw std::runtime_error(::ncclGetErrorString(result));
}

class NcclJob : public MpiJob {
 public:
  explicit NcclJob(const Place& place) : MpiJob(place) {
    expect(::MPI_Init(nullptr, nullptr));
    int devices = 0;
    expect_cuda(::cudaGetDeviceCount(&devices));
    const int local_rank = place.rank % place.ranks_per_host;
    if (local_rank >= devices) throw std::runtime_error("this host has fewer GPUs than ranks");
    expect_cuda(::cudaSetDevice(local_rank));
    expect_cuda(::cudaFree(nullptr));
  }
  ~NcclJob() override {
    if (communicator_ != nullptr) ::ncclCommDestroy(communicator_);
  }

  void start(const std::string& blob) override {
    ncclUniqueId id{};
    if (place_.rank == 0) expect_nccl(::ncclGetUniqueId(&id));
    expect(::MPI_Bcast(&id, sizeof(id), MPI_BYTE, 0, MPI_COMM_WORLD));
    expect_nccl(::ncclCommInitRank(&communicator_, place_.ranks, id, place_.rank));
    table_ = allgather(blob);
  }
  void barrier() override { throw NotOffered(); }
  std::string allgather(const std::string& bytes) override {
    std::string all(bytes.size() * static_cast<std::size_t>(place_.ranks), '\0');
    void* device = nullptr;
    expect_cuda(::cudaMalloc(&device, all.size()));
    auto* const own = static_cast<char*>(device) + static_cast<std::size_t>(place_.rank) * bytes.size();
    expect_cuda(::cudaMemcpy(own, bytes.data(), bytes.size(), cudaMemcpyHostToDevice));
    expect_nccl(::ncclAllGather(own, device, bytes.size(), ncclChar, communicator_, nullptr));
    expect_cuda(::cudaMemcpy(all.data(), device, all.size(), cudaMemcpyDeviceToHost));
    expect_cuda(::cudaFree(device));
    return all;
  }
  void broadcast(std::string&, int) override { throw NotOffered(); }
  void send(int, const std::string&) override { throw NotOffered(); }
  void receive(int, std::string&) override { throw NotOffered(); }

 private:
  ncclComm_t communicator_ = nullptr;
};

}  // namespace
}  // namespace banyan::bench

int main(int argument_count, char** arguments) {
  int version = 0;
  ::ncclGetVersion(&version);
  return banyan::bench::launched_main<banyan::bench::NcclJob>(argument_count, arguments,
                                                              "NCCL " + std::to_string(version));
}
