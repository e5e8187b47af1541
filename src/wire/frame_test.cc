#include "wire/frame.hh"

#include <gtest/gtest.h>

#include "base/random.hh"

namespace banyan::wire {
namespace {

// A frame of any kind and length.
struct Blank {
  static constexpr Kind kKind = Kind::status;
  void write(Writer&) const {}
};
Payload frame_of(const std::string& body, Epoch epoch = {}) { return encode(Blank{}, epoch, Payload::copy(body)); }

std::string patched(const Payload& frame, std::size_t offset, char value) {
  std::string bytes = frame.to_string();
  bytes[offset] = value;
  return bytes;
}

FrameError error_of(const std::string& bytes, std::size_t limit = kMaxFrameBytes) {
  FrameDecoder decoder(limit);
  decoder.push(Slice::copy(bytes));
  const auto result = decoder.next();
  EXPECT_TRUE(std::holds_alternative<FrameError>(result));
  return std::holds_alternative<FrameError>(result) ? std::get<FrameError>(result) : FrameError{};
}

TEST(Frame, the_header_is_laid_out_as_documented) {
  const std::string bytes = frame_of("body", Epoch{0x01020304, 0x05060708}).to_string();
  ASSERT_EQ(bytes.size(), kFrameHeaderBytes + 4);
  EXPECT_EQ(bytes.substr(0, 8), std::string("\x04\0\0\0\x0e\0\0\0", 8));
  EXPECT_EQ(bytes.substr(8, 8), "\x04\x03\x02\x01\x08\x07\x06\x05");
  EXPECT_EQ(bytes.substr(16, 16), std::string(16, '\0'));
  EXPECT_EQ(bytes.substr(32), "body");
}

TEST(Frame, a_tail_is_shared_not_copied) {
  const Payload tail = Payload::copy("a long tail");
  const Payload frame = encode(Blank{}, Epoch{}, tail);
  ASSERT_EQ(frame.slice_count(), 2u);
  EXPECT_EQ(frame.slice(1).data(), tail.slice(0).data());
}

TEST(FrameDecoder, however_the_bytes_are_cut_or_joined_the_same_frames_come_out) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Random random(seed);
    std::vector<std::string> bodies;
    std::string stream;
    for (std::uint64_t i = random.between(1, 12); i > 0; --i) {
      bodies.emplace_back(random.below(4) == 0 ? random.below(3000) : random.below(40), static_cast<char>('a' + i));
      stream += frame_of(bodies.back(), Epoch{1, static_cast<std::uint32_t>(bodies.size())}).to_string();
    }
    const std::uint64_t longest = std::uint64_t{1} << random.below(13);
    const bool one_buffer = random.below(2) == 0;
    const Slice buffer = Slice::copy(stream);
    FrameDecoder decoder(kMaxFrameBytes);
    std::vector<Frame> frames;
    for (std::size_t at = 0; at < stream.size();) {
      const std::size_t count = std::min<std::size_t>(stream.size() - at, random.below(longest + 1));
      decoder.push(one_buffer ? buffer.part(at, count) : Slice::copy(stream.substr(at, count)));
      at += count;
      if (random.below(3) == 0 && at < stream.size()) continue;  // several pieces between two looks
      for (auto next = decoder.next(); !std::holds_alternative<std::monostate>(next); next = decoder.next()) {
        ASSERT_TRUE(std::holds_alternative<Frame>(next)) << "seed " << seed;
        frames.push_back(std::get<Frame>(next));
      }
    }
    EXPECT_EQ(decoder.buffered(), 0u);
    ASSERT_EQ(frames.size(), bodies.size()) << "seed " << seed;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      EXPECT_EQ(frames[i].kind, Kind::status);
      EXPECT_EQ(frames[i].epoch, (Epoch{1, static_cast<std::uint32_t>(i + 1)}));
      EXPECT_EQ(frames[i].body.to_string(), bodies[i]) << "seed " << seed;
    }
  }
}

// Of a kind that may enclose.
struct BlankCollective {
  static constexpr Kind kKind = Kind::collective;
  void write(Writer&) const {}
};

