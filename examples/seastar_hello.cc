// The shortest whole program on Seastar: `banyan run -n 4 -- seastar_hello --smp 1 --overprovisioned --memory 128M`.
#include <cstdlib>
#include <exception>
#include <iostream>
#include <seastar/core/app-template.hh>
#include <seastar/core/coroutine.hh>
#include <string>
#include <utility>

#include <banyan/seastar_bootstrap.hpp>

namespace {

using banyan::Buffer;

Buffer buffer(const std::string& text) { return Buffer::copy_of(text); }
std::string text(const Buffer& buffer) { return {buffer.get(), buffer.size()}; }

seastar::future<> greet(banyan::SeastarBootstrap& bootstrap) {
  bootstrap.init(banyan::Options::from_environment());
  co_await bootstrap.start();
  const int rank = bootstrap.rank();
  const int total_ranks = bootstrap.world_size();

  const std::string greeting = rank == 0 ? "hello from rank 0" : "";
  const Buffer message = co_await bootstrap.broadcast(0, buffer(greeting));
  const auto everyone =
      co_await bootstrap.allgather(buffer("rank " + std::to_string(rank) + " heard: " + text(message)));
  co_await bootstrap.barrier(std::chrono::seconds(5));
  co_await bootstrap.send((rank + 1) % total_ranks, buffer("a word from rank " + std::to_string(rank)));
  const Buffer answer = co_await bootstrap.recv((rank + total_ranks - 1) % total_ranks);

  if (rank == 0) {
    for (const Buffer& line : everyone) std::cout << text(line) << '\n';
    std::cout << "and my neighbour sent: " << text(answer) << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  seastar::app_template app;
  return app.run(argc, argv, []() -> seastar::future<int> {
    banyan::SeastarBootstrap bootstrap;
    std::string error;
    try {
      co_await greet(bootstrap);
    } catch (const std::exception& thrown) {
      error = thrown.what();
    }
    co_await bootstrap.stop();
    if (error.empty()) co_return EXIT_SUCCESS;
    std::cerr << error << std::endl;
    co_return EXIT_FAILURE;
  });
}
