// The shortest whole program. `banyan run -n 4 -- hello_bootstrap`, or once for each rank
// `hello_bootstrap RANK RANKS ADDRESS PORT`, where rank 0 is to be found at ADDRESS.
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

#include <banyan/hierarchical_bootstrap.hpp>

namespace {

int number(const char* text) {
  std::size_t digits = 0;
  const std::string word = text;
  try {
    const int value = std::stoi(word, &digits);
    if (digits == word.size()) return value;
  } catch (const std::logic_error&) {  // said below
  }
  throw std::invalid_argument("\"" + word + "\" is no number");
}

}  // namespace

int main(int argc, char** argv) try {
  auto bootstrap = std::make_unique<bootstrap::HierarchicalBootstrap>();
  if (argc == 5) {
    bootstrap->init(number(argv[1]), number(argv[2]), argv[3], number(argv[4]));  // the rendezvous; rank 0 binds it
  } else if (argc > 1) {
    throw std::invalid_argument(std::to_string(argc - 1) + " arguments are none or 4");
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
} catch (const std::invalid_argument& error) {
  std::cerr << "hello_bootstrap: " << error.what() << "; usage: hello_bootstrap RANK RANKS ADDRESS PORT" << std::endl;
  return EXIT_FAILURE;
} catch (const std::exception& error) {
  std::cerr << error.what() << std::endl;
  return EXIT_FAILURE;
}
