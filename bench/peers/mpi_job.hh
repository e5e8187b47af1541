// The operations of MPI, for peers that have it.
#pragma once

// Neither of their C++ bindings, which need more libraries.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include "../harness/implementation.hh"

namespace banyan::bench {

class MpiJob : public TableJob {
 public:
  using TableJob::TableJob;
  ~MpiJob() override { ::MPI_Finalize(); }

  void start(const std::string& blob) override {
    expect(::MPI_Init(nullptr, nullptr));
    table_ = allgather(blob);
  }

  void barrier() override { expect(::MPI_Barrier(MPI_COMM_WORLD)); }
  std::string allgather(const std::string& bytes) override {
    std::string all(bytes.size() * static_cast<std::size_t>(place_.ranks), '\0');
    const int size = static_cast<int>(bytes.size());
    expect(::MPI_Allgather(bytes.data(), size, MPI_BYTE, all.data(), size, MPI_BYTE, MPI_COMM_WORLD));
    return all;
  }
  void broadcast(std::string& bytes, int root) override {
    expect(::MPI_Bcast(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, root, MPI_COMM_WORLD));
  }
  void send(int to, const std::string& bytes) override {
    expect(::MPI_Send(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, to, 0, MPI_COMM_WORLD));
  }
  void receive(int from, std::string& bytes) override {
    expect(
        ::MPI_Recv(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, from, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE));
  }

 protected:
  static void expect(int result) {
    if (result != MPI_SUCCESS) throw std::runtime_error("MPI failed with code " + std::to_string(result));
  }
};

}  // namespace banyan::bench
