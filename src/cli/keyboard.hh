// Carries what is typed at a terminal to rank 0. Ranks lead process groups of their own, so a rank that read the
// terminal itself would be stopped by the kernel: only the group in the foreground, the launcher's, may read.
#pragma once

#include <poll.h>

#include <string>
#include <vector>

#include "cli/descriptor.hh"

namespace banyan::cli {

class Keyboard {
 public:
  // The write end of rank 0's input; none: nothing is carried.
  explicit Keyboard(Descriptor to_rank);

  void add_waits(std::vector<pollfd>& waits) const;
  // Moves what can be moved without waiting.
  void carry();
  // The launcher may have come to the foreground: try the terminal again.
  void resume() { paused_ = false; }

 private:
  void read_terminal();
  void write_rank();

  Descriptor to_rank_;
  std::string typed_;
  bool paused_ = false;
};

}  // namespace banyan::cli
