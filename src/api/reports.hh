// What a rank has to say beside the results of its calls: to the log, and at rank 0 to the launcher while the job
// forms.
#pragma once

#include "api/log.hh"
#include "api/progress.hh"
#include "base/time.hh"
#include "driver/sockets/outcome.hh"
#include "driver/sockets/rank_options.hh"

namespace banyan::api {

class Reports {
 public:
  Reports(const Options& options, Log log)
      : log_(std::move(log)), progress_(options.rank == 0 ? options.progress_fd : -1) {}

  // Sets the callbacks of a rank that is to be opened.
  void follow(driver::RankOptions& rank) const;
  // start(), which began then, has come to this.
  void formed(Time began, const driver::Outcome& outcome) const;

 private:
  Log log_;
  Progress progress_;
};

}  // namespace banyan::api
