// A communicator of some of the job's ranks, as one of them knows it. Calls on it have its own ranks; the node and the
// table have the job's.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "api/failures.hh"
#include "base/bytes.hh"
#include "base/cursor.hh"
#include "base/ids.hh"

namespace banyan::api {

class Group {
 public:
  // Of the result of a split (node/calls.hh), as `speaker` of the job knows it; null: this rank is in none.
  static std::shared_ptr<Group> of_result(const Payload& result, const Speaker& speaker) {
    if (result.empty()) return nullptr;
    const Slice flat = result.flatten();
    Reader reader(flat.bytes());
    const auto id = reader.number<CommunicatorId>();
    std::vector<int> job_ranks((result.size() - sizeof id) / sizeof(Rank));
    for (int& rank : job_ranks) rank = static_cast<int>(raw(reader.number<Rank>()));
    return std::make_shared<Group>(id, std::move(job_ranks), speaker);
  }

  Group(CommunicatorId id, std::vector<int> job_ranks, Speaker speaker) : id_(id), job_ranks_(std::move(job_ranks)) {
    for (int rank = 0; rank < size(); ++rank) by_job_rank_.emplace_back(job_rank(rank), rank);
    std::ranges::sort(by_job_rank_);
    rank_ = rank_of(speaker.rank);
    speaker.communicator_rank = rank_;
    speaker.communicator_size = size();
    speaker_ = std::make_shared<const Speaker>(std::move(speaker));
  }

  CommunicatorId id() const { return id_; }
  int size() const { return static_cast<int>(job_ranks_.size()); }
  int rank() const { return rank_; }
  // 0 <= rank < size().
  int job_rank(int rank) const { return job_ranks_[static_cast<std::size_t>(rank)]; }
  // -1: it is in no such group. Its number is no secret in the job, so any rank may have sent what names it.
  int rank_of(int job_rank) const {
    const auto at = std::ranges::lower_bound(by_job_rank_, std::pair(job_rank, 0));
    return at == by_job_rank_.end() || at->first != job_rank ? -1 : at->second;
  }
  const std::shared_ptr<const Speaker>& speaker() const { return speaker_; }

  std::atomic<bool> in_collective{false};
  std::atomic<bool> closed{false};

 private:
  CommunicatorId id_;
  std::vector<int> job_ranks_;
  std::vector<std::pair<int, int>> by_job_rank_;
  int rank_ = 0;
  std::shared_ptr<const Speaker> speaker_;
};

}  // namespace banyan::api
