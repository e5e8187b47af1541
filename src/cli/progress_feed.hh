// Reads what rank 0 tells about the start of the job: one notice a line, written to the descriptor that
// BANYAN_PROGRESS_FD names, such as `waiting for 3 of 1024: 17, 904-905` and at last `formed 1024 ranks ...`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/descriptor.hh"

namespace banyan::cli {

class ProgressFeed {
 public:
  // The end to write to, for rank 0 alone.
  Descriptor open();
  // Readable when there is something to read; absent before open() and after the other end closed.
  const Descriptor& read_end() const { return read_end_; }
  // The notices that came since the last call.
  std::vector<std::string> read();

 private:
  Descriptor read_end_;
  std::string partial_;
};

// Whether the notice says that the job has formed, after which there is no more progress to show.
bool says_formed(std::string_view notice);

}  // namespace banyan::cli
