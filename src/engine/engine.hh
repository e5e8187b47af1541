// One rank's protocol, whole and pure: bytes and events in, bytes and requests out.
//
// The contract of a driver:
//   - It makes one Engine per rank and hands in input::Start first.
//   - After each handle() it calls poll() until that yields output::Wait, and carries each output out in order. Then it
//     hands in the next input, or input::Tick once the deadline has passed. An assertion holds this rule.
//   - `now` never runs backwards. One thread at a time; which one does not matter.
//   - Link ids are the engine's: it allots one with Connect or Adopt and never reuses it. The driver hands in nothing
//     for a link after Closed, ConnectFailed or output::Close; what it hands in all the same is ignored.
// Ownership: slices are shared and immutable; the engine holds on to what it needs of them.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <utility>

#include "engine/link.hh"
#include "engine/machine.hh"
#include "node/config.hh"
#include "node/link_ids.hh"
#include "node/node.hh"
#include "security/mac.hh"
#include "session/session.hh"

namespace banyan::engine {

class Engine final : public Machine {
 public:
  explicit Engine(node::Config config);
  // The node refers to its config, so an engine stays where it was made.
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  void handle(Time now, Input input) override;
  Output poll() override;

  node::Statistics statistics() const override;
  JobId job() const override { return identity_.job; }

 private:
  void on(Time now, const input::Start&);
  void on(Time now, const input::Connected& connected);
  void on(Time now, const input::ConnectFailed& failed);
  void on(Time now, const input::Listening& listening);
  void on(Time now, const input::ListenFailed& failed);
  void on(Time now, const input::Accepted& accepted);
  void on(Time now, input::BytesReceived& received);
  void on(Time now, input::Enclosed& enclosed);
  void on(Time now, const input::Drained& drained);
  void on(Time now, const input::Closed& closed);
  void on(Time now, const input::MakeRoom&);
  void on(Time now, const input::Tick&);
  void on(Time now, node::Call& call);

  void carry_out();
  void carry_out(node::effect::OpenLink& open);
  void carry_out(node::effect::SendFrame& send);
  void carry_out(node::effect::Formed& formed);
  void carry_out(node::effect::CloseLink& effect);
  void carry_out(node::effect::Refuse& refuse);
  void carry_out(node::effect::RefuseCallers& refuse);
  void refuse(LinkId id, const Failure& failure);
  void carry_out(node::Completion& completion);
  template <typename Other>
  void carry_out(Other& other) {
    outputs_.emplace_back(std::move(other));
  }
  void poll_session(Time now, LinkId id);
  void broken(Time now, LinkId id, const session::event::Broken& broken);
  void breaks_protocol(Time now, LinkId id, const std::string& how);
  void transmit(LinkId id, Link& link, Payload bytes, wire::Enclosure enclosure = nullptr);
  void release_data(LinkId id, Link& link);
  void hold_feeder(LinkId id, Link& link, LinkId feeder);
  void release_feeders(LinkId id, Link& link);
  // From `stalled_at` on the peer counts as lost; kNever: nobody waits for it.
  void watch(LinkId id, Link& link, Time stalled_at);
  void drop_stalled(Time now);
  void close(LinkId id, bool abandon);
  void finish_close(LinkId id, bool abandon);
  void drop_unproven(Time until, std::size_t count);
  void forget(std::map<LinkId, Link>::iterator at);
  void complete_close();

  node::Config config_;
  session::Identity identity_;
  security::NonceSource nonces_;
  node::LinkIds link_ids_;
  node::Node node_;
  std::map<LinkId, Link> links_;
  // Accepted links that have yet to prove themselves, oldest first: all wait equally long.
  // Those that have proved themselves since, or are gone, are passed over.
  std::deque<std::pair<Time, LinkId>> handshakes_;
  std::size_t unproven_ = 0;
  std::set<std::pair<Time, LinkId>> stalls_;  // of the links that hold feeders
  // The application's Close, and until when it may wait for what closing links have yet to send: the driver lets go of
  // everything once it is complete.
  std::optional<CallId> close_call_;
  Time close_until_ = kNever;
  std::optional<node::Completion> close_completion_;
  std::size_t closing_links_ = 0;
  std::deque<Output> outputs_;
  bool drained_ = true;
  Time now_{};
  std::uint64_t turned_away_ = 0;
};

}  // namespace banyan::engine