TEST(FrameDecoder, what_frames_enclose_is_joined_to_their_bodies_in_order) {
  const Payload enclosing = encode(BlankCollective{}, Epoch{}, {}, kEnclosesFlag);
  const Payload first = Payload::copy("the first");
  FrameDecoder decoder(kMaxFrameBytes);
  decoder.enclose(first);
  decoder.enclose(Payload::copy("the second"));
  decoder.push(frame_of("plain").flatten());
  decoder.push(enclosing.flatten());
  decoder.push(enclosing.flatten());
  decoder.push(enclosing.flatten());
  EXPECT_EQ(std::get<Frame>(decoder.next()).body.to_string(), "plain");
  const auto frame = std::get<Frame>(decoder.next());
  EXPECT_TRUE(frame.encloses);
  EXPECT_EQ(frame.body.slice(0).data(), first.slice(0).data());
  EXPECT_EQ(frame.body.size(), first.size());
  EXPECT_EQ(std::get<Frame>(decoder.next()).body.to_string(), "the second");
  EXPECT_EQ(decoder.enclosures(), 0u);
  EXPECT_EQ(std::get<FrameError>(decoder.next()), FrameError::nothing_enclosed);
}

TEST(FrameDecoder, nothing_comes_out_before_the_last_byte) {
  const std::string bytes = frame_of("body").to_string();
  FrameDecoder decoder(kMaxFrameBytes);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_TRUE(std::holds_alternative<std::monostate>(decoder.next())) << i;
    decoder.push(Slice::copy(bytes.substr(i, 1)));
  }
  EXPECT_TRUE(std::holds_alternative<Frame>(decoder.next()));
}

TEST(FrameDecoder, bytes_that_trickle_in_are_put_together) {
  const std::string bytes = frame_of(std::string(5000, 'x')).to_string();
  FrameDecoder decoder(kMaxFrameBytes);
  for (const char byte : bytes) {
    EXPECT_TRUE(std::holds_alternative<std::monostate>(decoder.next()));
    EXPECT_LE(decoder.buffered_slices(), 8u);
    decoder.push(Slice::copy(std::string(1, byte)));
  }
  const auto trickled = std::get<Frame>(decoder.next());
  EXPECT_LE(trickled.body.slice_count(), 8u);
  EXPECT_EQ(trickled.body.to_string(), std::string(5000, 'x'));
  // And if nobody looks meanwhile.
  for (const char byte : bytes) decoder.push(Slice::copy(std::string(1, byte)));
  EXPECT_EQ(std::get<Frame>(decoder.next()).body.slice_count(), 1u);
  // What comes in few pieces is not copied.
  const Payload large = frame_of(std::string(5000, 'x'));
  for (std::size_t i = 0; i < large.slice_count(); ++i) decoder.push(large.slice(i));
  EXPECT_EQ(std::get<Frame>(decoder.next()).body.slice(0).data(), large.slice(large.slice_count() - 1).data());
}

TEST(FrameDecoder, a_frame_as_long_as_the_limit_passes_and_one_byte_more_is_refused_from_its_header_alone) {
  const std::string most(kMaxUnauthenticatedFrameBytes - kFrameHeaderBytes, 'x');
  FrameDecoder decoder(kMaxUnauthenticatedFrameBytes);
  decoder.push(frame_of(most).flatten());
  EXPECT_TRUE(std::holds_alternative<Frame>(decoder.next()));
  const std::string header = frame_of(most + "x").to_string().substr(0, kFrameHeaderBytes);
  EXPECT_EQ(error_of(header, kMaxUnauthenticatedFrameBytes), FrameError::too_long);
  decoder.set_limit(kMaxFrameBytes);
  decoder.push(frame_of(most + "x").flatten());
  EXPECT_TRUE(std::holds_alternative<Frame>(decoder.next()));
}

