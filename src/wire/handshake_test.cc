#include "wire/handshake.hh"

#include <gtest/gtest.h>

#include "wire/codec_checks.hh"

namespace banyan::wire {
namespace {

template <typename Array>
Array counting(unsigned from) {
  Array array{};
  for (std::byte& byte : array) byte = std::byte(from++);
  return array;
}

Hello some_hello() {
  Hello hello;
  hello.role = Role::child;
  hello.profile = Profile::authenticated;
  hello.features = 0x01020304;
  hello.job.bytes = counting<std::array<std::byte, 16>>(1);
  hello.world_size = 1000;
  hello.from = Rank{7};
  hello.to = kLeaderRank;
  hello.incarnation = Incarnation{0x1122'3344'5566'7788};
  hello.nonce = counting<Nonce>(50);
  return hello;
}

Challenge some_challenge() {
  Challenge challenge;
  challenge.profile = Profile::authenticated;
  challenge.features = 5;
  challenge.job.bytes = counting<std::array<std::byte, 16>>(2);
  challenge.world_size = 1001;
  challenge.from = Rank{8};
  challenge.incarnation = Incarnation{99};
  challenge.nonce = counting<Nonce>(51);
  challenge.mac = counting<Mac>(100);
  return challenge;
}

TEST(Hello, it_arrives_as_it_was_sent) {
  const Hello hello = some_hello();
  const Hello copy = round_trip(hello);
  EXPECT_EQ(copy.version, kProtocolVersion);
  EXPECT_EQ(copy.role, hello.role);
  EXPECT_EQ(copy.profile, hello.profile);
  EXPECT_EQ(copy.features, hello.features);
  EXPECT_EQ(copy.job, hello.job);
  EXPECT_EQ(copy.world_size, hello.world_size);
  EXPECT_EQ(copy.from, hello.from);
  EXPECT_EQ(copy.to, hello.to);
  EXPECT_EQ(copy.incarnation, hello.incarnation);
  EXPECT_EQ(copy.nonce, hello.nonce);
  expect_exact_length(hello);
  expect_harmless(hello, 1);
}

TEST(Challenge, it_arrives_as_it_was_sent) {
  const Challenge challenge = some_challenge();
  const Challenge copy = round_trip(challenge);
  EXPECT_EQ(copy.version, kProtocolVersion);
  EXPECT_EQ(copy.profile, challenge.profile);
  EXPECT_EQ(copy.features, challenge.features);
  EXPECT_EQ(copy.job, challenge.job);
  EXPECT_EQ(copy.world_size, challenge.world_size);
  EXPECT_EQ(copy.from, challenge.from);
  EXPECT_EQ(copy.incarnation, challenge.incarnation);
  EXPECT_EQ(copy.nonce, challenge.nonce);
  EXPECT_EQ(copy.mac, challenge.mac);
  expect_exact_length(challenge);
  expect_harmless(challenge, 2);
}

TEST(Challenge, the_code_covers_all_of_it_but_the_code) {
  Challenge challenge = some_challenge();
  Writer before;
  challenge.write_unsigned(before);
  Writer whole;
  challenge.write(whole);
  EXPECT_EQ(whole.size(), before.size() + challenge.mac.size());
  challenge.mac = {};
  Writer after;
  challenge.write_unsigned(after);
  EXPECT_TRUE(std::ranges::equal(before.bytes(), after.bytes()));
}

TEST(Proof, it_arrives_as_it_was_sent) {
  const Proof proof{counting<Mac>(3)};
  EXPECT_EQ(round_trip(proof).mac, proof.mac);
  expect_exact_length(proof);
}

TEST(Reject, it_arrives_as_it_was_sent_and_long_texts_are_cut) {
  Reject reject;
  reject.code = FailureCode::wrong_secret;
  reject.phase = Phase::running;
  reject.from = Rank{12};
  reject.text = std::string(Reject::kTextBytes + 50, 'x');
  const Reject copy = round_trip(reject);
  EXPECT_EQ(copy.code, reject.code);
  EXPECT_EQ(copy.phase, reject.phase);
  EXPECT_EQ(copy.from, reject.from);
  EXPECT_EQ(copy.text, std::string(Reject::kTextBytes, 'x'));
  reject.text = "why";
  expect_exact_length(reject);
  expect_harmless(reject, 3);
}

TEST(Handshake, every_message_of_it_fits_the_limit_of_peers_that_are_not_authenticated) {
  Reject reject;
  reject.text = std::string(1000, 'x');
  for (const Payload& frame :
       {encode(some_hello(), {}), encode(some_challenge(), {}), encode(Proof{}, {}), encode(reject, {})}) {
    EXPECT_LE(frame.size(), kMaxUnauthenticatedFrameBytes);
  }
}

TEST(Handshake, unknown_roles_and_profiles_and_another_magic_are_refused) {
  Hello hello = some_hello();
  for (const int role : {0, 5, 255}) {
    hello.role = static_cast<Role>(role);
    EXPECT_FALSE(accepted(hello));
  }
  hello = some_hello();
  hello.profile = static_cast<Profile>(2);
  EXPECT_FALSE(accepted(hello));
  for (const int code : {0, 18, 255}) {
    Reject reject;
    reject.code = static_cast<FailureCode>(code);
    EXPECT_FALSE(accepted(reject)) << code;
  }
  Challenge challenge = some_challenge();
  challenge.profile = static_cast<Profile>(2);
  EXPECT_FALSE(accepted(challenge));
  for (const Payload& body : {body_of(some_hello()), body_of(some_challenge())}) {
    std::string bytes = body.to_string();
    bytes[0] ^= 1;
    EXPECT_FALSE(decode<Hello>(Payload::copy(bytes)).has_value());
    EXPECT_FALSE(decode<Challenge>(Payload::copy(bytes)).has_value());
  }
}

TEST(PeekHello, it_finds_whom_a_hello_is_for_once_it_is_whole) {
  const Hello hello = some_hello();
  const std::string bytes = encode(hello, Epoch{}).to_string() + "what follows";
  const std::size_t whole = bytes.size() - 12;
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const auto peeked = peek_hello(as_byte_span(std::string_view(bytes).substr(0, size)));
    if (size < whole) {
      ASSERT_TRUE(std::holds_alternative<PeekError>(peeked)) << size;
      EXPECT_EQ(std::get<PeekError>(peeked), PeekError::incomplete) << size;
    } else {
      ASSERT_TRUE(std::holds_alternative<HelloAddress>(peeked)) << size;
      EXPECT_EQ(std::get<HelloAddress>(peeked).job, hello.job);
      EXPECT_EQ(std::get<HelloAddress>(peeked).from, hello.from);
      EXPECT_EQ(std::get<HelloAddress>(peeked).to, hello.to);
    }
  }
}

TEST(PeekHello, strangers_are_known_by_their_first_bytes) {
  const std::string hello = encode(some_hello(), Epoch{}).to_string();
  const auto refused = [](std::string_view bytes) {
    const auto peeked = peek_hello(as_byte_span(bytes));
    return std::holds_alternative<PeekError>(peeked) && std::get<PeekError>(peeked) == PeekError::not_banyan;
  };
  EXPECT_TRUE(refused("GET / HTTP/1.1\r\n"));
  EXPECT_TRUE(refused("\x16\x03\x01\x02\x05\x01"));
  EXPECT_TRUE(refused("SSH-2.0-OpenSSH"));
  EXPECT_TRUE(refused(std::string(4, '\xff')));
  EXPECT_TRUE(refused(encode(Proof{}, Epoch{}).to_string())) << "another kind of frame";
  for (const std::size_t offset : {std::size_t{4}, kFrameHeaderBytes}) {
    std::string bytes = hello;
    bytes[offset] ^= 1;
    EXPECT_TRUE(refused(bytes)) << offset;
  }
}

TEST(PeekHello, random_bytes_do_no_harm) {
  Random random(4);
  const std::string hello = encode(some_hello(), Epoch{}).to_string();
  for (int i = 0; i < 50'000; ++i) {
    std::vector<char> bytes(hello.begin(), hello.begin() + static_cast<std::ptrdiff_t>(random.below(hello.size() + 1)));
    for (std::uint64_t j = random.below(4); j > 0 && !bytes.empty(); --j)
      bytes[random.below(bytes.size())] = static_cast<char>(random.next());
    bytes.shrink_to_fit();
    peek_hello(std::as_bytes(std::span(bytes)));
  }
}

}  // namespace
}  // namespace banyan::wire
