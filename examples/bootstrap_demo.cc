// Every operation of Banyan once, checked and timed. Start it on N processes and rank 0 prints a table:
//
//   banyan run -n 8 -- bootstrap_demo          mpirun -np 8 bootstrap_demo          srun -n 8 bootstrap_demo
//   bootstrap_demo --rank R --ranks 8 --address HOST --port PORT     once for each R, in any order, on any hosts
//
// main() says who this process is; the operations stand in demo_operations.hh.
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>

#include <banyan/hierarchical_bootstrap.hpp>

#include "demo_operations.hh"

int main(int argc, char** argv) {
  CLI::App app{
      "Forms a job, performs and checks every operation of Banyan, and prints at rank 0 how long each took on the "
      "slowest "
      "rank. Under banyan run, mpirun, srun or torchrun no option is needed; by hand, start it once for each rank:\n\n"
      "  bootstrap_demo --rank 0 --ranks 2 --address 127.0.0.1 --port 4242 &\n"
      "  bootstrap_demo --rank 1 --ranks 2 --address 127.0.0.1 --port 4242\n"};
  int rank = 0;
  int ranks = 1;
  std::string address = "127.0.0.1";
  int port = 4242;
  std::string timeout;
  bool json = false;
  auto* const by_hand = app.add_option("--rank", rank, "which rank this process is, 0 .. RANKS-1");
  app.add_option("--ranks", ranks, "how many ranks there are")->needs(by_hand)->capture_default_str();
  app.add_option("--address", address, "where rank 0 is: a name or an address")->needs(by_hand)->capture_default_str();
  app.add_option("--port", port, "the port that rank 0 listens on")->needs(by_hand)->capture_default_str();
  app.add_option("--timeout", timeout, "how long to wait for all ranks: seconds, 500ms, 2m or none (default: 30)");
  app.add_flag("--json", json, "print one line of JSON instead of the table");
  app.footer("Every BANYAN_* variable of banyan/options.hpp counts as well, BANYAN_SECRET first of all.");
  CLI11_PARSE(app, argc, argv);

  // The command line says the same things as the variables, and wins.
  const auto say = [](const char* variable, const std::string& value) { ::setenv(variable, value.c_str(), 1); };
  if (*by_hand) {
    say("BANYAN_RANK", std::to_string(rank));
    say("BANYAN_WORLD_SIZE", std::to_string(ranks));
    say("BANYAN_RENDEZVOUS",
        (address.find(':') == std::string::npos ? address : "[" + address + "]") + ":" + std::to_string(port));
  }
  if (!timeout.empty()) say("BANYAN_TIMEOUT", timeout);

  banyan::Options options;
  try {
    options = banyan::Options::from_environment();
    const demo::Results results = demo::run<banyan::HierarchicalBootstrap>(options);
    if (options.rank == 0) json ? demo::print_json(results) : demo::print_table(results);
    return results.ok() ? EXIT_SUCCESS : EXIT_FAILURE;
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    if (options.rank < 0)
      std::cerr
          << "bootstrap_demo: by hand, say who this is with --rank R --ranks N --address HOST --port PORT (--help)\n";
    return EXIT_FAILURE;
  }
}
