// For tests: a formed tree whose ranks exchange messages, and nothing else.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "node/formed_tree.hh"
#include "node/messages.hh"

namespace banyan::node {

class MessageCluster {
 public:
  MessageCluster(const FormedShape& shape, std::uint64_t seed, const Limits& limits = {}) : tree_(shape, seed) {
    for (std::uint32_t i = 0; i < shape.world_size; ++i) {
      ranks_.push_back(std::make_unique<Messages>(tree_.topology(Rank{i}), tree_.effects(Rank{i}), limits));
    }
  }

  FormedTree& tree() { return tree_; }
  Messages& at(Rank rank) { return *ranks_[raw(rank)]; }
  void set_time(Time now) { now_ = now; }
  Time now() const { return now_; }

  CallId send(Rank from, Rank to, std::uint32_t tag, Payload message, Time deadline = kNever) {
    const CallId id = next_call_ = next(next_call_);
    at(from).send(now_, id, Send{to, tag, std::move(message)}, deadline);
    return id;
  }
  CallId receive(Rank at_rank, Rank from, std::uint32_t tag, Time deadline = kNever) {
    const CallId id = next_call_ = next(next_call_);
    at(at_rank).receive(now_, id, Receive{from, tag}, deadline);
    return id;
  }
  // Delivers frames until nothing is under way, or `most` of them; says how many.
  std::size_t run(std::size_t most = SIZE_MAX) {
    return tree_.run([this](Rank rank, LinkId from, const wire::Frame& frame) { return deliver(rank, from, frame); },
                     most);
  }
  // What has arrived makes room on the link that it came by.
  bool deliver(Rank rank, LinkId from, const wire::Frame& frame) {
    const Rank sender = tree_.neighbour(rank, from);
    if (tree_.queued_bytes(sender, rank) == 0) at(sender).on_drained(tree_.link(sender, rank));
    return at(rank).on_frame(from, frame.kind, frame.body);
  }
  void pass_time(Time now) {
    now_ = now;
    for (auto& rank : ranks_) rank->on_time(now);
  }
  bool consistent() const {
    for (const auto& rank : ranks_) {
      if (!rank->consistent()) return false;
    }
    return true;
  }

  // The result of a call at `rank`; none: it has not completed.
  const Completion* result(Rank rank, CallId id) {
    tree_.collect_all();
    return tree_.completion(rank, id);
  }
  bool done(Rank rank, CallId id) {
    const Completion* completion = result(rank, id);
    return completion != nullptr && std::holds_alternative<Payload>(completion->result);
  }
  std::string bytes(Rank rank, CallId id) {
    const Completion* completion = result(rank, id);
    if (completion == nullptr) return "(pending)";
    const auto* payload = std::get_if<Payload>(&completion->result);
    return payload != nullptr ? payload->to_string() : "(failed: " + std::get<Failure>(completion->result).text + ")";
  }
  // Null while the call is pending or if it succeeded.
  const Failure* failure(Rank rank, CallId id) {
    const Completion* completion = result(rank, id);
    return completion != nullptr ? std::get_if<Failure>(&completion->result) : nullptr;
  }

 private:
  FormedTree tree_;
  std::vector<std::unique_ptr<Messages>> ranks_;
  Time now_{};
  CallId next_call_{};
};

}  // namespace banyan::node
