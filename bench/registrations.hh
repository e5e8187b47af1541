// A root that takes many registrations at once: REGISTRATIONS ranks (10,000), each as if on a host of its own, in two
// other processes, since one may not have so many descriptors. The root's program is one of several, one for each
// driver; what it is measured by stands here.
//
//   registrations_asio [REGISTRATIONS [FAN_OUT]]                         the Asio driver's root
//   peers/registrations-seastar [REGISTRATIONS [FAN_OUT]]           Seastar's; BANYAN_SEASTAR_ARGUMENTS as its options
//
// Prints one line of JSON: from when the others were let go until the root holds the table of all, and until all have
// it; the root's CPU time meanwhile; its peak of memory.
#pragma once

#include <string>

#include <banyan/options.hpp>

namespace banyan::bench {

// Rank 0, on whatever driver.
class Root {
 public:
  Root() = default;
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;
  virtual ~Root() = default;
  virtual std::string driver() const = 0;
  // Begins to start, and returns once the rendezvous listens.
  virtual void begin(const Options& options) = 0;
  // Returns when the job has formed here. Throws what start() fails with.
  virtual void wait() = 0;
};

// The program, but for the root. Returns the exit status, for _Exit: the others are gone without a word then.
int measure_registrations(int argument_count, char** arguments, Root& root);

}  // namespace banyan::bench
