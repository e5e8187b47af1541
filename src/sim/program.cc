#include "sim/program.hh"

#include <algorithm>
#include <array>
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
// At most, with its own.
constexpr std::uint32_t kCallsInACommunicator = 10;
// Exchanges between all pairs of more ranks would take most of a swarm's time.
constexpr std::uint32_t kMostRanksInPairs = 64;
// Long streams at every rank of more would, too.
constexpr std::uint32_t kMostRanksOfLong = 24;
// Beyond the numbers of all other operations.
constexpr std::uint32_t kFirstOfSplits = 1'000'000;

wire::Tag tag_of(std::uint32_t tag, CommunicatorId communicator) {
  return {tag, wire::Space::application, communicator};
}
// Beyond the ids of all other operations.
constexpr std::uint32_t kFirstKey = 1'000'000;

Payload element_bytes(std::uint32_t value) {
  std::string text(sizeof value, '\0');
  std::memcpy(text.data(), &value, sizeof value);
  return Payload::copy(text);
}

// first, first + step, ...: elements begin to end of that.
Payload numbers(std::uint32_t first, std::uint32_t step, std::uint64_t begin, std::uint64_t end) {
  std::vector<std::uint32_t> all;
  for (std::uint64_t i = begin; i < end; ++i) all.push_back(first + static_cast<std::uint32_t>(i) * step);
  return Payload(Slice::adopt(std::move(all)));
}

}  // namespace

