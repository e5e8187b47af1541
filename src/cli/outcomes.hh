// How each rank ended, which failure came first, and the few lines that say so.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hh"
#include "base/rank_set.hh"

namespace banyan::cli {

class Outcomes {
 public:
  explicit Outcomes(std::uint32_t world_size) : world_size_(world_size) {}

  void record_start(Rank rank) { running_.insert(rank); }
  // In the order in which the ranks ended; `wait_status` is waitpid's.
  void record_end(Rank rank, int wait_status);

  const RankSet& running() const { return running_; }
  bool failed() const { return first_failure_.has_value(); }
  // The first failure's, with 128 + the number for a signal; 0 if there is none.
  int exit_code() const;
  // "rank 5 was killed by signal 9 (Killed)"; only when failed().
  std::string first_failure() const;
  // The first failure and what became of the others, one sentence a line; only when failed().
  std::vector<std::string> summary() const;

 private:
  struct Failure {
    Rank rank;
    int wait_status;
  };

  std::uint32_t world_size_;
  RankSet running_;
  std::uint32_t ended_ = 0;
  std::optional<Failure> first_failure_;
  RankSet well_before_failure_;              // ended with 0 before the first failure
  std::map<int, RankSet> failed_by_status_;  // without the first failure
};

}  // namespace banyan::cli
