#include "sim/program.hh"

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <utility>
#include <variant>

#include "base/cursor.hh"
#include "base/random.hh"
#include "node/collectives.hh"

namespace banyan::sim {
namespace {

// Few tags, so that several messages of one flow are under way.
constexpr std::uint32_t kTags = 3;
constexpr std::uint32_t kMessagesPerOperation = 6;
// Beyond the numbers of all other operations.
constexpr std::uint32_t kFirstOfSplits = 1'000'000;

wire::Tag tag_of(std::uint32_t tag, CommunicatorId communicator) {
  return {tag, wire::Space::application, communicator};
}

Payload element_bytes(std::uint32_t value) {
  std::string text(sizeof value, '\0');
  std::memcpy(text.data(), &value, sizeof value);
  return Payload::copy(text);
}

}  // namespace

Program::Program(std::uint64_t seed, std::uint32_t ranks, std::uint32_t operations)
    : seed_(seed), ranks_(ranks), plans_(ranks) {
  Random random(seed ^ 0x5eed);
  for (std::uint32_t id = 0; id < operations; ++id) {
    const auto what = static_cast<What>(random.below(5));
    const auto root = static_cast<std::uint32_t>(random.below(ranks));
    if (what != What::send) {
      for (auto& plan : plans_) plan.push_back({what, id, root, 0});
      continue;
    }
    std::uint32_t from = 0;
    std::uint32_t to = 0;
    for (std::uint32_t i = 0; i < kMessagesPerOperation; ++i) {
      // Every other time the same two once more, or the other way round: so many are worth a direct link.
      if (i == 0 || random.below(2) == 0) {
        from = static_cast<std::uint32_t>(random.below(ranks));
        to = static_cast<std::uint32_t>(random.below(ranks));
        if (random.below(4) == 0) plans_[from].push_back({What::dial, 0, to, 0});
      } else if (random.below(3) == 0) {
        std::swap(from, to);
      }
      const auto tag = static_cast<std::uint32_t>(random.below(kTags));
      const std::uint32_t message = operations + id * kMessagesPerOperation + i;
      plans_[from].push_back({What::send, message, to, tag});
      plans_[to].push_back({What::receive, message, from, tag});
    }
  }
  // Drawn apart, so that a seed's other calls are what they were before there were these.
  Random more(seed ^ 0xa11);
  if (more.below(3) == 0) {
    for (std::uint32_t i = 0; i <= operations / 2; ++i) {
      plan_receives_from_any(more, operations * (1 + kMessagesPerOperation) + i);
    }
  }
  Random splits(seed ^ 0x5911);
  if (splits.below(3) == 0) plan_split(splits, kFirstOfSplits);
}

// One of the whole job by two or three colors and none, in random order, and then calls in what comes of it.
void Program::plan_split(Random& random, std::uint32_t id) {
  const auto is_world_collective = [](const Step& step) {
    return step.what < What::send || step.what == What::split || step.what == What::gather;
  };
  const Sequence sequence{static_cast<std::uint64_t>(std::ranges::count_if(plans_[0], is_world_collective))};
  const auto colors = static_cast<std::int32_t>(2 + random.below(2));
  std::map<std::int32_t, std::vector<std::pair<std::int32_t, std::uint32_t>>> of_color;
  for (std::uint32_t rank = 0; rank < ranks_; ++rank) {
    Step step{What::split, id, static_cast<std::uint32_t>(random.below(static_cast<std::uint64_t>(colors) + 1)),
              static_cast<std::uint32_t>(random.below(3))};
    const std::int32_t color = static_cast<std::int32_t>(step.peer) - 1;
    if (color != node::kNoColor) of_color[color].emplace_back(static_cast<std::int32_t>(step.tag), rank);
    plans_[rank].push_back(step);
  }
  for (auto& [color, members] : of_color) {
    std::ranges::sort(members);
    std::vector<std::uint32_t>& group = groups_.emplace_back();
    for (const auto& [key, rank] : members) group.push_back(rank);
    const CommunicatorId made = node::communicator_of_split(kWorld, sequence, color);
    for (const std::uint32_t rank : group) {
      plans_[rank].back().communicator = made;
      plans_[rank].back().group = groups_.size() - 1;
    }
    plan_calls_in(group, made, id + 1);
  }
}

void Program::plan_calls_in(const std::vector<std::uint32_t>& group, CommunicatorId communicator,
                            std::uint32_t first_id) {
  const auto size = static_cast<std::uint32_t>(group.size());
  for (std::uint32_t i = 0; i < size; ++i) {
    auto& plan = plans_[group[i]];
    const auto add = [&](What what, std::uint32_t id, std::uint32_t peer) {
      plan.push_back({what, id, peer, 0, communicator, groups_.size() - 1});
    };
    add(What::gather, first_id, size - 1);
    add(What::allgather, first_id + 1, 0);
    add(What::send, first_id + 2, group[(i + 1) % size]);
    add(What::receive, first_id + 2, group[(i + size - 1) % size]);
    add(What::broadcast, first_id + 3, size / 2);
    add(What::barrier, first_id + 4, 0);
    add(What::gather, first_id + 5, size / 3);
  }
}

std::vector<std::uint32_t> Program::members_of(const Step& step) const {
  if (step.communicator != kWorld) return groups_[step.group];
  std::vector<std::uint32_t> all(ranks_);
  std::iota(all.begin(), all.end(), 0U);
  return all;
}

// One message of each of some ranks, to one that doesn't say whose it wants.
void Program::plan_receives_from_any(Random& random, std::uint32_t id) {
  const auto target = static_cast<std::uint32_t>(random.below(ranks_));
  const auto first = static_cast<std::uint32_t>(random.below(ranks_));
  const std::uint32_t tag = kTags + id;
  for (std::uint32_t i = 0; i < std::min(ranks_, kMessagesPerOperation); ++i) {
    plans_[(first + i) % ranks_].push_back({What::send, id, target, tag});
    plans_[target].push_back({What::receive_any, id, 0, tag});
  }
}

// Mostly few bytes, none at times, and now and then more than one frame; of messages one in four is that long, so that
// some are under way whenever a direct link comes or goes.
Payload Program::bytes(std::uint32_t id, std::uint32_t rank, bool message) const {
  Random random(seed_ * 1'000'003 + std::uint64_t{id} * 4'194'304 + rank);
  const std::uint64_t kind = random.below(20);
  const bool is_long = kind == 0 || (message && kind >= 16);
  const std::size_t size = is_long ? random.below(message ? 300'000 : 100'000) : kind < 3 ? 0 : random.below(200);
  std::string text(size, '\0');
  // Each byte tells its place: the period divides no chunk.
  constexpr std::size_t kPeriod = 251;
  for (std::size_t i = 0, first = random.below(26); i < size; ++i) text[i] = static_cast<char>((first + i) % kPeriod);
  return Payload(Slice::adopt(std::move(text)));
}

std::uint32_t Program::element(std::uint32_t id, std::uint32_t rank) const { return id * 7919 + rank * 104'729 + 1; }

Program::Operation Program::call(std::uint32_t rank, std::size_t index) const {
  const Step& step = plans_[rank][index];
  using enum wire::CollectiveKind;
  switch (step.what) {
    case What::barrier: return node::Collective{step.communicator, {.kind = barrier}, {}, {}};
    case What::broadcast:
      return node::Collective{step.communicator,
                              {.kind = broadcast, .root = Rank{step.peer}},
                              rank == members_of(step)[step.peer] ? bytes(step.id, rank) : Payload(),
                              {}};
    case What::allgather: return node::Collective{step.communicator, {.kind = allgather}, bytes(step.id, rank), {}};
    case What::gather:
      return node::Collective{step.communicator, {.kind = gather, .root = Rank{step.peer}}, bytes(step.id, rank), {}};
    case What::split: {
      Writer writer;
      writer.number(static_cast<std::int32_t>(step.peer) - 1);
      writer.number(static_cast<std::int32_t>(step.tag));
      return node::Collective{kWorld, {.kind = split}, Payload(std::move(writer).finish()), {}};
    }
    case What::allreduce:
      return node::Collective{
          kWorld,
          {.kind = allreduce, .reduction = wire::Reduction::sum, .element = wire::ElementType::uint32, .count = 1},
          element_bytes(element(step.id, rank)),
          {}};
    case What::send:
      return node::Send{Rank{step.peer}, tag_of(step.tag, step.communicator), bytes(step.id, rank, true)};
    case What::receive: return node::Receive{Rank{step.peer}, tag_of(step.tag, step.communicator)};
    case What::receive_any: return node::Receive{kNoRank, step.tag};
    case What::dial: return node::Dial{Rank{step.peer}};
  }
  return node::Close{};
}

std::string Program::complaint_about_parts(const Step& step, const node::Parts* parts) const {
  const std::vector<std::uint32_t> members = members_of(step);
  if (parts == nullptr || parts->size() != members.size()) return ": gathered without a part for each rank";
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (!((*parts)[i] == bytes(step.id, members[i])))
      return ": gathered other bytes of rank " + std::to_string(members[i]) + " than it gave";
  }
  return {};
}

std::string Program::complaint(std::uint32_t rank, std::size_t index, const node::Completion& completion) {
  if (std::holds_alternative<Failure>(completion.result)) return {};
  const Step& step = plans_[rank][index];
  const auto* payload = std::get_if<Payload>(&completion.result);
  const auto* parts = std::get_if<node::Parts>(&completion.result);
  const std::string where = "call " + std::to_string(index) + " of rank " + std::to_string(rank);
  const std::vector<std::uint32_t> members = members_of(step);
  const bool is_root = step.what == What::gather && members[step.peer] == rank;
  if (step.what == What::allgather || is_root) {
    const std::string wrong = complaint_about_parts(step, parts);
    return wrong.empty() ? wrong : where + wrong;
  }
  if (step.what == What::gather)
    return parts != nullptr && parts->empty() ? std::string() : where + ": gathered by another than the root";
  if (payload == nullptr) return where + ": no bytes where some are due";
  Payload expected;
  if (step.what == What::broadcast) expected = bytes(step.id, members[step.peer]);
  if (step.what == What::split && step.communicator != kWorld) {
    Writer writer;
    writer.number(step.communicator);
    for (const std::uint32_t member : members) writer.number(member);
    expected = Payload(std::move(writer).finish());
  }
  if (step.what == What::receive) expected = bytes(step.id, step.peer, true);
  if (step.what == What::receive_any) {
    if (!taken_from_any_.emplace(step.id, completion.source).second) return where + ": a message that was there before";
    expected = bytes(step.id, raw(completion.source), true);
  }
  if (step.what == What::allreduce) {
    std::uint32_t sum = 0;
    for (std::uint32_t other = 0; other < ranks_; ++other) sum += element(step.id, other);
    expected = element_bytes(sum);
  }
  return *payload == expected ? std::string() : where + ": not the bytes that were due";
}

}  // namespace banyan::sim
