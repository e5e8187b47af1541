// MPI_Allgather and MPI_Bcast of large payloads, under MPI's launcher: what bench/large_payloads.cc does with Banyan.
// They fill a buffer of the caller's. Two forms: it is *kept* from one repetition to the next, or each gets a *new*
// one, as whoever has a result to keep would take.
#include "../large_payloads.hh"

#include <memory>

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
    if (settings.form == "kept") make_buffer();
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
    if (settings_.form == "new") make_buffer();
    result_ = needs_buffer() ? came_.get() : own.data();
    if (settings_.broadcast()) {
      expect(::MPI_Bcast(result_, bytes, MPI_BYTE, 0, MPI_COMM_WORLD));
    } else {
      expect(::MPI_Allgather(own.data(), bytes, MPI_BYTE, result_, bytes, MPI_BYTE, MPI_COMM_WORLD));
    }
  }

  template <typename Reader>
  void read(const Reader& reader) {
    for (int i = 0; i < messages(); ++i)
      reader(i, result_ + static_cast<std::size_t>(i) * settings_.bytes, settings_.bytes);
  }

  void let_go() {
    if (settings_.form == "new") came_.reset();
  }

 private:
  int messages() const { return settings_.broadcast() ? 1 : ranks_; }
  // A broadcast's root has its message.
  bool needs_buffer() const { return !settings_.broadcast() || rank_ != 0; }
  // Its pages come when they are first written.
  void make_buffer() {
    if (needs_buffer()) came_.reset(new char[static_cast<std::size_t>(messages()) * settings_.bytes]);
  }

  const PayloadSettings& settings_;
  int rank_ = 0;
  int ranks_ = 0;
  std::unique_ptr<char[]> came_;
  char* result_ = nullptr;
};

}  // namespace

int main(int argument_count, char** arguments) {
  PayloadSettings settings;
  if (!banyan::bench::parse(argument_count, arguments, {"kept", "new"}, settings)) return EXIT_FAILURE;
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
