// The protocol machine of one rank: authenticated links and whole frames in, effects out. It joins, registers, holds
// the table, and then routes calls and frames to Collectives and Messages; it decides what a loss means.
//
// A rank's life:   joining -> formed -> closing -> gone
//                      \________\_________\-> failed
// Files: node.cc what comes in, and to whom it goes; placing.cc who is sent where; forming.cc from the first child to
// the table; ending.cc losses, verdicts, departures.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "node/config.hh"
#include "node/effects.hh"
#include "node/joiner.hh"
#include "node/link_ids.hh"
#include "node/operations.hh"
#include "node/placement.hh"
#include "node/registry.hh"
#include "node/table_receiver.hh"
#include "node/topology.hh"
#include "session/session.hh"
#include "wire/control.hh"

namespace banyan::node {

class Node {
 public:
  // Both outlive this object. `config` does not change.
  // `job`: the id that this rank knows or, as the root of a job without one, invented.
  Node(const Config& config, const JobId& job, LinkIds& link_ids);
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  void start(Time now);
  void on_connected(LinkId link, const Endpoint& local) { joiner_.on_connected(link, local); }
  void on_listening(Time now, Listener listener, const Endpoint& endpoint);
  void on_listen_failed(Time now, Listener listener, const std::string& reason);
  // A peer proved itself on a link; `accepted` says who opened it. `local`: this side's address.
  void on_authenticated(Time now, LinkId link, const session::Peer& peer, bool accepted, const Endpoint& local);
  // False: the frame breaks the protocol.
  bool on_frame(Time now, LinkId link, const wire::Frame& frame);
  // The link broke, was refused, or never came to be. `peer` is set if it was authenticated.
  void on_link_failed(Time now, LinkId link, const Failure& failure, bool rejected_by_peer,
                      const std::optional<session::Peer>& peer);
  // All that this rank itself wanted to send on the link is with the driver.
  void on_drained(LinkId link) {
    if (operations_) operations_->messages().on_drained(link);
  }
  void call(Time now, Call call);
  // After any of these, before its effects are looked at.
  void settle(Time now);
  void on_time(Time now);
  Time deadline() const;

  JobId job() const { return joiner_.adopted_job(); }
  Effects& effects() { return effects_; }
  void fill(Statistics& statistics) const;

 private:
  struct Child {
    session::Peer peer;
    Endpoint local;                     // this side's address on the link
    Position position = kNoPosition;    // of a leader, once it has said so
    std::optional<wire::Join> waiting;  // a child that came before this node knew its own position
    Attachment attachment{};
    std::string host;
    bool asked = false;     // a joiner that wants a place: once for each connection
    bool attached = false;  // may send records and gets what goes down
    bool recorded = false;  // its record has come this way
    bool left = false;
  };
  // Which children: leaders of other hosts, ranks of this host.
  enum class Below : std::uint8_t { all, hosts, locals };
  // A record on its way up, and the child that it came from (kNoLink: this host).
  struct Pending {
    wire::Record record;
    LinkId from = kNoLink;
  };
  // A loss that becomes this rank's own end, unless a verdict, or the one who was lost, comes in time.
  struct Grace {
    Time until;
    Failure failure;
  };

  // node.cc
  void on_direct_caller(LinkId link, const session::Peer& peer);
  bool may_enclose(LinkId link, wire::Kind kind) const;
  bool on_frame_of_child(Time now, LinkId link, Child& child, const wire::Frame& frame);
  bool on_frame_of_neighbour(Time now, LinkId link, const wire::Frame& frame);
  bool on_frame_from_above(Time now, LinkId link, const wire::Frame& frame);
  void after_joiner(Time now);
  void send_down(FrameClass frame_class, const Payload& frame, LinkId feeder = kNoLink, Below below = Below::all);
  bool is_root() const { return config_.rank == kRootRank; }
  bool over() const { return failed_.has_value() || gone_; }
  Epoch epoch() const { return topology_ ? topology_->epoch() : Epoch{}; }
  static std::string rank_text(Rank rank) { return "rank " + std::to_string(raw(rank)); }

  // placing.cc
  bool place(Time now, LinkId link, Child& child, const wire::Join& join);
  void answer(Time now, LinkId link, Child& child, const wire::Join& join, const Placement::Holder& leader);
  void turn_away(LinkId link, const Placement::Holder& leader, std::string text);
  void keep_places(Position own);
  bool others_ask_here() const;
  void lost_its_parent(Time now, const Placement::Holder& leader, const wire::Join& join);

