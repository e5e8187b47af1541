// What the programs have in common that a launcher starts: each is one rank, with one implementation.
#pragma once

#include <iostream>
#include <string>

#include "../harness/group.hh"

namespace banyan::bench {

// Offers what the job does; has a name only for error messages.
template <typename JobType, Implementation::Listens kListens = Implementation::Listens::nobody>
class LaunchedRank : public Implementation {
 public:
  std::string name() const override { return "launched"; }
  std::string what() const override { return {}; }
  Listens listens() const override { return kListens; }
  std::unique_ptr<Job> join(const Place& place) const override { return std::make_unique<JobType>(place); }
};

template <typename JobType, Implementation::Listens kListens = Implementation::Listens::nobody>
int launched_main(int argument_count, char** arguments, const std::string& version) {
  if (is_launched_rank(argument_count, arguments)) {
    Implementations only;
    only.push_back(std::make_unique<LaunchedRank<JobType, kListens>>());
    return be_launched_rank(argument_count, arguments, only);
  }
  if (argument_count > 1 && std::string(arguments[1]) == "--version") {
    std::cout << version << "\n";
    return 0;
  }
  std::cerr << "bootstrap_benchmark starts this\n";
  return 2;
}

}  // namespace banyan::bench
