// What stands in for connections between neighbours in the tree of a communicator that is not the whole job: messages
// in spaces of their own, one for frames that keep their order and one for those that may overtake. A receive of each
// is always posted, so that frames wait for nobody; but as long as too much of what one neighbour sent has yet to be
// taken by those that it was passed on to, no more data is received from it, so that a slow member costs the others
// waiting and nobody memory. Those that wait for one another form a path through the communicator's tree, which ends
// (protocol Q-3).
#pragma once

#include <map>
#include <optional>

#include "node/effects.hh"
#include "node/message_requests.hh"
#include "node/topology.hh"

namespace banyan::node {

class MemberLinks {
 public:
  // A frame of a neighbour; none: the neighbour is not there any more.
  struct Arrival {
    LinkId from = kNoLink;
    std::optional<Payload> frame;
  };

  // Both outlive this object.
  MemberLinks(CommunicatorId id, const Topology& topology, MessageRequests& requests);
  MemberLinks(const MemberLinks&) = delete;
  MemberLinks& operator=(const MemberLinks&) = delete;
  ~MemberLinks();

  // `feeder`: the link whose bytes these are, if they are only passed on.
  void send(LinkId to, FrameClass frame_class, const Payload& frame, LinkId feeder = kNoLink);
  // Whether all that was sent has been taken.
  bool idle() const { return under_way_.empty(); }
  // None: nothing that concerns anybody.
  std::optional<Arrival> on_message(MessageDone done);
  // Whoever does not answer any more is noticed.
  void ask_neighbours();
  // Nothing is sent to or received from that neighbour any more.
  void drop(LinkId link);

 private:
  struct Neighbouring {
    Rank job_rank{};
    std::optional<CallId> data;     // the receives that are posted
    std::optional<CallId> control;  // neither: it was dropped
    std::uint64_t passed_on = 0;    // bytes of its frames that others have yet to take
    bool open = true;
  };
  struct Sent {
    LinkId feeder = kNoLink;
    std::uint64_t bytes = 0;
  };

  wire::Tag tag_of(FrameClass frame_class) const {
    return {0, frame_class == FrameClass::data ? wire::Space::link_data : wire::Space::link_control, id_};
  }
  void receive(Neighbouring& neighbour, FrameClass frame_class);
  void on_taken(const Sent& sent);

  const CommunicatorId id_;
  MessageRequests& requests_;
  std::map<LinkId, Neighbouring> neighbours_;
  std::map<CallId, Sent> under_way_;
};

}  // namespace banyan::node
