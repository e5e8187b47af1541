#include "node/operations.hh"

#include <algorithm>
#include <utility>
#include <variant>

namespace banyan::node {

Operations::Operations(const Config& config, const Topology& topology, LinkIds& link_ids, Effects& effects)
    : effects_(effects),
      collectives_(topology, for_collectives_, effects, config.limits),
      store_(topology, for_store_, effects, config.limits.store_bytes),
      blobs_(config, topology, for_blobs_, effects),
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
  } else if (auto* stored = std::get_if<StoreCall>(&call.operation)) {
    store_.call(now, call.id, std::move(*stored), call.deadline);
  } else if (const auto* fetch = std::get_if<FetchBlob>(&call.operation)) {
    blobs_.call(now, call.id, *fetch, call.deadline);
  } else if (const auto* other = std::get_if<Expire>(&call.operation)) {
    effects_.complete(call.id, Payload{});
    expire(now, other->call);
  } else {
    messages_.dial(now, call.id, std::get<Dial>(call.operation).peer, call.deadline);
  }
  settle(now);
}

void Operations::expire(Time now, CallId id) {
  if (collectives_.set_deadline(id, now) || messages_.set_deadline(id, now) || store_.set_deadline(id, now) ||
      blobs_.set_deadline(id, now))
    on_time(now);
}

void Operations::settle(Time now) {
  for (bool any = true; any;) {
    any = false;
    for (MessageRequests* requests : {&for_collectives_, &for_store_, &for_blobs_}) {
      for (MessageRequest& request : requests->take()) {
        messages_.carry_out(now, std::move(request));
        any = true;
      }
    }
    for (MessageDone& done : messages_.take_done()) {
      if (caller_of(done.id) == Caller::store) {
        store_.on_message(std::move(done));
      } else if (caller_of(done.id) == Caller::blobs) {
        blobs_.on_message(std::move(done));
      } else {
        collectives_.on_message(now, std::move(done));
      }
      any = true;
    }
  }
  end_messages_if_done();
}

void Operations::close(Time now, const Failure& failure) {
  closing_ = failure;
  collectives_.close(failure);
  messages_.end_application_calls(failure);
  store_.end_calls(failure);
  blobs_.end_calls(failure);
  settle(now);
}

void Operations::end_messages_if_done() {
  if (!closing_ || collectives_.needs_messages()) return;
  messages_.fail_all(*std::exchange(closing_, std::nullopt));
}

void Operations::fail_all(Time now, const Failure& failure) {
  closing_.reset();
  collectives_.fail_all(failure);
  store_.end_calls(failure);
  blobs_.end_calls(failure);
  messages_.fail_all(failure);
  settle(now);
}

void Operations::on_time(Time now) {
  if (collectives_.deadline() <= now) collectives_.on_time(now);
  if (messages_.deadline() <= now) messages_.on_time(now);
  if (store_.deadline() <= now) store_.on_time(now);
  if (blobs_.deadline() <= now) blobs_.on_time(now);
  settle(now);
}

Time Operations::deadline() const {
  return std::min({collectives_.deadline(), messages_.deadline(), store_.deadline(), blobs_.deadline()});
}

}  // namespace banyan::node