  // forming.cc
  void admit_local(LinkId link, Child& child);
  bool on_join(Time now, LinkId link, Child& child, const wire::Join& join);
  void adopt(LinkId link, Child& child, const wire::Join& join);
  void adopt_waiting();
  bool on_records(Time now, LinkId link, Child& child, wire::Records records);
  bool register_record(LinkId link, wire::Record record);
  bool way_stands(const wire::Record& record) const;
  void forget_child(LinkId link);
  void refuse(LinkId link, Failure failure);
  void refuse_duplicate(LinkId link, const Failure& failure);
  // `from`: kNoLink if it was refused here.
  void note_duplicate(Rank rank, const Failure& failure, LinkId from);
  void report_duplicate(Rank rank, const Failure& failure, LinkId from);
  Failure second_process(Phase phase, Rank rank, const std::string& host) const;
  wire::Record own_record() const;
  void upstream_changed(Time now);
  void flush_records();
  void send_status(Time now);
  void commit(Time now);
  bool encloses_table(std::uint64_t bytes) const {
    return bytes >= config_.enclose_bytes() && bytes <= kMaxMessageBytes;
  }
  void send_table(const wire::Table& table, const Digest& digest, Below below);
  bool on_table_chunk(Time now, LinkId link, const wire::Frame& frame);
  void form(Time now, std::shared_ptr<const wire::Table> table);
  void acknowledge();

  // ending.cc
  void lose_child(Time now, LinkId link, const Failure& failure);
  void lose_parent(Time now, LinkId link, const Failure& failure, bool rejected_by_peer);
  void report(Time now, wire::Report report);
  bool on_report_up(Time now, const wire::Report& report, LinkId from = kNoLink);
  bool in_job(const RankSet& ranks) const { return ranks.empty() || ranks.ranges().back().last < config_.world_size; }
  void close_unattached(Time now);
  void on_report_down(Time now, const wire::Report& report);
  bool on_leave(Time now, LinkId link, const wire::Leave& leave);
  void give_up(Time now);
  void fail(Time now, const Failure& failure);
  void fail_alone(Time now, const Failure& failure);
  void end(Time now, const Failure& failure);
  void close(Time now, const Call& call);
  void finish_closing(Time now);
  Failure closed_meanwhile() const;
  Failure timeout_failure() const;
  std::string see_whether_started() const;
  Failure lost_failure(Rank rank, const std::string& host, const std::string& reason) const;
  // Phase::running: it is worth waiting for its end.
  Failure job_has_ended(Phase phase) const;
  Failure closed_early(Rank rank, const std::string& host) const;
  std::string host_of(Rank rank, const std::string& otherwise) const;

  const Config& config_;
  LinkIds& link_ids_;
  JobId job_;
  Effects effects_;
  Random random_;
  Joiner joiner_;
  std::map<LinkId, Child> children_;
  std::map<Rank, LinkId> locals_;

  // While forming.
  std::vector<wire::Record> held_;  // of the ranks of this host: sent again if the parent changes
  std::vector<Pending> pending_;    // not sent up yet
  // Of leaders below, sent to a parent that has not said welcome: one that refuses this rank has not taken them.
  std::vector<Pending> unconfirmed_;
  bool welcomed_ = false;
  std::optional<LinkId> registered_with_;
  Time flush_at_ = kNever;
  bool flush_was_delayed_ = false;
  Time start_deadline_ = kNever;
  Time status_at_ = kNever;
  std::optional<wire::Status> last_status_;
  TableReceiver table_receiver_;

  // Of the root, and of leaders of listed hosts once another host has asked them.
  std::optional<Placement> placement_;
  // The root only.
  std::optional<Registry> registry_;
  std::uint32_t acknowledged_ = 0;
  std::set<Rank> complained_;  // of a parent that can't be reached: told once for each

  std::map<Rank, Failure> duplicates_;  // of which a second process was refused; at most kMostDuplicates

  // Accepted links that have yet to attach, oldest first: nobody may hold one for nothing.
  std::deque<std::pair<Time, LinkId>> unattached_;
  // The last connection of each rank that proved itself here: one that has not attached gives way to the next.
  std::map<Rank, LinkId> latest_;

  // Once formed.
  std::optional<Topology> topology_;
  std::optional<Operations> operations_;
  Time acknowledge_at_ = kNever;
  std::uint32_t to_acknowledge_ = 0;
  std::uint64_t tree_links_peak_ = 0;
  Time started_{};
  Duration placed_{};
  Duration table_begun_{};
  Duration formed_{};

  // The end.
  std::optional<Failure> failed_;
  bool failed_alone_ = false;  // the job goes on without this process
  // The root has a verdict and stays a little, to tell it to those who have yet to come.
  Time lingers_until_ = kNever;
  std::optional<std::string> turned_away_;  // the first who came with a wrong secret, job or version
  std::optional<Grace> grace_;
  // The first loss that this rank has reported or passed on once the job had formed: what breaks later may follow from
  // it, since whoever reported it ends by itself if the verdict is late.
  std::optional<Failure> first_cause_;
  std::optional<Grace> root_lost_;           // before the table; the connection is tried once more
  std::optional<wire::Report> held_report_;  // goes up as soon as there is a parent
  std::optional<Failure> parent_left_;
  std::optional<CallId> closing_;
  Time close_deadline_ = kNever;
  bool patience_ended_ = false;
  bool gone_ = false;
};

}  // namespace banyan::node
