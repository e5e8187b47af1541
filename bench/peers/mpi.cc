// MPI_Init and MPI_Allgather: Open MPI or MPICH, whichever this is compiled with.
#include "launched.hh"
#include "mpi_job.hh"

int main(int argument_count, char** arguments) {
  char version[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  ::MPI_Get_library_version(version, &length);
  const std::string line(version, static_cast<std::size_t>(length));
  return banyan::bench::launched_main<banyan::bench::MpiJob>(argument_count, arguments,
                                                             line.substr(0, line.find('\n')));
}
