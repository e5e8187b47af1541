// What the contract suite needs of a driver: one implementation of this per driver, registered in all_drivers().
#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "driver/sockets/rank_options.hh"
#include "engine/machine.hh"

namespace banyan::driver_test {

// One rank that a driver runs. Ends with its destructor, as RankHandle does.
class RankUnderTest {
 public:
  virtual ~RankUnderTest() = default;
  // Makes the driver hand a node::Call to the machine, so that it asks for outputs.
  virtual void poke() = 0;
  virtual node::Statistics statistics() = 0;
};

// One process's driver, running in the background.
class DriverUnderTest {
 public:
  virtual ~DriverUnderTest() = default;
  // Opens and starts a rank. Throws std::runtime_error with the driver's reason when the options can't be used.
  virtual std::unique_ptr<RankUnderTest> open(driver::RankOptions options,
                                              std::unique_ptr<engine::Machine> machine) = 0;
};

struct DriverKind {
  std::string name;
  std::unique_ptr<DriverUnderTest> (*make)();
};
const std::vector<DriverKind>& all_drivers();
// For drivers that are not always there, before main(). Returns true.
bool register_driver(DriverKind kind);
// For the names of tests.
inline void PrintTo(const DriverKind& kind, std::ostream* out) { *out << kind.name; }

}  // namespace banyan::driver_test
