// Lines for the launcher about a job that forms (BANYAN_PROGRESS_FD).
#pragma once

#include <string_view>

namespace banyan::api {

class Progress {
 public:
  // -1: nobody listens.
  explicit Progress(int descriptor = -1) : descriptor_(descriptor) {}
  bool wanted() const { return descriptor_ >= 0; }
  // Writes one line in one piece, or drops it when there is no room or no reader: a launcher that is slow or gone must
  // not hold up the job.
  void line(std::string_view text) const;

 private:
  int descriptor_;
};

}  // namespace banyan::api
