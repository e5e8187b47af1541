// One link from its first byte: handshake, then frames. Whoever uses a session sees authenticated peers and whole
// frames, or a failure that names what was wrong; bytes to send come out beside them. Pure: no clock, no socket.
//
//   initiator   hello ->               <- challenge (verified)   proof ->   authenticated
//   responder   <- hello   challenge ->          <- proof (verified)        authenticated
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "base/failure.hh"
#include "base/ids.hh"
#include "security/mac.hh"
#include "wire/frame.hh"
#include "wire/handshake.hh"

namespace banyan::session {

// Who this process is on all of its links. The engine owns it; every session refers to it.
struct Identity {
  Rank rank{};
  std::uint32_t world_size = 0;
  JobId job;  // may become known while links are open
  Incarnation incarnation{};
  std::string secret;  // empty: Profile::none

  wire::Profile profile() const { return secret.empty() ? wire::Profile::none : wire::Profile::authenticated; }
};

// The other end, as it proved itself (or only claims to be, with Profile::none).
struct Peer {
  wire::Role role{};  // what the initiator wants to be to the responder
  Rank rank{};
  Incarnation incarnation{};
  JobId job;
};

namespace event {
// The peer is who it says; its frames follow.
struct Authenticated {
  Peer peer;
};
// The link is of no more use: send what take_output() gives and close. `peer` is set once it is proven.
struct Broken {
  Failure failure;
  bool rejected_by_peer = false;
  std::optional<Peer> peer;
};
}  // namespace event

using Event = std::variant<std::monostate, event::Authenticated, wire::Frame, event::Broken>;

class Session {
 public:
  // Sends a hello at once. `to`: whom it expects, or kLeaderRank. `identity` outlives the session.
  static Session initiate(const Identity& identity, wire::Role role, Rank to, const wire::Nonce& nonce);
  static Session respond(const Identity& identity, const wire::Nonce& nonce);

  void push(Slice bytes) { decoder_.push(std::move(bytes)); }
  // Of an authenticated peer that was accepted: what it sends may be longer from now on.
  void allow_streams() {
    if (authenticated() && peer_.role != wire::Role::direct) decoder_.allow_streams();
  }
  // What a frame that is still to come encloses. False: only from the leader that this side has called, not so many,
  // not so large.
  bool enclose(Payload bytes);
  // The next thing that the bytes pushed so far mean; monostate: nothing until more come.
  Event poll();
  // Handshake bytes to send, in order; empties.
  Payload take_output() { return std::exchange(output_, {}); }
  // Refuses the peer with a reason, which it reports once this side has proved itself. Nothing for strangers: only a
  // peer whose hello was understood.
  void reject(const Failure& failure);

  // Whether the peer has proved itself; stays true when the session breaks afterwards.
  bool authenticated() const { return proven_; }
  const Peer& peer() const { return peer_; }

  // The keys of record protection, a later profile: one for each direction, bound to the whole handshake.
  security::Key key_to_responder() const;
  security::Key key_to_initiator() const;

 private:
  enum class State : std::uint8_t { hello_sent, hello_awaited, proof_awaited, authenticated, broken };

  Session(const Identity& identity, bool initiator, const wire::Nonce& nonce);
  Event on_hello(const Payload& body);
  Event on_challenge(const Payload& body);
  Event on_proof(const Payload& body);
  Event on_reject(const Payload& body);
  Event broken(FailureCode code, std::string text);
  void allow_long_frames();
  bool another_life(Rank rank, Incarnation incarnation) const;
  Event world_sizes_differ(std::uint32_t initiators, std::uint32_t responders);
  security::Key challenge_mac(const wire::Challenge& challenge) const;
  security::Key proof_mac(const wire::Challenge& challenge) const;
  Bytes secret() const { return as_byte_span(identity_->secret); }

  const Identity* identity_;
  State state_;
  bool initiator_;
  bool proven_ = false;  // an Authenticated event was given
  Rank expected_ = kNoRank;
  wire::Nonce nonce_;
  wire::FrameDecoder decoder_;
  Slice hello_;  // its body as it crossed the wire: what both codes are bound to
  wire::Challenge challenge_;
  security::Key proof_{};  // the initiator's code: the hash of the whole handshake
  Peer peer_;
  Payload output_;
};

}  // namespace banyan::session
