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

namespace banyan::sim {

class Program {
 public:
  // So many operations; sizes and roots are random, mostly small.
  Program(std::uint64_t seed, std::uint32_t ranks, std::uint32_t operations);

  // The calls of one rank, in order: the same number of collectives for all, its own sends and receives, and what it
  // asks of the store.
  std::size_t calls(std::uint32_t rank) const { return plans_[rank].size(); }
  // So many may be under way together. The last one, where there is a store, comes when these are done: ranks keep what
  // others ask for until they have met.
  std::size_t calls_at_once(std::uint32_t rank) const { return calls(rank) - (has_store_ ? 1 : 0); }
  using Operation = decltype(node::Call::operation);
  Operation call(std::uint32_t rank, std::size_t index) const;
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
    std::uint32_t peer = 0;  // root, target, source, whom to dial, or who puts the key
    std::uint32_t tag = 0;
  };
  void plan_receives_from_any(Random& random, std::uint32_t id);
  void plan_store(Random& random, std::uint32_t operations);
  void plan_key(Random& random, std::uint32_t id);
  node::StoreCall store_call(std::uint32_t rank, const Step& step) const;
  std::string store_complaint(std::uint32_t rank, const Step& step, const node::Completion& completion);
  std::string claim_complaint(std::uint32_t rank, const Step& step, const node::Parts& parts);
  Slice value(std::uint32_t id, std::uint32_t rank) const;
  Payload bytes(std::uint32_t id, std::uint32_t rank, bool message = false) const;
  std::uint32_t element(std::uint32_t id, std::uint32_t rank) const;

  std::uint64_t seed_;
  std::uint32_t ranks_;
  std::vector<std::vector<Step>> plans_;                     // by rank
  std::set<std::pair<std::uint32_t, Rank>> taken_from_any_;  // (operation, source)
  bool has_store_ = false;
  std::map<std::uint32_t, std::int64_t> adds_;               // by key: how many there are
  std::set<std::pair<std::uint32_t, std::int64_t>> counts_;  // (key, result)
  std::map<std::uint32_t, Payload> claimed_;                 // what the first to tell found
  std::set<std::uint32_t> won_;                              // keys that somebody has been the first to claim
};

}  // namespace banyan::sim
