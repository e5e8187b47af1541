#include "sim/program.hh"

#include <algorithm>
#include <cstring>
#include <utility>
#include <variant>

#include "base/random.hh"

namespace banyan::sim {
namespace {

// Few tags, so that several messages of one flow are under way.
constexpr std::uint32_t kTags = 3;
constexpr std::uint32_t kMessagesPerOperation = 6;
// Beyond the ids of all other operations.
constexpr std::uint32_t kFirstKey = 1'000'000;

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
  Random stored(seed ^ 0x570ed);
  if (stored.below(3) == 0) plan_store(stored, operations);
}

void Program::plan_store(Random& random, std::uint32_t operations) {
  has_store_ = true;
  for (std::uint32_t i = 0; i <= operations; ++i) plan_key(random, kFirstKey + i);
  for (auto& plan : plans_) plan.push_back({What::barrier, kFirstKey + operations + 1, 0, 0});
}

// One rank puts, and others look; or some ranks do the same.
void Program::plan_key(Random& random, std::uint32_t id) {
  const auto writer = static_cast<std::uint32_t>(random.below(ranks_));
  const auto kind = random.below(4);
  if (kind == 0) {
    plans_[writer].push_back({What::put, id, writer, 0});
    plans_[writer].push_back({What::remove, id, writer, 0});
    return;
  }
  const std::uint64_t place = random.below(kMessagesPerOperation);
  for (std::uint32_t i = 0; i < kMessagesPerOperation; ++i) {
    const auto rank = static_cast<std::uint32_t>(random.below(ranks_));
    if (kind == 1) {
      ++adds_[id];
      plans_[rank].push_back({What::add, id, 0, 0});
    } else if (kind == 2) {
      plans_[rank].push_back({What::claim, id, 0, 0});
    } else {
      if (i == place) plans_[writer].push_back({What::put, id, writer, 0});
      plans_[rank].push_back({random.below(3) == 0 ? What::find : What::get, id, writer, 0});
    }
  }
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

Slice Program::value(std::uint32_t id, std::uint32_t rank) const {
  const Payload whole = bytes(id, rank);
  return whole.part(0, std::min(whole.size(), kMaxStoreValueBytes)).flatten();
}

std::uint32_t Program::element(std::uint32_t id, std::uint32_t rank) const { return id * 7919 + rank * 104'729 + 1; }

Program::Operation Program::call(std::uint32_t rank, std::size_t index) const {
  const Step& step = plans_[rank][index];
  using enum wire::CollectiveKind;
  switch (step.what) {
    case What::barrier: return node::Collective{kWorld, {.kind = barrier}, {}, {}};
    case What::broadcast:
      return node::Collective{kWorld,
                              {.kind = broadcast, .root = Rank{step.peer}},
                              rank == step.peer ? bytes(step.id, rank) : Payload(),
                              {}};
    case What::allgather: return node::Collective{kWorld, {.kind = allgather}, bytes(step.id, rank), {}};
    case What::allreduce:
      return node::Collective{
          kWorld,
          {.kind = allreduce, .reduction = wire::Reduction::sum, .element = wire::ElementType::uint32, .count = 1},
          element_bytes(element(step.id, rank)),
          {}};
    case What::send: return node::Send{Rank{step.peer}, step.tag, bytes(step.id, rank, true)};
    case What::receive: return node::Receive{Rank{step.peer}, step.tag};
    case What::receive_any: return node::Receive{kNoRank, step.tag};
    case What::dial: return node::Dial{Rank{step.peer}};
    case What::put:
    case What::get:
    case What::find:
    case What::add:
    case What::claim:
    case What::remove: return store_call(rank, step);
  }
  return node::Close{};
}

node::StoreCall Program::store_call(std::uint32_t rank, const Step& step) const {
  using enum node::StoreCall::What;
  const std::string key = "key " + std::to_string(step.id);
  switch (step.what) {
    case What::put: return {put, key, value(step.id, rank), {}, 0};
    case What::get: return {get, key, {}, {}, 0};
    case What::add: return {add, key, {}, {}, 1};
    case What::claim: return {compare_set, key, value(step.id, rank), {}, 0};
    case What::remove: return {remove, key, {}, {}, 0};
    default: return {find, key, {}, {}, 0};
  }
}

std::string Program::complaint(std::uint32_t rank, std::size_t index, const node::Completion& completion) {
  if (std::holds_alternative<Failure>(completion.result)) return {};
  const Step& step = plans_[rank][index];
  const auto* payload = std::get_if<Payload>(&completion.result);
  const auto* parts = std::get_if<node::Parts>(&completion.result);
  const std::string where = "call " + std::to_string(index) + " of rank " + std::to_string(rank);
  if (step.what == What::allgather) {
    if (parts == nullptr || parts->size() != ranks_) return where + ": an allgather without a part for each rank";
    for (std::uint32_t other = 0; other < ranks_; ++other) {
      if (!((*parts)[other] == bytes(step.id, other))) {
        return where + ": the allgather has other bytes of rank " + std::to_string(other) + " than it gave";
      }
    }
    return {};
  }
  if (step.what >= What::put) {
    const std::string wrong = store_complaint(rank, step, completion);
    return wrong.empty() ? wrong : where + ": " + wrong;
  }
  if (payload == nullptr) return where + ": no bytes where some are due";
  Payload expected;
  if (step.what == What::broadcast) expected = bytes(step.id, step.peer);
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

std::string Program::store_complaint(std::uint32_t rank, const Step& step, const node::Completion& completion) {
  const auto* parts = std::get_if<node::Parts>(&completion.result);
  if ((parts != nullptr) != (step.what == What::find || step.what == What::claim)) return "a result of another kind";
  if (step.what == What::claim) return claim_complaint(rank, step, *parts);
  if (step.what == What::find) {
    const bool right = parts->empty() || (parts->size() == 1 && (*parts)[0] == Payload(value(step.id, step.peer)));
    return right ? std::string() : "it found other bytes than were put";
  }
  const auto& payload = std::get<Payload>(completion.result);
  if (step.what == What::add) {
    std::int64_t count = 0;
    if (payload.size() != sizeof count) return "the counter is no number";
    payload.copy_to(reinterpret_cast<std::byte*>(&count));
    const bool right = count >= 1 && count <= adds_.at(step.id) && counts_.emplace(step.id, count).second;
    return right ? std::string() : "the counter has come to " + std::to_string(count) + ", too far or once more";
  }
  Payload expected;
  if (step.what == What::get) expected = Payload(value(step.id, step.peer));
  if (step.what == What::remove) expected = Payload::copy("\1");
  return payload == expected ? std::string() : "not the bytes that were due";
}

std::string Program::claim_complaint(std::uint32_t rank, const Step& step, const node::Parts& parts) {
  if (parts.size() != 2 || parts[0].size() != 1) return "a claim without what is there now";
  const bool set = parts[0] == Payload::copy("\1");
  if (set && !won_.insert(step.id).second) return "it claims what another one has claimed";
  if (set && !(parts[1] == Payload(value(step.id, rank)))) return "it has claimed the key, and other bytes are there";
  const bool agrees = claimed_.emplace(step.id, parts[1]).first->second == parts[1];
  return agrees ? std::string() : "ranks see different bytes where one has claimed the key";
}

}  // namespace banyan::sim