Program::Program(std::uint64_t seed, const JobOptions& job, std::uint32_t operations)
    : seed_(seed), job_(job), ranks_(job.ranks), plans_(job.ranks) {
  Random random(seed ^ 0x5eed);
  Random exchanges(seed ^ 0xa2a);
  const bool has_exchanges = exchanges.below(2) == 0;
  Random longs(seed ^ 0x1049);
  const bool has_long = ranks_ > 2 && ranks_ <= kMostRanksOfLong && longs.below(5) == 0;
  for (std::uint32_t id = 0; id < operations; ++id) {
    if (has_exchanges && exchanges.below(2) == 0)
      plan_exchange(exchanges, operations * (2 + kMessagesPerOperation) + 1 + id);
    if (has_long && longs.below(2) == 0) plan_long(longs, operations * (3 + kMessagesPerOperation) + 1 + id);
    const auto what = static_cast<What>(random.below(5));
    const auto root = static_cast<std::uint32_t>(random.below(ranks_));
    if (what != What::send) {
      for (auto& plan : plans_) plan.push_back({what, id, root, 0});
      continue;
    }
    std::uint32_t from = 0;
    std::uint32_t to = 0;
    for (std::uint32_t i = 0; i < kMessagesPerOperation; ++i) {
      // Every other time the same two once more, or the other way round: so many are worth a direct link.
      if (i == 0 || random.below(2) == 0) {
        from = static_cast<std::uint32_t>(random.below(ranks_));
        to = static_cast<std::uint32_t>(random.below(ranks_));
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
  Random stored(seed ^ 0x570ed);
  if (stored.below(3) == 0) plan_store(stored, operations);
  Random fetched(seed ^ 0xb10b);
  if (job.lazy_table) plan_fetches(fetched, operations);
  if (!meets_last_) return;
  for (auto& plan : plans_) plan.push_back({What::barrier, kFirstKey + operations + 1, 0, 0});
}

void Program::plan_store(Random& random, std::uint32_t operations) {
  meets_last_ = true;
  for (std::uint32_t i = 0; i <= operations; ++i) plan_key(random, kFirstKey + i);
}

// Each rank asks some others, and some of these again while the first answer is under way.
void Program::plan_fetches(Random& random, std::uint32_t operations) {
  meets_last_ = true;
  for (auto& plan : plans_) {
    for (std::uint32_t i = 0; i <= operations; ++i) {
      const auto owner = static_cast<std::uint32_t>(random.below(ranks_));
      for (std::uint64_t times = random.below(3); times > 0; --times) plan.push_back({What::fetch, 0, owner, 0});
    }
  }
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

// One of the whole job by two or three colors and none, in random order, and then calls in what comes of it.
void Program::plan_split(Random& random, std::uint32_t id) {
  const auto is_world_collective = [](const Step& step) {
    const bool collective = step.what < What::send || (step.what >= What::split && step.what <= What::long_allreduce);
    return collective && step.communicator == kWorld;
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
  plan_group(random, id + kCallsInACommunicator);
}

// Some ranks in any order make a communicator beside that of the split, whose calls are still under way; some of them
// leave it by themselves.
void Program::plan_group(Random& random, std::uint32_t id) {
  std::vector<std::uint32_t>& group = groups_.emplace_back();
  for (std::uint32_t rank = 0; rank < ranks_; ++rank) {
    if (rank == ranks_ - 1 || random.below(2) == 0)
      group.insert(group.begin() + static_cast<std::ptrdiff_t>(random.below(group.size() + 1)), rank);
  }
  std::vector<Rank> job_ranks;
  for (const std::uint32_t rank : group) job_ranks.push_back(Rank{rank});
  const CommunicatorId made = node::communicator_of_ranks(kWorld, Sequence{0}, job_ranks, false);
  const std::size_t place = groups_.size() - 1;
  for (const std::uint32_t rank : group) plans_[rank].push_back({What::group, id, 0, 0, 0, made, place});
  plan_calls_in(group, made, id + 1);
  for (const std::uint32_t rank : group) {
    if (random.below(2) == 0) plans_[rank].push_back({What::leave, id, 0, 0, 0, made, place});
  }
}

void Program::plan_calls_in(const std::vector<std::uint32_t>& group, CommunicatorId communicator,
                            std::uint32_t first_id) {
  const auto size = static_cast<std::uint32_t>(group.size());
  for (std::uint32_t i = 0; i < size; ++i) {
    auto& plan = plans_[group[i]];
    const auto add = [&](What what, std::uint32_t id, std::uint32_t peer) {
      plan.push_back({what, id, peer, 0, 0, communicator, groups_.size() - 1});
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

// Another collective of all ranks. Drawn apart, too.
void Program::plan_exchange(Random& random, std::uint32_t id) {
  using enum What;
  const bool in_pairs = ranks_ <= kMostRanksInPairs;
  const What what = std::array{scan, exclusive_scan, reduce_scatter, alltoall}[random.below(in_pairs ? 4 : 3)];
  // Blocks of few elements go over the tree, others between pairs.
  const auto elements =
      static_cast<std::uint32_t>(in_pairs && random.below(2) == 0 ? random.between(1000, 1500) : random.below(20));
  for (auto& plan : plans_) plan.push_back({what, id, 0, 0, elements});
}

// One that is so long that it goes between hosts past the tree, where there are some.
void Program::plan_long(Random& random, std::uint32_t id) {
  using enum What;
  const What what = std::array{long_broadcast, long_allgather, long_reduce, long_allreduce}[random.below(4)];
  const auto root = static_cast<std::uint32_t>(random.below(ranks_));
  const auto elements = static_cast<std::uint32_t>(random.between(50'000, 250'000));
  for (auto& plan : plans_) plan.push_back({what, id, root, 0, elements});
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

Payload Program::vector(std::uint32_t id, std::uint32_t rank, std::uint32_t elements) const {
  return numbers(element(id, rank), id + 1, 0, elements);
}

Payload Program::sums(std::uint32_t id, std::uint32_t ranks, std::uint64_t begin, std::uint64_t end) const {
  std::uint32_t first = 0;
  for (std::uint32_t rank = 0; rank < ranks; ++rank) first += element(id, rank);
  return numbers(first, (id + 1) * ranks, begin, end);
}

// Every other time blocks of one size; else rank 0 gets none and the last one twice as many as the others.
std::vector<std::uint64_t> Program::counts(const Step& step) const {
  if (step.id % 2 == 0) return {};
  std::vector<std::uint64_t> counts(ranks_, step.elements);
  counts.front() = 0;
  counts.back() += step.elements;
  return counts;
}

node::Collective Program::exchange(const Step& step, std::uint32_t rank) const {
  node::Collective made;
  if (step.what == What::alltoall) {
    made.call.kind = wire::CollectiveKind::alltoall;
    for (std::uint32_t to = 0; to < ranks_; ++to) made.parts.push_back(part_due(step, to, rank));
    return made;
  }
  const bool scatters = step.what == What::reduce_scatter;
  const std::uint32_t elements = step.elements * (scatters ? ranks_ : 1);
  made.call = {.kind = scatters                  ? wire::CollectiveKind::reduce_scatter
                       : step.what == What::scan ? wire::CollectiveKind::scan
                                                 : wire::CollectiveKind::exclusive_scan,
               .reduction = wire::Reduction::sum,
               .element = wire::ElementType::uint32,
               .count = elements};
  made.contribution = vector(step.id, rank, elements);
  if (scatters) made.counts = counts(step);
  return made;
}

node::Collective Program::long_one(const Step& step, std::uint32_t rank) const {
  using enum wire::CollectiveKind;
  node::Collective made;
  if (step.what == What::long_broadcast) {
    made.call = {.kind = broadcast, .root = Rank{step.peer}};
    if (rank == step.peer) made.contribution = vector(step.id, rank, step.elements);
  } else if (step.what == What::long_allgather) {
    made.call.kind = allgather;
    made.contribution = part_due(step, rank, rank);
  } else {
    const bool for_all = step.what == What::long_allreduce;
    made.call = {.kind = for_all ? allreduce : reduce,
                 .reduction = wire::Reduction::sum,
                 .element = wire::ElementType::uint32,
                 .root = for_all ? kNoRank : Rank{step.peer},
                 .count = step.elements};
    made.contribution = vector(step.id, rank, step.elements);
  }
  return made;
}

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
    case What::group: {
      node::MakeCommunicator make;
      for (const std::uint32_t member : groups_[step.group]) make.ranks.push_back(Rank{member});
      return make;
    }
    case What::leave: return node::LeaveCommunicator{step.communicator};
    case What::dial: return node::Dial{Rank{step.peer}};
    case What::fetch: return node::FetchBlob{Rank{step.peer}};
    case What::alltoall:
    case What::reduce_scatter:
    case What::scan:
    case What::exclusive_scan: return exchange(step, rank);
    case What::long_broadcast:
    case What::long_allgather:
    case What::long_reduce:
    case What::long_allreduce: return long_one(step, rank);
    case What::put:
    case What::get:
    case What::find:
    case What::add:
    case What::claim:
    case What::remove: return store_call(rank, step);
  }
  return node::Close{};
}

std::string Program::complaint_about_parts(const Step& step, std::uint32_t rank, const node::Parts* parts) const {
  const std::vector<std::uint32_t> members = members_of(step);
  if (parts == nullptr || parts->size() != members.size()) return ": no part for each rank";
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (!((*parts)[i] == part_due(step, rank, members[i])))
      return ": other bytes of rank " + std::to_string(members[i]) + " than it gave";
  }
  return {};
}

Payload Program::part_due(const Step& step, std::uint32_t rank, std::uint32_t from) const {
  // Some give so little that it is sent with the call.
  if (step.what == What::long_allgather) return vector(step.id, from, from % 3 == 2 ? 5 : step.elements / 4);
  return bytes(step.id, step.what == What::alltoall ? from * ranks_ + rank : from);
}

Payload Program::due(const Step& step, std::uint32_t rank) const {
  if (step.what == What::long_broadcast) return vector(step.id, step.peer, step.elements);
  if (step.what == What::long_reduce && rank != step.peer) return {};
  if (step.what == What::long_reduce || step.what == What::long_allreduce)
    return sums(step.id, ranks_, 0, step.elements);
  if (step.what == What::allreduce) return sums(step.id, ranks_, 0, 1);
  if (step.what == What::scan) return sums(step.id, rank + 1, 0, step.elements);
  if (step.what == What::exclusive_scan) return sums(step.id, rank, 0, rank == 0 ? 0 : step.elements);
  std::vector<std::uint64_t> blocks = counts(step);
  if (blocks.empty()) blocks.assign(ranks_, step.elements);
  const auto own = blocks.begin() + rank;
  const std::uint64_t begin = std::accumulate(blocks.begin(), own, std::uint64_t{0});
  return sums(step.id, ranks_, begin, begin + *own);
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
  const std::vector<std::uint32_t> members = members_of(step);
  const bool is_root = step.what == What::gather && members[step.peer] == rank;
  const bool gathers = step.what == What::allgather || step.what == What::alltoall || step.what == What::long_allgather;
  if (gathers || is_root) {
    const std::string wrong = complaint_about_parts(step, rank, parts);
    return wrong.empty() ? wrong : where + wrong;
  }
  if (step.what == What::gather)
    return parts != nullptr && parts->empty() ? std::string() : where + ": gathered by another than the root";
  if (step.what >= What::put) {
    const std::string wrong = store_complaint(rank, step, completion);
    return wrong.empty() ? wrong : where + ": " + wrong;
  }
  if (payload == nullptr) return where + ": no bytes where some are due";
  Payload expected;
  if (step.what == What::broadcast) expected = bytes(step.id, members[step.peer]);
  if (step.what == What::group || (step.what == What::split && step.communicator != kWorld)) {
    Writer writer;
    writer.number(step.communicator);
    for (const std::uint32_t member : members) writer.number(member);
    expected = Payload(std::move(writer).finish());
  }
  if (step.what == What::fetch) expected = Payload(blob_of(job_, step.peer));
  if (step.what == What::receive) expected = bytes(step.id, step.peer, true);
  if (step.what == What::receive_any) {
    if (!taken_from_any_.emplace(step.id, completion.source).second) return where + ": a message that was there before";
    expected = bytes(step.id, raw(completion.source), true);
  }
  if (step.what == What::allreduce || step.elements > 0) expected = due(step, rank);
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
