// For tests: a formed job whose ranks run collectives, and the messages that these need, with a clock that the test
// moves.
#pragma once

#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "node/formed_tree.hh"
#include "node/operations.hh"

namespace banyan::node {

using wire::CallSignature;
using wire::CollectiveKind;
using wire::ElementType;
using wire::Reduction;

// Bytes that tell where they come from.
inline Payload pattern(std::uint64_t seed, std::size_t count) {
  Random random(seed);
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; i += 8) {
    const std::uint64_t word = random.next();
    std::memcpy(bytes.data() + i, &word, std::min<std::size_t>(8, count - i));
  }
  return Payload(Slice::adopt(std::move(bytes)));
}

template <typename T>
Payload payload_of(std::vector<T> values) {
  return Payload(Slice::adopt(std::move(values)));
}

template <typename T>
std::vector<T> values_of(const Payload& payload) {
  std::vector<T> values(payload.size() / sizeof(T));
  if (!values.empty()) payload.copy_to(reinterpret_cast<std::byte*>(values.data()));
  return values;
}

inline Collective collective(CallSignature call, Payload contribution = {}, std::vector<Payload> parts = {}) {
  return {kWorld, call, std::move(contribution), std::move(parts)};
}
inline Collective barrier() { return collective({.kind = CollectiveKind::barrier}); }
inline Collective broadcast(Rank root, Payload message = {}) {
  return collective({.kind = CollectiveKind::broadcast, .root = root}, std::move(message));
}
inline Collective allgather(Payload own) { return collective({.kind = CollectiveKind::allgather}, std::move(own)); }
inline Collective gather(Rank root, Payload own) {
  return collective({.kind = CollectiveKind::gather, .root = root}, std::move(own));
}
inline Collective scatter(Rank root, std::vector<Payload> parts = {}) {
  return collective({.kind = CollectiveKind::scatter, .root = root}, {}, std::move(parts));
}
inline Collective reduce(Rank root, Reduction reduction, ElementType element, Payload vector) {
  const std::uint64_t count = vector.size() / wire::element_bytes(element);
  const CollectiveKind kind = root == kNoRank ? CollectiveKind::allreduce : CollectiveKind::reduce;
  return collective({kind, reduction, element, root, count}, std::move(vector));
}
inline Collective allreduce(Reduction reduction, ElementType element, Payload vector) {
  return reduce(kNoRank, reduction, element, std::move(vector));
}

inline Collective alltoall(std::vector<Payload> parts) {
  return collective({.kind = CollectiveKind::alltoall}, {}, std::move(parts));
}
inline Collective scan(CollectiveKind kind, Reduction reduction, ElementType element, Payload vector) {
  const std::uint64_t count = vector.size() / wire::element_bytes(element);
  return collective({kind, reduction, element, kNoRank, count}, std::move(vector));
}
inline Collective reduce_scatter(Reduction reduction, ElementType element, Payload vector,
                                 std::vector<std::uint64_t> counts = {}) {
  Collective made = scan(CollectiveKind::reduce_scatter, reduction, element, std::move(vector));
  made.call.blocks = wire::blocks_of(counts);
  made.counts = std::move(counts);
  return made;
}

class CollectivesJob {
 public:
  CollectivesJob(const FormedShape& shape, std::uint64_t seed, const Limits& limits = {}) : tree(shape, seed) {
    for (std::uint32_t i = 0; i < shape.world_size; ++i) {
      Config& config = configs_.emplace_back();
      config.rank = Rank{i};
      config.world_size = shape.world_size;
      config.blob = formed_blob(i);
      config.limits = limits;
      config.limits.direct_links = 0;
      machines_.push_back(
          std::make_unique<Operations>(config, tree.topology(Rank{i}), link_ids_, tree.effects(Rank{i})));
    }
    calls_.resize(shape.world_size, 0);
  }

  std::uint32_t world_size() const { return tree.world_size(); }
  Operations& operations(Rank rank) { return *machines_[raw(rank)]; }
  Collectives& at(Rank rank) { return operations(rank).collectives(); }

  // The rank's next call; its calls have the ids 0, 1, 2, ...
  CallId call(Rank rank, decltype(Call::operation) operation, Duration timeout = kForever) {
    const CallId id{calls_[raw(rank)]++};
    operations(rank).call(now, {id, after(now, timeout), std::move(operation)});
    return id;
  }
  std::uint64_t calls(Rank rank) const { return calls_[raw(rank)]; }
  // All ranks but `except` make the same call.
  void call_all(const Collective& collective, Duration timeout = kForever, const RankSet& except = {}) {
    for (std::uint32_t i = 0; i < world_size(); ++i) {
      if (!except.contains(Rank{i})) call(Rank{i}, collective, timeout);
    }
  }

  bool deliver(Rank to, LinkId from, const wire::Frame& frame) {
    const auto [sender, name] = tree.other_end(to, from);
    if (tree.queued_on(sender, name) == 0) operations(sender).messages().on_drained(name);
    bool fine = false;
    if (frame.kind == wire::Kind::collective) {
      auto decoded = wire::decode_with_tail<wire::Collective>(frame.body);
      EXPECT_TRUE(decoded.has_value());
      fine = decoded && at(to).on_frame(now, from, decoded->message, std::move(decoded->tail));
    } else {
      fine = operations(to).messages().on_frame(now, from, frame.kind, frame.body);
    }
    operations(to).settle(now);
    return fine;
  }
  std::size_t run(std::size_t most = SIZE_MAX) {
    return tree.run([this](Rank to, LinkId from, const wire::Frame& frame) { return deliver(to, from, frame); }, most);
  }
  // Lets time pass, and does what falls due on the way, frames included.
  void run_for(Duration duration) {
    const Time end = now + duration;
    run();
    for (Time next = next_deadline(); next <= end; next = next_deadline()) {
      now = std::max(now, next);
      for (const auto& machine : machines_) machine->on_time(now);
      run();
    }
    now = end;
  }
  Time next_deadline() const {
    Time next = kNever;
    for (const auto& machine : machines_) next = std::min(next, machine->deadline());
    return next;
  }

  const Completion* done(Rank rank, CallId id) {
    tree.collect_all();
    return tree.completion(rank, id);
  }
  // What the call was completed with, or null.
  template <typename Result>
  const Result* result(Rank rank, CallId id) {
    const Completion* completion = done(rank, id);
    return completion == nullptr ? nullptr : std::get_if<Result>(&completion->result);
  }
  const Failure* failure(Rank rank, CallId id) { return result<Failure>(rank, id); }
  std::size_t operations_kept() const {
    std::size_t kept = 0;
    for (const auto& machine : machines_) kept += machine->collectives().operations_kept();
    return kept;
  }

  FormedTree tree;
  Time now{std::chrono::seconds(1000)};

 private:
  std::deque<Config> configs_;
  LinkIds link_ids_{LinkId{100'000}};
  std::vector<std::unique_ptr<Operations>> machines_;
  std::vector<std::uint64_t> calls_;
};

}  // namespace banyan::node
