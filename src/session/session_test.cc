// One link's handshake: who gets in, who is told why not, and that no byte of it can be changed or used again.
#include "session/session.hh"

#include <gtest/gtest.h>

#include "base/random.hh"
#include "wire/join.hh"
#include "wire/point_to_point.hh"

namespace banyan::session {
namespace {

wire::Nonce nonce(std::uint64_t seed) {
  Random random(seed);
  wire::Nonce nonce;
  for (std::byte& byte : nonce) byte = static_cast<std::byte>(random.below(256));
  return nonce;
}

Identity identity(std::uint32_t rank) {
  Identity identity;
  identity.rank = Rank{rank};
  identity.world_size = 8;
  identity.job.bytes.fill(std::byte{5});
  identity.incarnation = Incarnation{100 + rank};
  identity.secret = "the secret";
  return identity;
}

Payload some_frame() {
  wire::Welcome welcome;
  welcome.position = Position{3};
  return wire::encode(welcome, Epoch{});
}

// The last event that the bytes cause: handshakes yield at most one.
Event give(Session& session, const Payload& bytes) {
  if (!bytes.empty()) session.push(bytes.flatten());
  return session.poll();
}
const event::Broken* broken(const Event& event) { return std::get_if<event::Broken>(&event); }
FailureCode code(const Event& event) { return broken(event) != nullptr ? broken(event)->failure.code : FailureCode{}; }

// Both sides of one handshake, stepwise.
struct Pair {
  Pair(const Identity& from, const Identity& to, wire::Role role = wire::Role::child, Rank expected = Rank{2})
      : initiator(Session::initiate(from, role, expected, nonce(1))), responder(Session::respond(to, nonce(2))) {}
  void run() {
    at_responder = give(responder, initiator.take_output());
    at_initiator = give(initiator, responder.take_output());
    if (const Payload bytes = initiator.take_output(); !bytes.empty()) at_responder = give(responder, bytes);
    if (const Payload bytes = responder.take_output(); !bytes.empty()) {
      Event event = give(initiator, bytes);
      if (!std::holds_alternative<std::monostate>(event)) at_initiator = std::move(event);
    }
  }
  Session initiator;
  Session responder;
  Event at_initiator;
  Event at_responder;
};

TEST(Session, both_sides_know_each_other_after_the_handshake) {
  const Identity one = identity(1);
  const Identity two = identity(2);
  for (const wire::Role role : {wire::Role::joiner, wire::Role::child, wire::Role::local, wire::Role::direct}) {
    Pair pair(one, two, role);
    pair.run();
    ASSERT_TRUE(std::holds_alternative<event::Authenticated>(pair.at_initiator));
    ASSERT_TRUE(std::holds_alternative<event::Authenticated>(pair.at_responder));
    const Peer& seen = std::get<event::Authenticated>(pair.at_responder).peer;
    EXPECT_EQ(seen.role, role);
    EXPECT_EQ(seen.rank, Rank{1});
    EXPECT_EQ(seen.incarnation, Incarnation{101});
    EXPECT_EQ(seen.job, one.job);
    EXPECT_EQ(pair.initiator.peer().rank, Rank{2});
    EXPECT_EQ(pair.initiator.peer().incarnation, Incarnation{102});
  }
}

TEST(Session, keys_are_the_same_on_both_sides_and_differ_by_direction_and_by_handshake) {
  const Identity one = identity(1);
  const Identity two = identity(2);
  Pair pair(one, two);
  pair.run();
  EXPECT_EQ(pair.initiator.key_to_responder(), pair.responder.key_to_responder());
  EXPECT_EQ(pair.initiator.key_to_initiator(), pair.responder.key_to_initiator());
  EXPECT_NE(pair.initiator.key_to_responder(), pair.initiator.key_to_initiator());
  Pair other(one, two, wire::Role::local);
  other.run();
  EXPECT_NE(pair.initiator.key_to_responder(), other.initiator.key_to_responder());
}

TEST(Session, frames_follow_in_whatever_pieces_bytes_come) {
  const Identity one = identity(1);
  const Identity two = identity(2);
  Session initiator = Session::initiate(one, wire::Role::child, Rank{2}, nonce(1));
  Session responder = Session::respond(two, nonce(2));
  give(responder, initiator.take_output());
  give(initiator, responder.take_output());
  Payload bytes = initiator.take_output();
  bytes.append(some_frame());
  const Slice all = bytes.flatten();
  int events = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    responder.push(Slice::copy(all.bytes().subspan(i, 1)));
    const Event event = responder.poll();
    if (std::holds_alternative<std::monostate>(event)) continue;
    ++events;
    EXPECT_EQ(std::holds_alternative<wire::Frame>(event), i + 1 == all.size());
  }
  EXPECT_EQ(events, 2);
}

TEST(Session, only_a_peer_that_has_proved_itself_may_enclose_and_not_much_before_its_frames) {
  const Identity one = identity(1);
  const Identity two = identity(2);
  Pair pair(one, two, wire::Role::local);
  EXPECT_FALSE(pair.initiator.enclose(Payload::copy("x")));
  EXPECT_FALSE(pair.responder.enclose(Payload::copy("x")));
  pair.run();
  for (std::size_t i = 0; i < kMostEnclosures; ++i) EXPECT_TRUE(pair.initiator.enclose(Payload::copy("x")));
  EXPECT_FALSE(pair.initiator.enclose(Payload::copy("x")));
  for (const wire::Role role : {wire::Role::joiner, wire::Role::child, wire::Role::direct}) {
    Pair other(one, two, role);
    other.run();
    EXPECT_FALSE(other.initiator.enclose(Payload::copy("x"))) << "it is no leader of this host";
  }
}

// Changes one byte of the message that `pick` takes from the handshake, each in turn; nobody may be let in on the side
// that reads it, and no further message may make up for it.
enum class Message { hello, challenge, proof };
void expect_every_byte_counts(Message message) {
  const Identity one = identity(1);
  const Identity two = identity(2);
  for (std::size_t i = 0;; ++i) {
    Session initiator = Session::initiate(one, wire::Role::child, Rank{2}, nonce(1));
    Session responder = Session::respond(two, nonce(2));
    const auto passed = [&](Payload bytes, Message which) {
      if (which != message || i >= bytes.size()) return bytes;
      std::string text = bytes.to_string();
      text[i] = static_cast<char>(text[i] ^ 1);
      return Payload::copy(text);
    };
    const Payload hello = initiator.take_output();
    const std::size_t hello_size = hello.size();
    give(responder, passed(hello, Message::hello));
    const Payload challenge = responder.take_output();
    const std::size_t challenge_size = challenge.size();
    give(initiator, passed(challenge, Message::challenge));
    const Payload proof = initiator.take_output();
    const std::size_t proof_size = proof.size();
    give(responder, passed(proof, Message::proof));
    const std::size_t size = message == Message::hello       ? hello_size
                             : message == Message::challenge ? challenge_size
                                                             : proof_size;
    if (i >= size) {
      EXPECT_TRUE(responder.authenticated() && i > wire::kFrameHeaderBytes) << "untouched it works";
      return;
    }
    // The epoch in the header of a handshake frame says nothing yet and is covered by no code.
    if (i >= 8 && i < 16) continue;
    EXPECT_FALSE(responder.authenticated()) << "byte " << i;
    EXPECT_TRUE(message == Message::proof || !initiator.authenticated()) << "byte " << i;
  }
}
TEST(Session, a_hello_with_any_byte_changed_lets_nobody_in) { expect_every_byte_counts(Message::hello); }
TEST(Session, a_challenge_with_any_byte_changed_lets_nobody_in) { expect_every_byte_counts(Message::challenge); }
TEST(Session, a_proof_with_any_byte_changed_lets_nobody_in) { expect_every_byte_counts(Message::proof); }

TEST(Session, what_was_recorded_of_one_handshake_opens_no_other) {
  const Identity one = identity(1);
  const Identity two = identity(2);
  Session initiator = Session::initiate(one, wire::Role::child, Rank{2}, nonce(1));
  Session responder = Session::respond(two, nonce(2));
  const Payload hello = initiator.take_output();
  give(responder, hello);
  const Payload challenge = responder.take_output();
  give(initiator, challenge);
  const Payload proof = initiator.take_output();
  ASSERT_TRUE(std::holds_alternative<event::Authenticated>(give(responder, proof)));

  Session next = Session::respond(two, nonce(3));
  give(next, hello);
  EXPECT_EQ(code(give(next, proof)), FailureCode::wrong_secret);
  Session back = Session::initiate(one, wire::Role::child, Rank{2}, nonce(4));
  EXPECT_EQ(code(give(back, challenge)), FailureCode::wrong_secret);
  // Nor can a rank be made to answer its own question.
  Session mirror = Session::initiate(one, wire::Role::child, Rank{2}, nonce(5));
  EXPECT_EQ(code(give(mirror, mirror.take_output())), FailureCode::protocol);
}

struct Refusal {
  const char* what;
  FailureCode code;
  void (*edit)(Identity& initiator);
};
TEST(Session, a_refused_peer_is_told_why) {
  const Refusal refusals[] = {
      {"secret", FailureCode::wrong_secret, [](Identity& i) { i.secret = "another"; }},
      {"no secret", FailureCode::wrong_secret, [](Identity& i) { i.secret.clear(); }},
      {"job", FailureCode::wrong_job, [](Identity& i) { i.job.bytes.fill(std::byte{6}); }},
      {"world size", FailureCode::wrong_world_size, [](Identity& i) { i.world_size = 9; }},
      {"its own rank", FailureCode::duplicate_rank, [](Identity& i) { i.rank = Rank{2}; }},
      {"a rank out of range", FailureCode::duplicate_rank, [](Identity& i) { i.rank = Rank{8}; }},
  };
  const Identity two = identity(2);
  for (const Refusal& refusal : refusals) {
    SCOPED_TRACE(refusal.what);
    Identity one = identity(1);
    refusal.edit(one);
    Pair pair(one, two);
    pair.run();
    ASSERT_NE(broken(pair.at_responder), nullptr);
    ASSERT_NE(broken(pair.at_initiator), nullptr);
    EXPECT_EQ(code(pair.at_initiator), refusal.code);
    EXPECT_EQ(code(pair.at_responder), refusal.code);
    // Of the size of the job each side tells for itself, behind its proof.
    const bool both = refusal.code == FailureCode::wrong_world_size;
    EXPECT_EQ(broken(pair.at_initiator)->rejected_by_peer == broken(pair.at_responder)->rejected_by_peer, both)
        << "one side said no";
    EXPECT_TRUE(!both || broken(pair.at_responder)->peer.has_value()) << "so that it may end the job";
    // What happens after it is over changes nothing.
    EXPECT_TRUE(std::holds_alternative<std::monostate>(give(pair.responder, Payload::copy("more"))));
  }
}

TEST(Session, a_second_process_of_a_leaders_rank_is_heard_by_it_on_its_own_host_alone) {
  const Identity leader = identity(2);
  Identity second = leader;
  second.incarnation = Incarnation{999};
  Pair pair(second, leader, wire::Role::local, kLeaderRank);
  pair.run();
  EXPECT_TRUE(pair.initiator.authenticated() && pair.responder.authenticated());
  EXPECT_EQ(pair.responder.peer().incarnation, second.incarnation);
  Pair child(second, leader, wire::Role::child, kLeaderRank);
  child.run();
  EXPECT_EQ(code(child.at_initiator), FailureCode::duplicate_rank);
  Pair itself(leader, leader, wire::Role::local, kLeaderRank);
  itself.run();
  EXPECT_EQ(code(itself.at_initiator), FailureCode::duplicate_rank);
  EXPECT_FALSE(itself.responder.authenticated());
}

TEST(Session, the_side_that_has_no_secret_is_named) {
  Identity without = identity(1);
  without.secret.clear();
  const Identity with = identity(2);
  Pair pair(without, with);
  pair.run();
  ASSERT_NE(broken(pair.at_initiator), nullptr);
  EXPECT_EQ(broken(pair.at_initiator)->failure.text,
            "this rank has no job secret and rank 2 has one; set BANYAN_SECRET for all ranks or for none");
  EXPECT_EQ(broken(pair.at_responder)->failure.text,
            "rank 1 has no job secret and rank 2 has one; set BANYAN_SECRET for all ranks or for none");
  without.rank = Rank{2};
  Identity other = with;
  other.rank = Rank{1};
  Pair reversed(other, without);
  reversed.run();
  ASSERT_NE(broken(reversed.at_initiator), nullptr);
  EXPECT_EQ(broken(reversed.at_initiator)->failure.text,
            "rank 2 has no job secret and this rank has one; set BANYAN_SECRET for all ranks or for none");
}

TEST(Session, only_the_rank_that_is_meant_answers) {
  const Identity one = identity(1);
  const Identity two = identity(2);
  Pair other(one, two, wire::Role::child, Rank{3});
  other.run();
  EXPECT_EQ(code(other.at_initiator), FailureCode::unreachable);
  Pair leader(one, two, wire::Role::local, kLeaderRank);
  leader.run();
  EXPECT_TRUE(leader.initiator.authenticated() && leader.responder.authenticated());
  EXPECT_EQ(leader.initiator.peer().rank, Rank{2});
}

TEST(Session, a_rank_without_a_job_id_learns_it_from_its_peer) {
  Identity one = identity(1);
  one.job = {};
  const Identity two = identity(2);
  Pair pair(one, two);
  pair.run();
  ASSERT_TRUE(pair.initiator.authenticated() && pair.responder.authenticated());
  EXPECT_EQ(pair.initiator.peer().job, two.job);
  EXPECT_FALSE(pair.responder.peer().job.known());
}

TEST(Session, without_a_secret_it_shakes_hands_and_checks_the_job) {
  Identity one = identity(1);
  Identity two = identity(2);
  one.secret = two.secret = {};
  Pair pair(one, two);
  pair.run();
  EXPECT_TRUE(pair.initiator.authenticated() && pair.responder.authenticated());
  one.job.bytes.fill(std::byte{6});
  Pair other(one, two);
  other.run();
  EXPECT_EQ(code(other.at_initiator), FailureCode::wrong_job);
}

TEST(Session, an_authenticated_peer_can_be_refused_with_a_reason) {
  const Identity one = identity(1);
  const Identity two = identity(2);
  Pair pair(one, two);
  pair.run();
  pair.responder.reject(Failure{FailureCode::duplicate_rank, Phase::running, {}, {}, "there is one already"});
  const Event told = give(pair.initiator, pair.responder.take_output());
  ASSERT_NE(broken(told), nullptr);
  EXPECT_EQ(code(told), FailureCode::duplicate_rank);
  EXPECT_EQ(broken(told)->failure.phase, Phase::running);
  EXPECT_EQ(broken(told)->failure.text, "there is one already");
  EXPECT_TRUE(broken(told)->rejected_by_peer && broken(told)->peer.has_value());
}

TEST(Session, strangers_get_no_answer) {
  const Identity two = identity(2);
  std::string half = Session::initiate(two, wire::Role::child, Rank{2}, nonce(1)).take_output().to_string();
  half.resize(half.size() / 2);
  std::string noise;
  Random random(9);
  for (int i = 0; i < 600; ++i) noise += static_cast<char>(random.below(256));
  std::string four_gigabytes(32, '\0');
  four_gigabytes[0] = four_gigabytes[1] = four_gigabytes[2] = four_gigabytes[3] = '\xff';
  four_gigabytes[4] = 1;
  std::string other_magic = Session::initiate(two, wire::Role::child, Rank{2}, nonce(1)).take_output().to_string();
  other_magic[wire::kFrameHeaderBytes] = 'X';
  const std::pair<std::string, bool> speeches[] = {
      {"GET / HTTP/1.1\r\nHost: rendezvous.example\r\n\r\n", true},
      {std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + std::string(60, 'r'), true},
      {noise, true},
      {four_gigabytes, true},
      {other_magic, true},
      {half, false},
  };
  for (const auto& [speech, ends] : speeches) {
    Session session = Session::respond(two, nonce(2));
    const Event event = give(session, Payload::copy(speech));
    EXPECT_EQ(broken(event) != nullptr, ends) << speech.substr(0, 8);
    EXPECT_TRUE(session.take_output().empty());
    EXPECT_FALSE(session.authenticated());
  }
}

TEST(Session, frames_out_of_order_end_the_link) {
  const Identity one = identity(1);
  const Identity two = identity(2);
  const Payload welcome = some_frame();
  Session early = Session::respond(two, nonce(2));
  EXPECT_EQ(code(give(early, welcome)), FailureCode::protocol);
  Session impatient = Session::initiate(one, wire::Role::child, Rank{2}, nonce(1));
  const Payload hello = impatient.take_output();
  EXPECT_EQ(code(give(impatient, welcome)), FailureCode::protocol);
  Session twice = Session::respond(two, nonce(2));
  give(twice, hello);
  EXPECT_EQ(code(give(twice, hello)), FailureCode::protocol);
  Pair pair(one, two);
  pair.run();
  EXPECT_EQ(code(give(pair.responder, hello)), FailureCode::protocol) << "no second handshake on a link";
}

TEST(Session, only_direct_links_have_frames_of_a_direct_chunk) {
  const Identity one = identity(1);
  const Identity two = identity(2);
  const wire::Data data{{}, {}, 0, 0, kDirectChunkBytes, {}};
  const Payload frame = wire::encode(data, Epoch{}, Payload::copy(std::string(kDirectChunkBytes, 'x')));
  for (const wire::Role role : {wire::Role::joiner, wire::Role::child, wire::Role::local, wire::Role::direct}) {
    Pair pair(one, two, role);
    pair.run();
    for (Session* side : {&pair.initiator, &pair.responder})
      EXPECT_EQ(std::holds_alternative<wire::Frame>(give(*side, frame)), role == wire::Role::direct);
  }
}

}  // namespace
}  // namespace banyan::session
