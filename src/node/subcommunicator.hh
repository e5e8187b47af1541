// A communicator of some of the job's ranks: the same Communicator as the job's, in a tree of its own (members.hh)
// whose links are messages (member_links.hh). Whoever needs it no longer says that it will call no more, stays as long
// as one below does, then takes leave of its parent behind all that it has sent, and is gone when its parent has
// answered.
#pragma once

#include <memory>
#include <optional>

#include "node/communicator.hh"
#include "node/member_links.hh"
#include "node/members.hh"

namespace banyan::node {

class Subcommunicator {
 public:
  // `job`, `requests`, `effects` and `limits` outlive this object. `self`: this rank's number in it.
  Subcommunicator(CommunicatorId id, Rank self, std::shared_ptr<const Members> members, const Topology& job,
                  MessageRequests& requests, Effects& effects, const Limits& limits);

  Communicator& communicator() { return communicator_; }
  const Communicator& communicator() const { return communicator_; }
  const Members& members() const { return *members_; }
  Rank self() const { return topology_.self(); }

  void on_message(Time now, MessageDone done);
  // The application is done with it: what it has pending fails with `closed`, what others need of this rank goes on.
  void leave(const Failure& closed);
  bool leaving() const { return leaving_; }
  // It has taken leave, and nobody needs it.
  bool gone() const { return gone_; }
  void on_time(Time now);
  Time deadline() const;

 private:
  bool on_frame(Time now, LinkId from, FrameClass frame_class, const Payload& frame);
  bool on_leave(LinkId from, FrameClass frame_class, const Payload& body);
  bool is_child(LinkId link) const { return topology_.child_index(link) < topology_.children().size(); }
  void lose(LinkId link, FailureCode reason);
  void lose_parent(Rank who);
  void advance();

  const std::shared_ptr<const Members> members_;
  Topology topology_;
  MemberLinks links_;
  Communicator communicator_;
  const Duration ask_interval_;
  Time now_{};
  Time ask_at_ = kNever;  // while an operation goes on
  std::size_t children_left_ = 0;
  bool parent_left_ = false;
  bool parent_answered_ = false;
  bool leaving_ = false;
  bool said_goodbye_ = false;
  bool gone_ = false;
};

}  // namespace banyan::node
