#include "session/session.hh"

#include <utility>

#include "base/assert.hh"

namespace banyan::session {
namespace {

template <typename Message>
Slice body_of(const Message& message) {
  Writer writer;
  message.write(writer);
  return std::move(writer).finish();
}

bool jobs_differ(const JobId& a, const JobId& b) { return a.known() && b.known() && a != b; }

// What a peer that has proved nothing may make this side say.
std::string unproven_reason(FailureCode code, const std::string& who) {
  using enum FailureCode;
  switch (code) {
    case wrong_version: return who + " speaks another protocol version; use the same Banyan everywhere";
    case wrong_job: return who + " belongs to another job; check BANYAN_JOB_ID and BANYAN_RENDEZVOUS";
    case wrong_secret: return who + " has another job secret; set the same BANYAN_SECRET for all ranks";
    case unreachable: return who + " is not the rank that was expected there";
    default: return who + " refuses this connection (" + banyan::to_string(code) + ")";
  }
}

// Of two sides, one has a secret and the other has none.
std::string one_has_no_secret(const std::string& with, const std::string& without) {
  return without + " has no job secret and " + with + " has one; set BANYAN_SECRET for all ranks or for none";
}

std::string rank_text(Rank rank) { return rank == kLeaderRank ? "its leader" : "rank " + std::to_string(raw(rank)); }

}  // namespace

Session::Session(const Identity& identity, bool initiator, const wire::Nonce& nonce)
    : identity_(&identity),
      state_(initiator ? State::hello_sent : State::hello_awaited),
      initiator_(initiator),
      nonce_(nonce),
      decoder_(kMaxUnauthenticatedFrameBytes) {}

Session Session::initiate(const Identity& identity, wire::Role role, Rank to, const wire::Nonce& nonce) {
  Session session(identity, true, nonce);
  session.expected_ = to;
  session.peer_.role = role;
  wire::Hello hello;
  hello.role = role;
  hello.profile = identity.profile();
  hello.job = identity.job;
  hello.world_size = identity.world_size;
  hello.from = identity.rank;
  hello.to = to;
  hello.incarnation = identity.incarnation;
  hello.nonce = nonce;
  session.hello_ = body_of(hello);
  session.output_ = wire::encode(hello, Epoch{});
  return session;
}

Session Session::respond(const Identity& identity, const wire::Nonce& nonce) { return Session(identity, false, nonce); }

bool Session::enclose(Payload bytes) {
  if (!proven_ || !initiator_ || peer_.role != wire::Role::local || decoder_.enclosures() >= kMostEnclosures ||
      bytes.size() > kMaxMessageBytes)
    return false;
  decoder_.enclose(std::move(bytes));
  return true;
}

Event Session::poll() {
  if (state_ == State::broken) return std::monostate{};
  auto next = decoder_.next();
  if (const auto* error = std::get_if<wire::FrameError>(&next)) return broken(FailureCode::protocol, to_string(*error));
  auto* frame = std::get_if<wire::Frame>(&next);
  if (frame == nullptr) return std::monostate{};
  if (frame->kind == wire::Kind::reject) return on_reject(frame->body);
  switch (state_) {
    case State::hello_awaited:
      if (frame->kind == wire::Kind::hello) return on_hello(frame->body);
      break;
    case State::hello_sent:
      if (frame->kind == wire::Kind::challenge) return on_challenge(frame->body);
      break;
    case State::proof_awaited:
      if (frame->kind == wire::Kind::proof) return on_proof(frame->body);
      break;
    case State::authenticated:
      if (frame->kind >= wire::Kind::join) return std::move(*frame);
      break;
    case State::broken: break;
  }
  return broken(FailureCode::protocol, std::string("unexpected frame: ") + to_string(frame->kind));
}

Event Session::on_hello(const Payload& body) {
  const auto hello = wire::decode<wire::Hello>(body);
  if (!hello) return broken(FailureCode::protocol, "the hello can't be read");
  hello_ = body.flatten();
  peer_ = Peer{hello->role, hello->from, hello->incarnation, hello->job};
  const std::string who = "rank " + std::to_string(raw(hello->from));
  if (hello->version != wire::kProtocolVersion) {
    return broken(FailureCode::wrong_version, who + " speaks protocol version " + std::to_string(hello->version) +
                                                  ", this side " + std::to_string(wire::kProtocolVersion) +
                                                  "; use the same Banyan everywhere");
  }
  if (jobs_differ(hello->job, identity_->job)) {
    return broken(FailureCode::wrong_job, who + " belongs to another job than " + rank_text(identity_->rank) +
                                              ", which it connected to; check BANYAN_JOB_ID and BANYAN_RENDEZVOUS");
  }
  if (hello->profile != identity_->profile()) {
    const std::string self = rank_text(identity_->rank);
    const bool theirs = hello->profile == wire::Profile::authenticated;
    return broken(FailureCode::wrong_secret, theirs ? one_has_no_secret(who, self) : one_has_no_secret(self, who));
  }
  if (hello->to != identity_->rank && hello->to != kLeaderRank) {
    return broken(FailureCode::unreachable,
                  rank_text(hello->to) + " is not here; this is " + rank_text(identity_->rank));
  }
  challenge_.profile = identity_->profile();
  challenge_.job = identity_->job;
  challenge_.world_size = identity_->world_size;
  challenge_.from = identity_->rank;
  challenge_.incarnation = identity_->incarnation;
  challenge_.nonce = nonce_;
  if (identity_->profile() == wire::Profile::authenticated) challenge_.mac = challenge_mac(challenge_);
  output_.append(wire::encode(challenge_, Epoch{}));
  state_ = State::proof_awaited;
  return poll();
}

Event Session::on_challenge(const Payload& body) {
  const auto challenge = wire::decode<wire::Challenge>(body);
  if (!challenge) return broken(FailureCode::protocol, "the challenge can't be read");
  challenge_ = *challenge;
  const std::string who = "rank " + std::to_string(raw(challenge->from));
  if (challenge->version != wire::kProtocolVersion) {
    return broken(FailureCode::wrong_version, who + " speaks protocol version " + std::to_string(challenge->version));
  }
  if (challenge->profile != identity_->profile() || (identity_->profile() == wire::Profile::authenticated &&
                                                     !security::equal(challenge->mac, challenge_mac(*challenge)))) {
    return broken(FailureCode::wrong_secret,
                  who + " does not have this rank's job secret; set the same BANYAN_SECRET for all ranks");
  }
  if (jobs_differ(challenge->job, identity_->job)) {
    return broken(FailureCode::wrong_job, who + " belongs to another job; check BANYAN_JOB_ID and BANYAN_RENDEZVOUS");
  }
  if (expected_ != kLeaderRank && challenge->from != expected_) {
    return broken(FailureCode::unreachable, rank_text(expected_) + " was expected, " + who + " answered");
  }
  if (challenge->world_size == identity_->world_size && raw(challenge->from) >= identity_->world_size) {
    return broken(FailureCode::protocol, who + " answered, which is no rank of this job");
  }
  if (challenge->from == identity_->rank && !another_life(challenge->from, challenge->incarnation)) {
    return broken(FailureCode::duplicate_rank,
                  "another process is rank " + std::to_string(raw(challenge->from)) + " too");
  }
  peer_.rank = challenge->from;
  peer_.incarnation = challenge->incarnation;
  peer_.job = challenge->job;
  wire::Proof proof;
  if (identity_->profile() == wire::Profile::authenticated) proof.mac = proof_ = proof_mac(challenge_);
  output_.append(wire::encode(proof, Epoch{}));
  // Behind the proof, so that the other side can tell everybody.
  if (challenge->world_size != identity_->world_size)
    return world_sizes_differ(identity_->world_size, challenge->world_size);
  state_ = State::authenticated;
  allow_long_frames();
  proven_ = true;
  allow_streams();  // the table comes this way
  return event::Authenticated{peer_};
}

// The other side has proved itself: its frames may be as long as this kind of link has them.
void Session::allow_long_frames() {
  decoder_.set_limit(peer_.role == wire::Role::direct ? kMaxDirectFrameBytes : kMaxFrameBytes);
}

// Whether the other side is a process of this side's own rank on one host. Its leader has something to say to that: it
// knows whether the job has formed, and tells the root.
bool Session::another_life(Rank rank, Incarnation incarnation) const {
  return peer_.role == wire::Role::local && rank == identity_->rank && incarnation != identity_->incarnation;
}

// The initiator's number and the responder's.
Event Session::world_sizes_differ(std::uint32_t initiators, std::uint32_t responders) {
  const Rank initiator = initiator_ ? identity_->rank : peer_.rank;
  const Rank responder = initiator_ ? peer_.rank : identity_->rank;
  return broken(FailureCode::wrong_world_size, rank_text(initiator) + " was started with a world size of " +
                                                   std::to_string(initiators) + ", " + rank_text(responder) + " with " +
                                                   std::to_string(responders) +
                                                   "; start all ranks with the same number");
}

Event Session::on_proof(const Payload& body) {
  const auto proof = wire::decode<wire::Proof>(body);
  if (!proof) return broken(FailureCode::protocol, "the proof can't be read");
  if (identity_->profile() == wire::Profile::authenticated) {
    proof_ = proof_mac(challenge_);
    if (!security::equal(proof->mac, proof_)) {
      return broken(FailureCode::wrong_secret,
                    "rank " + std::to_string(raw(peer_.rank)) +
                        " could not prove that it has the job secret; set the same BANYAN_SECRET for all ranks");
    }
  }
  state_ = State::authenticated;
  allow_long_frames();
  // Said only now: a stranger learns nothing of the job, and an honest rank gets the reason.
  Reader reader(hello_.bytes());
  wire::Hello hello;
  hello.read(reader);
  if (hello.world_size != identity_->world_size) return world_sizes_differ(hello.world_size, identity_->world_size);
  const bool own_rank = peer_.rank == identity_->rank && !another_life(peer_.rank, peer_.incarnation);
  if (raw(peer_.rank) >= identity_->world_size || own_rank) {
    return broken(FailureCode::duplicate_rank, "another process is rank " + std::to_string(raw(peer_.rank)) + " too");
  }
  proven_ = true;
  return event::Authenticated{peer_};
}

Event Session::on_reject(const Payload& body) {
  const auto reject = wire::decode<wire::Reject>(body);
  // An answer that can't be read, or comes from a side that has yet to introduce itself, says nothing.
  if (!reject || state_ == State::hello_awaited)
    return broken(FailureCode::protocol, "the peer closed with a reason that can't be read");
  event::Broken broken;
  // Before it has proved itself the peer's words are anybody's: they must not reach a log.
  const bool proven = state_ == State::authenticated;
  std::string text = proven ? reject->text : unproven_reason(reject->code, rank_text(reject->from));
  // In place of a challenge it means that one side has a secret and the other has none; this side knows which it is.
  if (state_ == State::hello_sent && reject->code == FailureCode::wrong_secret) {
    const std::string who = rank_text(reject->from);
    const bool ours = identity_->profile() == wire::Profile::authenticated;
    text = ours ? one_has_no_secret("this rank", who) : one_has_no_secret(who, "this rank");
  }
  broken.failure = Failure{reject->code, proven ? reject->phase : Phase::join, {}, {}, std::move(text)};
  // Honest peers judge the world size after the proof. Said before, it ends nobody's search.
  if (!proven && reject->code == FailureCode::wrong_world_size) broken.failure.code = FailureCode::unreachable;
  if (raw(reject->from) < identity_->world_size) broken.failure.ranks = RankSet::single(reject->from);
  broken.rejected_by_peer = true;
  if (proven) broken.peer = peer_;
  state_ = State::broken;
  return broken;
}

Event Session::broken(FailureCode code, std::string text) {
  event::Broken broken;
  broken.failure = Failure{code, Phase::join, {}, {}, std::move(text)};
  if (state_ == State::authenticated) broken.peer = peer_;
  reject(broken.failure);
  state_ = State::broken;
  return broken;
}

void Session::reject(const Failure& failure) {
  if (hello_.empty()) return;
  wire::Reject reject;
  reject.code = failure.code;
  reject.phase = failure.phase;
  reject.from = identity_->rank;
  reject.text = failure.text;
  output_.append(wire::encode(reject, Epoch{}));
}

security::Key Session::challenge_mac(const wire::Challenge& challenge) const {
  Writer writer;
  challenge.write_unsigned(writer);
  return security::mac(secret(), "banyan challenge", {hello_.bytes(), writer.bytes()});
}

security::Key Session::proof_mac(const wire::Challenge& challenge) const {
  Writer writer;
  challenge.write(writer);
  return security::mac(secret(), "banyan proof", {hello_.bytes(), writer.bytes()});
}

security::Key Session::key_to_responder() const {
  BANYAN_ASSERT(state_ == State::authenticated);
  return security::mac(secret(), "banyan key to responder", {proof_});
}

security::Key Session::key_to_initiator() const {
  BANYAN_ASSERT(state_ == State::authenticated);
  return security::mac(secret(), "banyan key to initiator", {proof_});
}

}  // namespace banyan::session
