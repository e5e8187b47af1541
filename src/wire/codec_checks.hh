// For tests: what holds for every message, whatever its fields are.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.hh"
#include "wire/frame.hh"

namespace banyan::wire {

template <typename Message>
Payload body_of(const Message& message) {
  Writer writer;
  message.write(writer);
  return Payload(std::move(writer).finish());
}

// The message as it arrives at the other side. A message of fixed size must have exactly the size that it says.
template <typename Message>
Message round_trip(const Message& message) {
  const Payload body = body_of(message);
  if constexpr (requires { Message::kBytes; }) {
    EXPECT_EQ(body.size(), Message::kBytes);
  }
  const auto decoded = decode<Message>(body);
  EXPECT_TRUE(decoded.has_value());
  if (!decoded) return {};
  EXPECT_EQ(body_of(*decoded), body) << "what was read is written the same";
  return *decoded;
}

template <typename Message>
bool accepted(const Message& message) {
  return decode<Message>(body_of(message)).has_value();
}

// A body that is shorter or longer than its message is refused, at every length.
template <typename Message>
void expect_exact_length(const Message& message) {
  const Payload body = body_of(message);
  ASSERT_TRUE(decode<Message>(body).has_value());
  for (std::size_t size = 0; size < body.size(); ++size) {
    ASSERT_FALSE(decode<Message>(body.part(0, size)).has_value()) << "cut to " << size << " of " << body.size();
  }
  for (std::size_t more = 1; more < 20; ++more) {
    Payload longer = body;
    longer.append(Slice::copy(std::string(more, '\0')));
    ASSERT_FALSE(decode<Message>(longer).has_value()) << more << " bytes too many";
  }
  if constexpr (requires { Message::kBytes; }) {
    // With a tail, the rest belongs to the tail.
    Payload longer = body;
    longer.append(Slice::copy("tail"));
    const auto with_tail = decode_with_tail<Message>(longer);
    ASSERT_TRUE(with_tail.has_value());
    ASSERT_EQ(with_tail->tail.to_string(), "tail");
    ASSERT_EQ(body_of(with_tail->message), body);
    ASSERT_FALSE(decode_with_tail<Message>(body.part(0, body.size() - 1)).has_value());
  }
}

// Noise, and the message with a few bytes changed, read past nothing and, if they decode, are written as they came: one
// message has one encoding.
template <typename Message>
void expect_harmless(const Message& message, std::uint64_t seed) {
  Random random(seed);
  const std::string good = body_of(message).to_string();
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = good;
    if (i % 2 == 0) bytes.resize(random.below(200));
    for (std::uint64_t changes = random.between(1, i % 2 == 0 ? 200 : 4); changes > 0 && !bytes.empty(); --changes) {
      bytes[random.below(bytes.size())] = static_cast<char>(random.next());
    }
    // Storage of exactly this size, so that a sanitizer sees every byte too far.
    const Payload body = Payload(Slice::adopt(std::vector<char>(bytes.begin(), bytes.end())));
    const auto decoded = decode<Message>(body);
    if (decoded) {
      ASSERT_EQ(body_of(*decoded), body);
    }
  }
}

}  // namespace banyan::wire
