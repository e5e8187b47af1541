// Who has not made a call yet, as far as one node knows: what its children last answered, and what the root told.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/bytes.hh"
#include "base/rank_set.hh"

namespace banyan::node {

// Ranks that are missing: how many, and the names of those that fit into a frame.
struct MissingRanks {
  RankSet named;
  std::uint64_t count = 0;

  void insert(Rank rank);
  // `other` has no rank in common with this.
  void insert(const MissingRanks& other);
  void erase(Rank rank);
  std::string to_string() const;  // "5, 17 and 3 more"

  Payload write() const;
  static std::optional<MissingRanks> read(const Payload& tail, std::uint32_t world_size);

  friend bool operator==(const MissingRanks&, const MissingRanks&) = default;
};

// One node's part in finding out who is missing from one operation.
struct RollCall {
  struct Answer {
    MissingRanks missing;
    bool provisional = false;  // some below have not answered yet
    friend bool operator==(const Answer&, const Answer&) = default;
  };

  std::map<std::size_t, Answer> answers;  // of children that have not voted, by place in Topology::children()
  std::uint32_t rounds = 0;               // how often the children were asked
  bool spoken = false;                    // the parent has been told something
  Answer last_said;                       // to the parent, or by the root to all
  std::optional<MissingRanks> from_root;
};

}  // namespace banyan::node
