// What stands in for connections between neighbours in the tree of a communicator that is not the whole job: messages
// in lanes of their own, one for frames that keep their order and one for those that may overtake. A receive of each is
// always posted, so that frames wait for nobody; but as long as too much of what one neighbour sent has yet to be taken
// by those that it was passed on to, no more data is received from it, so that a slow member costs the others waiting
// and nobody memory. Those that wait for one another form a path through the communicator's tree, which ends (protocol
//
//
// A link ends when both sides have said goodbye, in both lanes: then nothing is under way on it any more.
#pragma once

#include <map>
#include <optional>

#include "node/effects.hh"
#include "node/message_requests.hh"
#include "node/topology.hh"

namespace banyan::node {

class MemberLinks {
 public:
  // A frame of a neighbour; none: the neighbour is not there any more, or has sent what is no frame.
  struct Arrival {
    LinkId from = kNoLink;
    FrameClass frame_class{};
    std::optional<Payload> frame;
    FailureCode reason = FailureCode::rank_left;  // without a frame
  };

  // Both outlive this object.
  MemberLinks(CommunicatorId id, const Topology& topology, MessageRequests& requests);
  MemberLinks(const MemberLinks&) = delete;
  MemberLinks& operator=(const MemberLinks&) = delete;

  // `feeder`: the link whose bytes these are, if they are only passed on.
  void send(LinkId to, FrameClass frame_class, const Payload& frame, LinkId feeder = kNoLink);
  // The last frame of each lane.
  void say_goodbye(LinkId to, const Payload& frame);
  // It was the last frame of that lane. True: of both.
  bool hear_goodbye(LinkId from, FrameClass frame_class);
  // Whether all that was sent has been taken.
  bool idle() const { return under_way_.empty(); }
  // None: nothing that concerns anybody.
  std::optional<Arrival> on_message(MessageDone done);
  // Whoever does not answer any more is noticed.
  void ask_neighbours();
  // That neighbour has gone without a word: nothing is sent to it or received from it any more.
  void drop(LinkId link);

 private:
  struct Way {
    std::optional<CallId> receive;  // that is posted
    bool ended = false;             // nothing more will come
  };
  struct Neighbouring {
    Rank job_rank{};
    Way data;
    Way control;
    std::uint64_t passed_on = 0;    // bytes of its frames that others have yet to take
    std::uint64_t own_control = 0;  // bytes of this rank's own control frames that it has yet to take
    bool open = true;

    Way& way(FrameClass frame_class) { return frame_class == FrameClass::data ? data : control; }
  };
  struct Sent {
    LinkId to = kNoLink;
    LinkId feeder = kNoLink;
    std::uint64_t bytes = 0;
    bool own_control = false;
  };

  wire::Tag tag_of(FrameClass frame_class) const {
    return {0, frame_class == FrameClass::data ? wire::Space::link_data : wire::Space::link_control, id_};
  }
  static bool may_receive(const Neighbouring& neighbour, FrameClass frame_class);
  // Posts the receives that should be and are not.
  void receive(Neighbouring& neighbour);
  void on_taken(const Sent& sent);

  const CommunicatorId id_;
  MessageRequests& requests_;
  std::map<LinkId, Neighbouring> neighbours_;
  std::map<CallId, Sent> under_way_;
};

}  // namespace banyan::node
