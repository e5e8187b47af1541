// MPI_Allgather and MPI_Bcast of large payloads, under MPI's launcher: what bench/large_payloads.cc does with Banyan.
// They fill a buffer of the caller's, which is kept from one repetition to the next.
#include "../large_payloads.hh"

#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

namespace {

using banyan::bench::PayloadFigures;
using banyan::bench::PayloadSettings;

void expect(int result) {
  if (result != MPI_SUCCESS) throw std::runtime_error("MPI failed with code " + std::to_string(result));
}

class MpiJob {
 public:
  explicit MpiJob(const PayloadSettings& settings) : settings_(settings) {
    expect(::MPI_Comm_rank(MPI_COMM_WORLD, &rank_));
    expect(::MPI_Comm_size(MPI_COMM_WORLD, &ranks_));
    const std::size_t messages = settings.broadcast() ? 1 : static_cast<std::size_t>(ranks_);
    if (!settings.broadcast() || rank_ != 0) came_.resize(settings.bytes * messages);
  }

  int rank() const { return rank_; }
  int ranks() const { return ranks_; }
  void barrier() { expect(::MPI_Barrier(MPI_COMM_WORLD)); }
  std::vector<PayloadFigures> gather(const PayloadFigures& own) {
    std::vector<PayloadFigures> all(static_cast<std::size_t>(ranks_));
    expect(::MPI_Gather(&own, sizeof own, MPI_BYTE, all.data(), sizeof own, MPI_BYTE, 0, MPI_COMM_WORLD));
    return all;
  }

  void call(std::string& own) {
    const int bytes = static_cast<int>(settings_.bytes);
    if (settings_.broadcast()) {
      result_ = rank_ == 0 ? &own : &came_;
      expect(::MPI_Bcast(result_->data(), bytes, MPI_BYTE, 0, MPI_COMM_WORLD));
    } else {
      expect(::MPI_Allgather(own.data(), bytes, MPI_BYTE, came_.data(), bytes, MPI_BYTE, MPI_COMM_WORLD));
    }
  }

  template <typename Reader>
  void read(const Reader& reader) {
    for (std::size_t begin = 0; begin < result_->size(); begin += settings_.bytes) {
      reader(static_cast<int>(begin / settings_.bytes), result_->data() + begin, settings_.bytes);
    }
  }

  void let_go() {}

 private:
  const PayloadSettings& settings_;
  int rank_ = 0;
  int ranks_ = 0;
  std::string came_;
  std::string* result_ = &came_;  // of a broadcast's root what it sends
};

}  // namespace

int main(int argument_count, char** arguments) {
  PayloadSettings settings;
  if (!banyan::bench::parse(argument_count, arguments, settings)) return EXIT_FAILURE;
  ::MPI_Init(nullptr, nullptr);
  try {
    MpiJob job(settings);
    banyan::bench::measure_payloads(job, settings);
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    ::MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
  }
  ::MPI_Finalize();
  return EXIT_SUCCESS;
}
