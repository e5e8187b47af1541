#include "node/collectives.hh"

#include <algorithm>
#include <string>
#include <tuple>

#include "base/assert.hh"
#include "base/digest.hh"

namespace banyan::node {
namespace {

// What a rank gives to a split.
struct Wish {
  static constexpr std::size_t kBytes = 8;
  std::int32_t color = kNoColor;
  std::int32_t key = 0;
};

std::optional<Wish> read_wish(const Payload& bytes) {
  if (bytes.size() != Wish::kBytes) return std::nullopt;
  const Slice flat = bytes.flatten();
  Reader reader(flat.bytes());
  Wish wish;
  wish.color = reader.number<std::int32_t>();
  wish.key = reader.number<std::int32_t>();
  return wish;
}

CommunicatorId id_of(Writer writer) {
  // Two that a rank is in at the same time have the same number once in 10^13 jobs of a thousand each.
  const std::uint64_t id = short_digest_of(Payload(std::move(writer).finish()));
  return CommunicatorId{std::max<std::uint64_t>(id, 1)};
}

// Of parent and sequence, and what makes the kinds differ.
Writer id_writer(CommunicatorId parent, Sequence sequence, std::uint8_t kind) {
  Writer writer;
  writer.number(parent);
  writer.number(sequence);
  writer.number(kind);
  return writer;
}

Payload result_of(CommunicatorId id, const std::vector<Rank>& job_ranks) {
  Writer writer(sizeof id + job_ranks.size() * sizeof(Rank));
  writer.number(id);
  for (const Rank rank : job_ranks) writer.number(rank);
  return Payload(std::move(writer).finish());
}

// Said before it counts as one of its ranks: the next attempt belongs to the others' same one.
Failure one_too_many() {
  const std::string text = "this rank is in " + std::to_string(kMaxCommunicators) +
                           " communicators, the most it may be; close those that are not needed any more";
  return {FailureCode::too_large, Phase::running, {}, {}, text};
}

}  // namespace

CommunicatorId communicator_of_split(CommunicatorId parent, Sequence sequence, std::int32_t color) {
  Writer writer = id_writer(parent, sequence, 0);
  writer.number(color);
  return id_of(std::move(writer));
}

CommunicatorId communicator_of_ranks(CommunicatorId parent, Sequence sequence, const std::vector<Rank>& job_ranks,
                                     bool for_barriers) {
  Writer writer = id_writer(parent, sequence, for_barriers ? 2 : 1);
  for (const Rank rank : job_ranks) writer.number(rank);
  return id_of(std::move(writer));
}

Collectives::Collectives(const Topology& topology, MessageRequests& requests, Effects& effects, const Limits& limits)
    : topology_(topology),
      requests_(requests),
      effects_(effects),
      limits_(limits),
      world_(kWorld, topology, requests, effects, limits) {}

Subcommunicator* Collectives::find(CommunicatorId id) {
  const auto at = subcommunicators_.find(id);
  return at == subcommunicators_.end() ? nullptr : at->second.get();
}

Failure Collectives::unknown(CommunicatorId id) const {
  return {FailureCode::misuse,
          Phase::running,
          RankSet::single(topology_.self()),
          {},
          "there is no communicator " + std::to_string(raw(id)) + " here, or it was closed"};
}

void Collectives::call(Time now, CallId id, Collective collective, Time deadline) {
  const CommunicatorId communicator = collective.communicator;
  if (over_) return effects_.complete(id, *over_);
  if (communicator == kWorld) {
    world_.call(now, id, std::move(collective), deadline);
  } else if (Subcommunicator* sub = find(communicator); sub != nullptr && !sub->leaving()) {
    sub->communicator().call(now, id, std::move(collective), deadline);
    sub->on_time(now);
  } else {
    return effects_.complete(id, unknown(communicator));
  }
  settle(communicator);
}

void Collectives::leave(CallId id, const LeaveCommunicator& call) {
  Subcommunicator* sub = find(call.communicator);
  if (sub == nullptr || sub->leaving()) return effects_.complete(id, unknown(call.communicator));
  sub->leave(Failure{FailureCode::closed,
                     Phase::running,
                     RankSet::single(topology_.self()),
                     {},
                     "this communicator was closed while the call ran"});
  settle(call.communicator);
  effects_.complete(id, Payload{});
}

void Collectives::make(CallId id, const MakeCommunicator& call) {
  if (over_) return effects_.complete(id, *over_);
  Subcommunicator* parent = call.parent == kWorld ? nullptr : find(call.parent);
  if (call.parent != kWorld && parent == nullptr) return effects_.complete(id, unknown(call.parent));
  const std::uint32_t size = parent == nullptr ? topology_.world_size() : parent->members().size();
  std::vector<Rank> job_ranks;
  RankSet all;
  for (const Rank rank : call.ranks) {
    if (raw(rank) < size) job_ranks.push_back(parent == nullptr ? rank : parent->members().job_rank(rank));
    if (raw(rank) < size) all.insert(job_ranks.back());
  }
  if (all.count() != call.ranks.size() || !all.contains(topology_.self())) {
    const std::string text =
        "a communicator is made of different ranks of 0 .. " + std::to_string(size - 1) + ", this one among them";
    return effects_.complete(id, Failure{FailureCode::misuse, Phase::running, {}, {}, text});
  }
  if (subcommunicators_.size() >= kMaxCommunicators) return effects_.complete(id, one_too_many());
  const CommunicatorId first = communicator_of_ranks(call.parent, Sequence{0}, job_ranks, call.for_barriers);
  if (made_of_ranks_.size() >= kMaxCommunicators && !made_of_ranks_.contains(first)) {
    const std::string text = "this rank has made communicators of " + std::to_string(kMaxCommunicators) +
                             " different lists of ranks, the most it may; keep those, or use split()";
    return effects_.complete(id, Failure{FailureCode::too_large, Phase::running, {}, {}, text});
  }
  Sequence& times = made_of_ranks_[first];
  const CommunicatorId made = communicator_of_ranks(call.parent, times, job_ranks, call.for_barriers);
  times = next(times);
  make(id, made, std::move(job_ranks));
}

void Collectives::make(std::optional<CallId> call, CommunicatorId id, std::vector<Rank> job_ranks) {
  const bool too_many = subcommunicators_.size() >= kMaxCommunicators;
  Payload result = result_of(id, job_ranks);
  const Rank self{static_cast<std::uint32_t>(std::ranges::find(job_ranks, topology_.self()) - job_ranks.begin())};
  auto members = std::make_shared<const Members>(std::move(job_ranks), topology_.table());
  const auto [made, is_new] = subcommunicators_.try_emplace(
      id, std::make_unique<Subcommunicator>(id, self, std::move(members), topology_, requests_, effects_, limits_));
  BANYAN_ASSERT(is_new);
  if (!call || closing_ || too_many) {
    made->second->leave(closing_ ? *closing_ : Failure{});
    settle(id);
  }
  if (!call) return;
  if (!too_many) return effects_.complete(*call, std::move(result));
  effects_.complete(*call, one_too_many());
}

// Those of one color, by key, then by their rank so far.
void Collectives::make_of_split(CommunicatorId parent, Communicator::Split split) {
  const Subcommunicator* sub = find(parent);
  const Rank self = sub == nullptr ? topology_.self() : sub->self();
  const auto wishes = split.parts.split();
  const auto own = wishes ? read_wish((*wishes)[raw(self)]) : std::nullopt;
  std::vector<std::tuple<std::int32_t, Rank>> chosen;
  bool fine = own.has_value();
  for (std::uint32_t rank = 0; fine && rank < wishes->size(); ++rank) {
    const auto wish = read_wish((*wishes)[rank]);
    fine = wish.has_value();
    if (fine && wish->color == own->color) chosen.emplace_back(wish->key, Rank{rank});
  }
  if (!fine) {
    if (!split.call) return;
    const std::string text = "a rank has given to split() what is no color and key";
    return effects_.complete(*split.call, Failure{FailureCode::protocol, Phase::running, {}, {}, text});
  }
  if (own->color == kNoColor) {
    if (split.call) effects_.complete(*split.call, Payload{});
    return;
  }
  std::ranges::sort(chosen);
  std::vector<Rank> job_ranks;
  for (const auto& [key, rank] : chosen) job_ranks.push_back(sub == nullptr ? rank : sub->members().job_rank(rank));
  make(split.call, communicator_of_split(parent, split.sequence, own->color), std::move(job_ranks));
}

void Collectives::settle(CommunicatorId id) {
  Subcommunicator* sub = id == kWorld ? nullptr : find(id);
  if (id != kWorld && sub == nullptr) return;
  Communicator& communicator = sub == nullptr ? world_ : sub->communicator();
  for (Communicator::Split& split : communicator.take_splits()) make_of_split(id, std::move(split));
  if (sub == nullptr || !sub->gone()) return;
  subcommunicators_.erase(id);
  requests_.forget(id);
}

bool Collectives::on_frame(Time now, LinkId from, const wire::Collective& head, const Payload& tail) {
  // Those of other communicators are inside of messages.
  const bool fine = head.communicator == kWorld && world_.on_frame(now, from, head, tail);
  settle(kWorld);
  return fine;
}

void Collectives::on_message(Time now, MessageDone done) {
  const CommunicatorId id = done.tag.lane.communicator;
  if (id == kWorld) {
    world_.on_message(std::move(done));
  } else if (Subcommunicator* sub = find(id)) {
    sub->on_message(now, std::move(done));
  }
  settle(id);
}

void Collectives::close(const Failure& closed) {
  closing_ = closed;
  std::vector<CommunicatorId> ids;
  for (const auto& [id, sub] : subcommunicators_) ids.push_back(id);
  for (const CommunicatorId id : ids) {
    if (Subcommunicator* sub = find(id); sub != nullptr && !sub->leaving()) sub->leave(closed);
    settle(id);
  }
}

bool Collectives::needs_messages() const { return world_.needs_messages() || !subcommunicators_.empty(); }

void Collectives::fail_all(const Failure& failure) {
  if (!over_) over_ = failure;
  world_.fail_all(failure);
  for (const auto& [id, sub] : subcommunicators_) sub->communicator().fail_all(failure);
  subcommunicators_.clear();
}

bool Collectives::set_deadline(CallId id, Time deadline) {
  if (world_.set_deadline(id, deadline)) return true;
  return std::ranges::any_of(
      subcommunicators_, [&](const auto& entry) { return entry.second->communicator().set_deadline(id, deadline); });
}

void Collectives::on_time(Time now) {
  if (world_.deadline() <= now) world_.on_time(now);
  std::vector<CommunicatorId> due;
  for (const auto& [id, sub] : subcommunicators_) {
    if (sub->deadline() <= now) due.push_back(id);
  }
  for (const CommunicatorId id : due) {
    subcommunicators_.at(id)->on_time(now);
    settle(id);
  }
  settle(kWorld);
}

Time Collectives::deadline() const {
  Time first = world_.deadline();
  for (const auto& [id, sub] : subcommunicators_) first = std::min(first, sub->deadline());
  return first;
}

std::size_t Collectives::operations_kept() const {
  std::size_t kept = world_.operations_kept();
  for (const auto& [id, sub] : subcommunicators_) kept += sub->communicator().operations_kept();
  return kept;
}

void Collectives::give_up_owed() {
  world_.give_up_owed();
  for (const auto& [id, sub] : subcommunicators_) sub->communicator().give_up_owed();
}

}  // namespace banyan::node
