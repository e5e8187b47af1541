#include "node/operations.hh"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/assert.hh"

namespace banyan::node {

Operations::Operations(const Config& config, const Topology& topology, LinkIds& link_ids, Effects& effects)
    : collectives_(topology, for_collectives_, effects, config.limits),
      messages_(config, topology, link_ids, effects) {}

void Operations::call(Time now, Call call) {
  if (auto* collective = std::get_if<Collective>(&call.operation)) {
    collectives_.call(now, call.id, std::move(*collective), call.deadline);
  } else if (auto* send = std::get_if<Send>(&call.operation)) {
    messages_.send(now, call.id, std::move(*send), call.deadline);
  } else if (const auto* receive = std::get_if<Receive>(&call.operation)) {
    messages_.receive(now, call.id, *receive, call.deadline);
  } else if (const auto* made = std::get_if<MakeCommunicator>(&call.operation)) {
    collectives_.make(call.id, *made);
  } else if (const auto* left = std::get_if<LeaveCommunicator>(&call.operation)) {
    collectives_.leave(call.id, *left);
  } else if (const auto* probe = std::get_if<Probe>(&call.operation)) {
    messages_.probe(now, call.id, *probe);
  } else {
    messages_.dial(now, call.id, std::get<Dial>(call.operation).peer, call.deadline);
  }
  settle(now);
}

void Operations::settle(Time now) {
  for (bool any = true; any;) {
    any = false;
    for (MessageRequest& request : for_collectives_.take()) {
      messages_.carry_out(now, std::move(request));
      any = true;
    }
    for (MessageDone& done : messages_.take_done()) {
      BANYAN_ASSERT(caller_of(done.id) == Caller::collectives);
      collectives_.on_message(now, std::move(done));
      any = true;
    }
  }
  end_messages_if_done();
}

void Operations::close(Time now, const Failure& failure) {
  closing_ = failure;
  collectives_.close(failure);
  messages_.end_application_calls(failure);
  settle(now);
}

void Operations::end_messages_if_done() {
  if (!closing_ || collectives_.needs_messages()) return;
  messages_.fail_all(*std::exchange(closing_, std::nullopt));
}

void Operations::fail_all(Time now, const Failure& failure) {
  closing_.reset();
  collectives_.fail_all(failure);
  messages_.fail_all(failure);
  settle(now);
}

void Operations::on_time(Time now) {
  if (collectives_.deadline() <= now) collectives_.on_time(now);
  if (messages_.deadline() <= now) messages_.on_time(now);
  settle(now);
}

Time Operations::deadline() const { return std::min(collectives_.deadline(), messages_.deadline()); }

}  // namespace banyan::node
