// Links between two ranks that are no neighbours in the tree, made when they have enough to say to each other. Until
// one is open, and again when it has ended, messages are routed.
//
// Of two ranks one listens and the other connects; which is which depends on the two alone (connects_to()), so that
// two that want a link at the same time get one. The listening side says where, so nobody listens for nothing:
//
//   connects      ask ->                             <- offer       (connection, handshake)
//   listens                <- offer                                 (connection, handshake)
//
// Either says decline instead when it has as many links as it may have, all of them in use, or can't listen or connect.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.hh"
#include "base/time.hh"
#include "node/config.hh"
#include "node/effects.hh"
#include "node/link_ids.hh"
#include "node/topology.hh"
#include "wire/point_to_point.hh"

namespace banyan::node {

// Why nothing reaches a rank that has closed, whoever says it.
inline constexpr const char* kHasLeft = "the rank has left";

class DirectLinks {
 public:
  // What became of a link, or of the attempt to make one.
  struct News {
    enum class Kind : std::uint8_t { opened, closed, failed } kind{};
    Rank peer{};
    LinkId link = kNoLink;  // of opened and closed
    std::string reason;     // of failed, for people
  };

  // Says whether messages to or from a rank are under way.
  class Traffic {
   public:
    virtual bool in_use(Rank peer) const = 0;

   protected:
    ~Traffic() = default;
  };

  // All outlive this object.
  DirectLinks(const Config& config, const Topology& topology, LinkIds& link_ids, Effects& effects,
              const Traffic& traffic);

  // The open link to `peer`; kNoLink: there is none.
  LinkId link_to(Rank peer) const;
  // The rank at the other end of an open link; kNoRank: it is none of these.
  Rank peer_of(LinkId link) const;
  // Whether the link is one of these, open or not.
  bool owns(LinkId link) const { return peers_of_links_.contains(link); }
  // Whether a link to `peer` makes sense: another rank, which is no neighbour in the tree.
  bool may_have(Rank peer) const;

  // A message of so many bytes is about to be sent there, or will be soon: begins to make a link if that is worth it.
  void count(Time now, Rank peer, std::uint64_t bytes);
  // A frame has come by its link.
  void on_use(Rank peer) { touch(peer, peers_.at(peer)); }
  // Begins to make a link, whatever there is to send.
  void seek(Time now, Rank peer);

  // What the peer said. It is of this life, and came over the tree.
  void on_word(Time now, const wire::Direct& direct);
  void on_listening(Time now, Listener listener, const Endpoint& endpoint);
  void on_listen_failed(Time now, Listener listener, const std::string& reason);
  // The peer has proved itself on a link that this side opened; or on one of its own: false, if nobody waits for that.
  void on_authenticated(LinkId link);
  bool on_accepted(LinkId link, Rank peer);
  // It broke, or never came to be. `at_fault`: the peer broke the protocol, and is not trusted with another for a
  // while. `refused`: the peer says that it waits for none.
  void on_link_failed(Time now, LinkId link, const std::string& reason, bool at_fault, bool refused);
  void on_time(Time now);
  Time deadline() const { return deadlines_.empty() ? kNever : deadlines_.begin()->first; }
  // Ends all links and attempts, and begins no more.
  void close();

  // What has happened since this was asked last.
  std::vector<News> take_news() { return std::exchange(news_, {}); }

  std::uint32_t open() const { return static_cast<std::uint32_t>(by_use_.size()); }
  std::uint64_t opened() const { return opened_; }
  std::uint64_t broken() const { return broken_; }

 private:
  enum class State : std::uint8_t {
    idle,
    asked,       // this side asked, and waits for the offer
    listening,   // this side has yet to listen before it can offer
    offered,     // this side waits for the connection
    connecting,  // this side connects
    open,        // proved
    resting,     // the last attempt failed; none is made by itself for a while
  };
  struct Peer {
    State state = State::idle;
    LinkId link = kNoLink;  // connecting and open
    // Asked to connecting: when it has failed; open: see `next`; resting: when it is over.
    Time until = kNever;
    // Open: what the other side said after it had closed this link, whose last bytes have yet to be read. It counts
    // when they are, or when that takes too long.
    std::optional<wire::Direct> next;
    std::uint64_t used = 0;    // open: grows with use
    bool distrusted = false;   // resting: it broke the protocol
    std::uint32_t opened = 0;  // so many links there have been
    std::uint32_t count = 0;   // of messages since
    Time since{};
  };
  // Where this rank listens for its direct links.
  struct Door {
    enum class State : std::uint8_t { shut, opening, open } state = State::shut;
    Endpoint endpoint;
    Time shut_until{};  // after it could not be opened
  };

  bool connects_to(Rank peer) const;
  bool shares_host_with(Rank peer) const;
  bool may_be_at(Rank peer, const Endpoint& endpoint) const;
  Listener listener_for(Rank peer) const { return shares_host_with(peer) ? Listener::direct : Listener::network; }
  Door& door(Listener listener) { return listener == Listener::direct ? unix_ : tcp_; }
  std::string name_of(Rank rank) const;
  static bool is_coming(State state) { return state >= State::asked && state <= State::connecting; }
  bool make_room();
  std::string no_room() const;
  void begin(Time now, Rank peer, Peer& state);
  void offer(Time now, Rank peer, Peer& state);
  void open_door(Listener listener);
  void connect(Time now, Rank peer, Peer& state, const Endpoint& endpoint);
  void on_decline(Time now, Rank peer, const std::string& reason);
  void opened(Rank peer, Peer& state, LinkId link);
  void touch(Rank peer, Peer& state);
  void set(Rank peer, Peer& state, State to, Time until);
  void rest(Time now, Rank peer, Peer& state, const std::string& reason);
  void end_link(Rank peer, Peer& state, bool abandon);
  void forget_link(Rank peer, Peer& state);
  void drop_link(Peer& state);
  void say(Rank peer, wire::Direct::Word word, const Endpoint& endpoint = {}, const std::string& reason = {});

  const Config& config_;
  const Topology& topology_;
  LinkIds& link_ids_;
  Effects& effects_;
  const Traffic& traffic_;
  std::map<Rank, Peer> peers_;
  std::map<LinkId, Rank> peers_of_links_;
  std::map<std::uint64_t, Rank> by_use_;  // open links, the one used longest ago first
  std::set<std::pair<Time, Rank>> deadlines_;
  Door unix_;
  Door tcp_;
  bool closed_ = false;
  std::uint32_t coming_ = 0;  // asked to connecting
  std::uint64_t last_use_ = 0;
  std::uint64_t opened_ = 0;
  std::uint64_t broken_ = 0;
  std::vector<News> news_;
};

}  // namespace banyan::node