TEST(FrameDecoder, streams_have_longer_frames_where_they_may_come_from) {
  const auto header = [](Kind kind, std::size_t frame_bytes) {
    std::string bytes = patched(frame_of(""), 4, static_cast<char>(kind));
    const auto body = static_cast<std::uint32_t>(frame_bytes - kFrameHeaderBytes);
    std::memcpy(bytes.data(), &body, sizeof(body));
    return bytes;
  };
  const auto too_long = [&](Kind kind, std::size_t frame_bytes, std::size_t limit, bool streams) {
    FrameDecoder decoder(kMaxUnauthenticatedFrameBytes);
    decoder.set_limit(limit);
    if (streams) decoder.allow_streams();
    decoder.push(Slice::copy(header(kind, frame_bytes)));
    return std::holds_alternative<FrameError>(decoder.next());
  };
  for (const Kind kind : {Kind::collective, Kind::table_chunk}) {
    EXPECT_TRUE(too_long(kind, kMaxUnauthenticatedFrameBytes + 1, kMaxUnauthenticatedFrameBytes, false));
    EXPECT_FALSE(too_long(kind, kMaxFrameBytes, kMaxFrameBytes, false));
    EXPECT_TRUE(too_long(kind, kMaxFrameBytes + 1, kMaxFrameBytes, false));
    EXPECT_FALSE(too_long(kind, kMaxStreamFrameBytes, kMaxFrameBytes, true));
    EXPECT_TRUE(too_long(kind, kMaxStreamFrameBytes + 1, kMaxFrameBytes, true));
  }
  for (const Kind kind : {Kind::records, Kind::status, Kind::data})
    EXPECT_TRUE(too_long(kind, kMaxFrameBytes + 1, kMaxFrameBytes, true));
}

TEST(FrameDecoder, the_longest_frames_come_whole_in_whatever_pieces_and_few_slices) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    std::string body(random.between(kMaxFrameBytes, kGreatestChunkBytes), '\0');
    for (char& c : body) c = static_cast<char>(random.next());
    const Slice stream = encode(BlankCollective{}, Epoch{}, Payload::copy(body)).flatten();
    FrameDecoder decoder(kMaxFrameBytes);
    decoder.allow_streams();
    const std::uint64_t longest = std::uint64_t{64} << random.below(13);
    for (std::size_t at = 0; at < stream.size();) {
      ASSERT_TRUE(std::holds_alternative<std::monostate>(decoder.next()));
      ASSERT_LE(decoder.buffered_slices(), 8u);
      const std::size_t count = std::min<std::size_t>(stream.size() - at, random.between(1, longest));
      decoder.push(Slice::copy(stream.part(at, count).bytes()));
      at += count;
    }
    const auto frame = std::get<Frame>(decoder.next());
    EXPECT_LE(frame.body.slice_count(), 8u);
    EXPECT_TRUE(frame.body == Payload::copy(body)) << seed;
  }
}

TEST(FrameDecoder, a_frame_that_claims_four_gigabytes_is_refused_at_once) {
  std::string header = frame_of("").to_string();
  header.replace(0, 4, "\xff\xff\xff\xff");
  EXPECT_EQ(error_of(header), FrameError::too_long);
}

TEST(FrameDecoder, a_limit_below_the_header_lets_nothing_pass) {
  EXPECT_EQ(error_of(frame_of("").to_string(), 1), FrameError::too_long);
}

TEST(FrameDecoder, reserved_bits_and_unknown_kinds_are_refused) {
  for (std::size_t offset = 5; offset < 8; ++offset) {
    EXPECT_EQ(error_of(patched(frame_of(""), offset, 2)), FrameError::reserved_bits_set) << offset;
    EXPECT_EQ(error_of(patched(frame_of(""), offset, 1)), FrameError::reserved_bits_set) << offset;
  }
  for (std::size_t offset = 16; offset < 32; ++offset) {
    EXPECT_EQ(error_of(patched(frame_of(""), offset, '\x80')), FrameError::reserved_bits_set) << offset;
  }
  std::size_t known = 0;
  for (int kind = 0; kind < 256; ++kind) {
    FrameDecoder decoder(kMaxFrameBytes);
    decoder.push(Slice::copy(patched(frame_of(""), 4, static_cast<char>(kind))));
    const auto result = decoder.next();
    if (std::holds_alternative<Frame>(result)) {
      ++known;
      EXPECT_EQ(static_cast<int>(std::get<Frame>(result).kind), kind);
    } else {
      EXPECT_EQ(std::get<FrameError>(result), FrameError::unknown_kind);
    }
  }
  EXPECT_EQ(known, 20u);
}

TEST(FrameDecoder, random_bytes_are_no_frames_and_do_no_harm) {
  Random random(9);
  for (int i = 0; i < 20'000; ++i) {
    std::vector<char> bytes(random.below(100));
    for (char& c : bytes) c = static_cast<char>(random.below(3) == 0 ? random.next() : 0);
    FrameDecoder decoder(kMaxFrameBytes);
    decoder.push(Slice::adopt(std::move(bytes)));
    for (int j = 0; j < 5 && std::holds_alternative<Frame>(decoder.next()); ++j) {
    }
  }
}

}  // namespace
}  // namespace banyan::wire
