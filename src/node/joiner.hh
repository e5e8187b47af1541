// How a rank finds its place: first its host's leader, or it becomes the leader; then, as a leader, the rendezvous (or
// a computed parent) and from there its parent. All transitions stand in joiner.cc; the figure in docs/architecture.md
// is drawn from them.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "base/random.hh"
#include "node/backoff.hh"
#include "node/config.hh"
#include "node/effects.hh"
#include "node/link_ids.hh"
#include "session/session.hh"
#include "wire/join.hh"

namespace banyan::node {

class Joiner {
 public:
  // The parent, once there is one. Frames may be sent on `link` at once.
  struct Upstream {
    LinkId link = kNoLink;
    Rank rank{};
    std::string host;
    bool local = false;
  };

  // All outlive this object.
  Joiner(const Config& config, LinkIds& link_ids, Effects& effects, Random& random);

  void start(Time now);
  void on_connected(LinkId link, const Endpoint& local);
  void on_authenticated(Time now, LinkId link, const session::Peer& peer);
  // The link could not be opened, was refused, or was lost.
  void on_link_failed(Time now, LinkId link, const Failure& failure, bool rejected_by_peer);
  void on_listening(Time now, Listener listener, const Endpoint& endpoint);
  void on_listen_failed(Time now, Listener listener, const std::string& reason);
  // False: it answers nothing that was asked.
  bool on_placement(Time now, LinkId link, const wire::Placement& placement);
  bool on_welcome(LinkId link, const wire::Welcome& welcome);
  // Whether the connection that is being tried leads to rank 0.
  bool seeks_root() const;
  void on_time(Time now);
  Time deadline() const;
  // Stops all attempts and gives up the link to the parent, if any, without closing it.
  void stop();

  // Whether the link is one that this object opened.
  bool owns(LinkId link) const;
  const std::optional<Upstream>& upstream() const { return upstream_; }
  // kNoPosition until it is known; never known by a rank that has a leader.
  Position position() const { return position_; }
  std::uint32_t fan_out() const { return fan_out_; }
  Attachment attachment() const { return attachment_; }
  const Endpoint& endpoint() const { return endpoint_; }
  JobId adopted_job() const { return adopted_job_; }
  // Why there is no parent yet, for people; empty when nothing is known to be wrong.
  const std::string& obstacle() const { return obstacle_; }
  // Whether that is rank 0, which has not been reached, rather than a parent or what rank 0 said.
  bool root_is_obstacle() const { return root_is_obstacle_; }
  // The address with a name in it that this rank shall listen at, until the driver has found out what the name means.
  const std::string& unresolved() const { return unresolved_; }
  // What ended the search for good, if anything did.
  const std::optional<Failure>& fatal() const { return fatal_; }

 private:
  enum class Step : std::uint8_t { local, rendezvous, parent };
  struct Idle {};
  struct Wait {
    Time until;
    Step step;
  };
  struct ClaimName {};
  struct Connect {
    LinkId link;
    Step step;
    Time give_up;
    Rank peer = kNoRank;  // once authenticated
    bool asked = false;
  };
  struct Attached {
    LinkId link;
  };

  void take(Time now, Step step);
  void connect(Time now, Step step);
  void retry(Time now, Step step);
  void lead(Time now);
  void ask_if_ready(Time now);
  void attach(LinkId link, const session::Peer& peer, bool local);
  void listen_for_children(const Endpoint& local);
  void local_failed(Time now, const Failure& failure, bool rejected_by_peer);
  void listed_failed(Time now, const Failure& failure, bool rejected_by_peer);
  void rendezvous_failed(Time now, const Failure& failure, bool rejected_by_peer);
  void parent_failed(Time now, const Failure& failure, bool final);
  void lost_upstream(Time now, const Failure& failure, bool rejected_by_peer);
  bool awaits_end_of_last_job(Time now, Step step, const Failure& failure);
  wire::Join join_message() const;
  bool leads_to_root(Step step) const {
    return (step == Step::rendezvous && asks_root()) || (step == Step::parent && root_is_parent());
  }
  bool root_is_parent() const { return computed() && placement_.parent == kRootRank; }
  // Whether the place of this host is known from the list of hosts.
  bool computed() const { return config_.host_index != 0 && config_.host_index < config_.hosts.size(); }
  bool asks_root() const { return asked_ == tree::kRootPosition; }
  const std::string& asked_address() const { return asks_root() ? config_.rendezvous : config_.hosts[raw(asked_)]; }

  const Config& config_;
  LinkIds& link_ids_;
  Effects& effects_;
  Random& random_;
  std::string local_name_;
  Backoff backoff_;
  Duration reply_timeout_;
  std::variant<Idle, Wait, ClaimName, Connect, Attached> state_;
  bool listening_ = false;
  std::uint32_t local_refusals_ = 0;
  std::uint32_t placements_ = 0;
  Position asked_;  // the host that allots this one's place: a listed one, or the root, which has the last word
  Position position_ = kNoPosition;
  std::uint32_t fan_out_;
  Attachment attachment_{};
  Endpoint endpoint_;
  JobId adopted_job_;
  wire::Placement placement_;
  Time patience_ = kNever;  // until when the parent, or a listed host, is tried before another is asked for a place
  Time last_job_until_ = kNever;
  Time root_comes_until_{};  // this rank seems to be on rank 0's host: until when that is to claim its name
  Rank unreachable_ = kNoRank;
  FailureCode unreachable_reason_{};
  std::optional<Upstream> upstream_;
  std::string obstacle_;
  bool root_is_obstacle_ = false;
  std::string unresolved_;
  std::optional<Failure> fatal_;
};

// The abstract Unix name of this job's leader on this host (docs/protocol.md, "Host").
std::string local_name(const Config& config);

}  // namespace banyan::node
