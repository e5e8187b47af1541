// What the ranks of a simulated job do once it has formed, and what each call must yield: a reference that knows
// nothing of trees, frames or engines. Two ranks with the same seed know the same program.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/random.hh"
#include "node/calls.hh"
#include "sim/job.hh"

namespace banyan::sim {

class Program {
 public:
  // So many operations; sizes and roots are random, mostly small. Where the table is lazy, ranks ask each other for
  // their blobs, too.
  Program(std::uint64_t seed, const JobOptions& job, std::uint32_t operations);

  // The calls of one rank, in order: the same number of collectives for all, its own sends and receives, and what it
  // asks of the store.
  std::size_t calls(std::uint32_t rank) const { return plans_[rank].size(); }
  using Operation = decltype(node::Call::operation);
  Operation call(std::uint32_t rank, std::size_t index) const;
  // Whether that call may only be made once all earlier ones of its rank are done: in a communicator that one of them
  // makes; when it leaves one; or the last one, where ranks ask each other for what they have until they have met.
  bool waits(std::uint32_t rank, std::size_t index) const {
    if (meets_last_ && index + 1 == calls(rank)) return true;
    const Step& step = plans_[rank][index];
    if (step.what == What::leave) return true;
    return step.communicator != kWorld && step.what != What::split && plans_[rank][index - 1].what == What::split;
  }
  // Whether the job is none the worse if that call fails.
  bool may_fail(std::uint32_t rank, std::size_t index) const { return plans_[rank][index].what == What::dial; }
  // What is wrong with this result of that call; empty: nothing. Failures are not its business.
  std::string complaint(std::uint32_t rank, std::size_t index, const node::Completion& completion);

 private:
  enum class What : std::uint8_t {
    barrier,
    broadcast,
    allgather,
    allreduce,
    send,
    receive,
    receive_any,
    dial,
    split,
    gather,
    alltoall,
    reduce_scatter,
    scan,
    exclusive_scan,
    long_broadcast,
    long_allgather,
    long_reduce,
    long_allreduce,
    group,
    leave,
    fetch,
    put,
    get,
    find,
    add,
    claim,  // compare_set of an absent key: one of all who try is the first
    remove
  };
  struct Step {
    What what{};
    std::uint32_t id = 0;    // of the operation
    std::uint32_t peer = 0;  // root, target, source, whom to dial, who puts the key, or whose blob it is
    std::uint32_t tag = 0;
    std::uint32_t elements = 0;  // of a vector; of each rank's block in a reduce_scatter, on average
    CommunicatorId communicator = kWorld;
    std::size_t group = 0;  // its place in groups_
  };
  void plan_receives_from_any(Random& random, std::uint32_t id);
  void plan_exchange(Random& random, std::uint32_t id);
  void plan_long(Random& random, std::uint32_t id);
  void plan_split(Random& random, std::uint32_t id);
  void plan_group(Random& random, std::uint32_t id);
  void plan_calls_in(const std::vector<std::uint32_t>& group, CommunicatorId communicator, std::uint32_t first_id);
  // The ranks of the job that a step concerns, by their number in its communicator.
  std::vector<std::uint32_t> members_of(const Step& step) const;
  std::string complaint_about_parts(const Step& step, std::uint32_t rank, const node::Parts* parts) const;
  void plan_store(Random& random, std::uint32_t operations);
  void plan_key(Random& random, std::uint32_t id);
  void plan_fetches(Random& random, std::uint32_t operations);
  node::StoreCall store_call(std::uint32_t rank, const Step& step) const;
  std::string store_complaint(std::uint32_t rank, const Step& step, const node::Completion& completion);
  std::string claim_complaint(std::uint32_t rank, const Step& step, const node::Parts& parts);
  Slice value(std::uint32_t id, std::uint32_t rank) const;
  Payload bytes(std::uint32_t id, std::uint32_t rank, bool message = false) const;
  std::uint32_t element(std::uint32_t id, std::uint32_t rank) const;
  // Vectors: a rank's own, and what those of so many ranks add up to, from 0 on; elements begin to end.
  Payload vector(std::uint32_t id, std::uint32_t rank, std::uint32_t elements) const;
  Payload sums(std::uint32_t id, std::uint32_t ranks, std::uint64_t begin, std::uint64_t end) const;
  std::vector<std::uint64_t> counts(const Step& step) const;
  node::Collective exchange(const Step& step, std::uint32_t rank) const;
  node::Collective long_one(const Step& step, std::uint32_t rank) const;
  // What an operation with one part for each rank, or with vectors, must yield.
  Payload part_due(const Step& step, std::uint32_t rank, std::uint32_t from) const;
  Payload due(const Step& step, std::uint32_t rank) const;

  std::uint64_t seed_;
  JobOptions job_;
  std::uint32_t ranks_;
  std::vector<std::vector<Step>> plans_;                     // by rank
  std::vector<std::vector<std::uint32_t>> groups_;           // the ranks of each communicator that a split makes
  std::set<std::pair<std::uint32_t, Rank>> taken_from_any_;  // (operation, source)
  bool meets_last_ = false;
  std::map<std::uint32_t, std::int64_t> adds_;               // by key: how many there are
  std::set<std::pair<std::uint32_t, std::int64_t>> counts_;  // (key, result)
  std::map<std::uint32_t, Payload> claimed_;                 // what the first to tell found
  std::set<std::uint32_t> won_;                              // keys that somebody has been the first to claim
};

}  // namespace banyan::sim
