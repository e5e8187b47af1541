#include "node/collectives.hh"

#include "node/communicator.hh"

namespace banyan::node {

Collectives::Collectives(const Topology& topology, MessageRequests& requests, Effects& effects, const Limits& limits)
    : topology_(topology),
      effects_(effects),
      world_(std::make_unique<Communicator>(kWorld, topology, requests, effects, limits)) {}

Collectives::~Collectives() = default;

void Collectives::call(Time now, CallId id, Collective collective, Time deadline) {
  if (collective.communicator == kWorld) return world_->call(now, id, std::move(collective), deadline);
  effects_.complete(id, Failure{FailureCode::misuse,
                                Phase::running,
                                RankSet::single(topology_.self()),
                                {},
                                "there is no communicator " + std::to_string(raw(collective.communicator))});
}

bool Collectives::on_frame(Time now, LinkId from, const wire::Collective& head, Payload tail) {
  return head.communicator == kWorld && world_->on_frame(now, from, head, tail);
}

void Collectives::on_message(MessageDone done) { world_->on_message(std::move(done)); }
bool Collectives::needs_messages() const { return world_->needs_messages(); }
void Collectives::on_child_left(LinkId child) { world_->on_child_left(child); }
void Collectives::fail_all(const Failure& failure) { world_->fail_all(failure); }
void Collectives::on_time(Time now) { world_->on_time(now); }
Time Collectives::deadline() const { return world_->deadline(); }
bool Collectives::owes_bytes() const { return world_->owes_bytes(); }
void Collectives::give_up_owed() { world_->give_up_owed(); }
std::size_t Collectives::operations_kept() const { return world_->operations_kept(); }

}  // namespace banyan::node
