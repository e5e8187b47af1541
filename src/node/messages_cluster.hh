// For tests: a formed tree whose ranks exchange messages, and nothing else.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "node/formed_tree.hh"
#include "node/messages.hh"

namespace banyan::node {

class MessageCluster {
 public:
  // Without direct links, unless `direct` says so.
  MessageCluster(const FormedShape& shape, std::uint64_t seed, const Limits& limits = {}, bool direct = false)
      : tree_(shape, seed), handled_(shape.world_size) {
    for (std::uint32_t i = 0; i < shape.world_size; ++i) {
      Config& config = configs_.emplace_back();
      config.rank = Rank{i};
      config.world_size = shape.world_size;
      config.limits = limits;
      if (!direct) config.limits.direct_links = 0;
      ranks_.push_back(std::make_unique<Messages>(config, tree_.topology(Rank{i}), link_ids_, tree_.effects(Rank{i})));
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
  CallId receive_from_any(Rank at_rank, std::uint32_t tag, Time deadline = kNever) {
    return receive(at_rank, kNoRank, tag, deadline);
  }
  // Whose message a receive has brought; kNoRank: none, or it is pending.
  Rank source(Rank rank, CallId id) {
    const Completion* completion = result(rank, id);
    return completion != nullptr ? completion->source : kNoRank;
  }
  // (source, bytes) of what a receive would bring; (kNoRank, 0): nothing.
  CallId begin_probe(Rank at_rank, Rank from, std::uint32_t tag) {
    const CallId id = next_call_ = next(next_call_);
    at(at_rank).probe(now(), id, Probe{from, tag});
    return id;
  }
  std::pair<Rank, std::uint64_t> probe(Rank at_rank, Rank from, std::uint32_t tag) {
    const CallId id = begin_probe(at_rank, from, tag);
    const Slice size = std::get<Payload>(result(at_rank, id)->result).flatten();
    Reader reader(size.bytes());
    return {source(at_rank, id), size.empty() ? 0 : reader.number<std::uint64_t>()};
  }
  CallId dial(Rank from, Rank to, Time deadline = kNever) {
    const CallId id = next_call_ = next(next_call_);
    at(from).dial(now_, id, to, deadline);
    return id;
  }
  // Delivers frames until nothing is under way, or `most` of them; says how many.
  std::size_t run(std::size_t most = SIZE_MAX) {
    std::size_t delivered = 0;
    for (; delivered < most; ++delivered) {
      const bool busy = carry_out();
      const std::size_t done =
          tree_.run([this](Rank rank, LinkId from, const wire::Frame& frame) { return deliver(rank, from, frame); }, 1);
      if (done == 0 && !busy) break;
    }
    return delivered;
  }
  // One of the direct links breaks, if there is one; both ends hear of it, one after the other.
  bool break_one(Random& random) {
    while (carry_out()) {
    }
    if (direct_.empty()) return false;
    const auto [rank, link] = direct_[random.below(direct_.size())];
    const auto [other, name] = tree_.other_end(rank, link);
    cut(rank, link);
    const Failure failure{FailureCode::unreachable, Phase::running, {}, {}, "it broke"};
    auto ends = std::array{std::pair(rank, link), std::pair(other, name)};
    if (random.below(2) == 0) std::swap(ends[0], ends[1]);
    for (const auto& [end, its_link] : ends) {
      if (at(end).owns(its_link)) at(end).on_link_failed(now_, its_link, failure, false);
      if (random.below(2) == 0) run(random.below(20));
    }
    return true;
  }
  // The name that `from` has for its direct link to `to`.
  LinkId direct_link(Rank from, Rank to) const {
    for (const auto& [rank, link] : direct_) {
      if (rank == from && tree_.other_end(rank, link).first == to) return link;
    }
    return kNoLink;
  }
  std::size_t direct_links() const { return direct_.size() / 2; }
  std::uint64_t ever_opened() const { return opened_; }
  // From now on so many attempts to connect out of ten fail.
  void refuse_some(std::uint64_t of_ten) { refused_of_ten_ = of_ten; }
  // What has arrived makes room on the link that it came by.
  bool deliver(Rank rank, LinkId from, const wire::Frame& frame) {
    const auto [sender, name] = tree_.other_end(rank, from);
    if (tree_.queued_on(sender, name) == 0) at(sender).on_drained(name);
    return at(rank).on_frame(now_, from, frame.kind, frame.body);
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
  // What is beside frames and completions: the doors and links that ranks ask for. Says whether there was anything.
  bool carry_out() {
    tree_.collect_all();
    bool any = false;
    for (std::uint32_t i = 0; i < tree_.world_size(); ++i) {
      while (handled_[i] < tree_.other_effects(Rank{i}).size()) {
        const Effect effect = tree_.other_effects(Rank{i})[handled_[i]++];
        any = true;
        if (const auto* listen = std::get_if<effect::Listen>(&effect)) {
          Endpoint endpoint = listen->endpoint;
          endpoint.port = static_cast<std::uint16_t>(1000 + i);
          at(Rank{i}).on_listening(now_, listen->listener, endpoint);
        } else if (const auto* open = std::get_if<effect::OpenLink>(&effect)) {
          connect(Rank{i}, *open);
        } else if (const auto* close = std::get_if<effect::CloseLink>(&effect);
                   close && tree_.has(Rank{i}, close->link)) {
          const auto [other, name] = tree_.other_end(Rank{i}, close->link);
          cut(Rank{i}, close->link);
          const Failure closed{FailureCode::unreachable, Phase::running, {}, {}, "closed"};
          if (at(other).owns(name)) at(other).on_link_failed(now_, name, closed, false);
        }
      }
    }
    return any;
  }
  void connect(Rank from, const effect::OpenLink& open) {
    const LinkId name = link_ids_.allot();
    const Failure refused{FailureCode::unreachable, Phase::join, {}, {}, "connection refused"};
    if (!at(from).owns(open.connect.link)) return;
    if (tree_.random().below(10) < refused_of_ten_)
      return at(from).on_link_failed(now_, open.connect.link, refused, false);
    if (!at(open.to).on_accepted(name, from)) return at(from).on_link_failed(now_, open.connect.link, refused, false);
    tree_.open(from, open.connect.link, open.to, name);
    direct_.insert(direct_.end(), {{from, open.connect.link}, {open.to, name}});
    ++opened_;
    at(from).on_authenticated(open.connect.link);
  }
  void cut(Rank rank, LinkId link) {
    const auto other = tree_.other_end(rank, link);
    std::erase_if(direct_, [&](const auto& end) { return end == std::pair(rank, link) || end == other; });
    tree_.cut(rank, link);
  }

  FormedTree tree_;
  std::deque<Config> configs_;
  LinkIds link_ids_{LinkId{100'000}};            // of direct links: beyond those of the tree
  std::vector<std::size_t> handled_;             // of each rank's other effects
  std::vector<std::pair<Rank, LinkId>> direct_;  // both ends of each
  std::uint64_t opened_ = 0;
  std::uint64_t refused_of_ten_ = 0;
  std::vector<std::unique_ptr<Messages>> ranks_;
  Time now_{};
  CallId next_call_{};
};

}  // namespace banyan::node
