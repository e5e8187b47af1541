// The shortest whole program. `banyan run -n 4 -- hello_bootstrap`, or once for each rank
// `hello_bootstrap RANK RANKS ADDRESS PORT`, where rank 0 is to be found at ADDRESS.
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <string>

#include <banyan/hierarchical_bootstrap.hpp>

int main(int argc, char** argv) try {
  auto bootstrap = std::make_unique<bootstrap::HierarchicalBootstrap>();
  if (argc == 5) {
    bootstrap->init(std::stoi(argv[1]), std::stoi(argv[2]), argv[3],
                    std::stoi(argv[4]));  // the rendezvous; rank 0 binds it
  } else {
    bootstrap->init(bootstrap::Options::from_environment());  // a launcher has said all that
  }
  bootstrap->start();
  const int rank = bootstrap->rank();
  const int total_ranks = bootstrap->world_size();

  std::string message = rank == 0 ? "hello from rank 0" : "";
  bootstrap->broadcast(0, message);  // filled in at the others
  const auto everyone = bootstrap->allgather("rank " + std::to_string(rank) + " heard: " + message);
  bootstrap->barrier();
  bootstrap->send((rank + 1) % total_ranks, "a word from rank " + std::to_string(rank));
  const auto answer = bootstrap->recv((rank + total_ranks - 1) % total_ranks);

  if (rank == 0) {
    for (const std::string& line : everyone) std::cout << line << '\n';
    std::cout << "and my neighbour sent: " << answer << std::endl;
  }
  return EXIT_SUCCESS;
} catch (const std::exception& error) {
  std::cerr << error.what() << std::endl;
  return EXIT_FAILURE;
}
