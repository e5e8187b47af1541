// How one long stream goes between hosts: cut into segments, the even ones over one binary tree of leaders, the odd
// ones over another (tree/two_trees.hh), from one leader, the apex, to all others or the other way. So every leader
// sends and receives about as many bytes as the stream has, and a segment is on its way while the next one is made.
//
// Segments are messages, over direct links where these can be had. Each tree and direction is a channel of its own
// between two leaders, in which segments keep their order. A leader asks for some segments of each ahead, and has no
// more under way; of such streams one is under way at a time (Communicator), so none ever waits for a later one.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "base/canary.hh"
#include "base/limits.hh"
#include "node/collective_hosts.hh"
#include "node/collective_peers.hh"
#include "tree/two_trees.hh"

namespace banyan::node {

// What both directions know of one stream.
class Pipeline {
 public:
  static constexpr unsigned kTrees = tree::TwoTrees::kTrees;
  // Segments of one channel under way. From one leader to another there are two channels at most in a direction.
  static constexpr std::uint64_t kWindow = kMaxMessagesInFlight / 2;

  // `bytes`: of the stream. `self` leads a host; the apex is the leader of `end`'s.
  Pipeline(const Hosts& hosts, Rank self, Rank end, std::uint64_t bytes);

  bool is_apex() const { return is_apex_; }
  std::uint64_t segments() const { return segments_; }
  std::uint64_t segments_of(unsigned tree) const { return (segments_ + 1 - tree) / kTrees; }
  std::uint64_t segment_bytes() const { return segment_bytes_; }
  std::uint64_t bytes_of(std::uint64_t segment) const {
    return std::min(segment_bytes_, bytes_ - segment * segment_bytes_);
  }
  std::optional<Rank> parent(unsigned tree) const { return parents_[tree]; }
  const std::vector<Rank>& children(unsigned tree) const { return children_[tree]; }

 private:
  std::uint64_t bytes_;
  std::uint64_t segment_bytes_;
  std::uint64_t segments_;
  bool is_apex_;
  std::array<std::optional<Rank>, kTrees> parents_;
  std::array<std::vector<Rank>, kTrees> children_;
};

// Puts a stream that comes in pieces of any size into segments.
class Segmenter {
 public:
  explicit Segmenter(const Pipeline& pipeline) : pipeline_(pipeline) {}
  // Calls emit(number, segment) for each that is full now.
  template <typename Emit>
  void add(const Payload& bytes, Emit emit) {
    open_.append(bytes);
    while (next_ < pipeline_.segments() && open_.size() >= pipeline_.bytes_of(next_)) {
      const std::uint64_t count = pipeline_.bytes_of(next_);
      const Payload segment = open_.part(0, count);
      open_ = open_.part(count, open_.size() - count);
      emit(next_++, segment);
    }
  }

 private:
  const Pipeline& pipeline_;
  Payload open_;
  std::uint64_t next_ = 0;
};

// From the apex to all.
class DownStream {
 public:
  // All outlive this object.
  DownStream(const Pipeline& pipeline, CollectivePeers& peers, Sequence operation);

  // Nothing is sent or asked for before.
  void begin();
  // The apex's bytes, as they come to be known.
  void feed(const Payload& bytes);
  // False: it has not the size of a segment.
  bool on_segment(unsigned tree, Payload segment);
  void on_sent(unsigned tree, Rank to);
  // Calls visit(bytes) for what is here in order since the last call, a segment at a time.
  template <typename Visit>
  void take(Visit visit) {
    for (; taken_ < pipeline_.segments(); ++taken_) {
      const std::vector<Payload>& of_tree = here_[taken_ % Pipeline::kTrees];
      const std::uint64_t place = taken_ / Pipeline::kTrees;
      if (place >= of_tree.size()) return;
      visit(of_tree[canary(Canary::segments_swapped) ? 0 : place]);
    }
  }
  // All is here, and those below have what is theirs.
  bool finished() const;

 private:
  struct Child {
    Rank rank{};
    std::uint64_t sent = 0;
    std::uint64_t accepted = 0;
  };
  void go_on(unsigned tree);

  const Pipeline& pipeline_;
  CollectivePeers& peers_;
  Sequence operation_;
  Segmenter own_;
  bool begun_ = false;
  std::array<std::vector<Payload>, Pipeline::kTrees> here_;  // segments of each tree, without a gap
  std::array<std::uint64_t, Pipeline::kTrees> asked_{};      // of the parent
  std::array<std::vector<Child>, Pipeline::kTrees> children_;
  std::uint64_t taken_ = 0;
};

// From all to the apex, combined on the way: own, then the children in their order, so that every run gives the same
// bits.
class UpStream {
 public:
  // All outlive this object.
  UpStream(const Pipeline& pipeline, CollectivePeers& peers, const wire::Collective& head);

  void begin();
  // This host's bytes.
  void feed(const Payload& bytes);
  // So many of them may have been fed now: others have yet to catch up with what comes behind.
  std::uint64_t feed_limit() const;
  bool on_segment(unsigned tree, Rank from, Payload segment);
  void on_sent(unsigned tree);
  // At the apex: calls visit(bytes) for what has been combined, in order.
  template <typename Visit>
  void take(Visit visit) {
    for (auto next = combined_.begin(); next != combined_.end() && next->first == taken_; next = combined_.begin()) {
      visit(next->second);
      combined_.erase(next);
      ++taken_;
    }
  }
  // All has been combined here, and the one above has it.
  bool finished() const;

 private:
  struct Row {
    std::optional<Payload> own;
    std::vector<Payload> of_child;
    std::size_t arrived = 0;
  };
  struct Way {
    std::deque<Row> rows;                 // of the segments from `done` on
    std::uint64_t done = 0;               // combined
    std::uint64_t accepted = 0;           // by the parent
    std::vector<std::uint64_t> asked;     // by child
    std::vector<std::uint64_t> received;  // by child
  };
  Row& row_of(unsigned tree, std::uint64_t place);
  void go_on(unsigned tree);
  Payload combine_row(Row row) const;

  const Pipeline& pipeline_;
  CollectivePeers& peers_;
  const wire::Collective head_;
  Segmenter own_;
  bool begun_ = false;
  std::array<Way, Pipeline::kTrees> ways_;
  std::map<std::uint64_t, Payload> combined_;  // at the apex, not taken yet
  std::uint64_t taken_ = 0;
};

}  // namespace banyan::node
