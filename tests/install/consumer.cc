// What a user of the installed library writes: a job of one rank goes through every operation.
#include <iostream>
#include <memory>
#include <string>

#include <banyan/hierarchical_bootstrap.hpp>

int main() {
  auto bootstrap = std::make_unique<bootstrap::HierarchicalBootstrap>();
  bootstrap->init(0, 1, "127.0.0.1", 0);
  bootstrap->start();

  std::string message = "from the root";
  bootstrap->broadcast(0, message);
  const auto everyone = bootstrap->allgather(std::string("card"));
  bootstrap->barrier();

  const bool ok = message == "from the root" && everyone.size() == 1 && everyone[0] == "card";
  std::cout << (ok ? "the installed copy works\n" : "the installed copy gives wrong values\n");
  return ok ? 0 : 1;
}
