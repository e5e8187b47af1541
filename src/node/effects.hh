// What the parts of a node want done: they write it down here, in order, and the engine carries it out after the node
// has returned. Nothing calls back.
#pragma once

#include <utility>
#include <variant>
#include <vector>

#include "base/assert.hh"
#include "base/bytes.hh"
#include "base/ids.hh"
#include "base/time.hh"
#include "node/calls.hh"
#include "node/config.hh"
#include "node/io.hh"
#include "wire/handshake.hh"

namespace banyan::node {

// Control frames overtake data frames that wait on the same link; within a class frames keep their order.
enum class FrameClass : std::uint8_t { control, data };

namespace effect {

// Send a whole frame (wire::encode). `feeder`: the link whose bytes these are, if they were only passed on; it is not
// read from while `link` has too much waiting.
struct SendFrame {
  LinkId link{};
  FrameClass frame_class = FrameClass::control;
  Payload frame;
  LinkId feeder = kNoLink;
  wire::Enclosure enclosure{};
};
// Open a connection and prove to the other side that this rank may be its `role`. `to` is whom it expects there.
struct OpenLink {
  Connect connect;
  wire::Role role{};
  Rank to{};
};
// Close the link after what was sent on it has left (`abandon`: at once).
struct CloseLink {
  LinkId link{};
  bool abandon = false;
};

// Tell an authenticated peer why it can't stay, and close.
struct Refuse {
  LinkId link{};
  Failure failure;
};
// Tell the same to all who have introduced themselves and not proved yet who they are.
struct RefuseCallers {
  Failure failure;
};

}  // namespace effect

using Effect =
    std::variant<effect::SendFrame, effect::OpenLink, effect::CloseLink, effect::Refuse, effect::RefuseCallers,
                 effect::Listen, effect::StopListening, effect::Formed, effect::Failed, effect::Notice, Completion>;

class Effects {
 public:
  // `share_memory`: Config's.
  explicit Effects(Config::ShareMemory share_memory) : share_memory_(share_memory) {}

  template <typename SomeEffect>
  void add(SomeEffect effect) {
    list_.emplace_back(std::move(effect));
  }
  void send(LinkId link, FrameClass frame_class, Payload frame, LinkId feeder = kNoLink) {
    add(effect::SendFrame{link, frame_class, std::move(frame), feeder});
  }
  // To a rank of this host: a frame (encoded with kEnclosesFlag) and what it encloses.
  void send_enclosing(LinkId link, Payload frame, wire::Enclosure enclosure) {
    add(effect::SendFrame{link, FrameClass::data, std::move(frame), kNoLink, std::move(enclosure)});
  }
  // No effect, but done at once, since the caller goes on with what it returns: the same bytes, where they can be
  // enclosed without another copy. Only where Config::enclose_bytes() lets something be enclosed.
  Payload to_enclose(const Payload& bytes) const {
    BANYAN_ASSERT(share_memory_ != nullptr);
    return share_memory_(bytes);
  }
  void complete(CallId id, Payload result, Rank source = kNoRank) { add(Completion{id, std::move(result), source}); }
  void complete(CallId id, Parts parts) { add(Completion{id, std::move(parts)}); }
  void complete(CallId id, Failure failure) { add(Completion{id, std::move(failure)}); }

  std::vector<Effect> take() { return std::exchange(list_, {}); }
  bool empty() const { return list_.empty(); }

 private:
  Config::ShareMemory share_memory_;
  std::vector<Effect> list_;
};

}  // namespace banyan::node
