// Messages between two ranks, routed over the tree (docs/protocol.md, "Point to point"). Each flow (source incarnation
// to target incarnation) numbers its messages; a message is announced by its first Data frame, accepted bytes are
// granted by the target, and an accepted message is acknowledged. Which path a frame takes does not matter.
#pragma once

#include <cstdint>
#include <string>

#include "base/endpoint.hh"
#include "wire/frame.hh"

namespace banyan::wire {

// A grant asks for at most this much, so that one short frame can't make a rank queue gigabytes.
inline constexpr std::uint64_t kMaxGrantBytes = 8 * 1024 * 1024;

// What messages are for: what is sent in one space is received in that alone.
enum class Space : std::uint8_t {
  application = 0,   // send and recv
  collective = 1,    // collective operations that exchange bytes between pairs; the number is the operation's
  link_data = 2,     // frames between neighbours in the tree of a communicator that is not the whole job,
  link_control = 3,  // and those of them that may overtake
  store = 4,         // the key-value store
  table = 5,         // blobs that a lazy table lacks
  stream = 6,        // segments of a collective operation's long stream; the number has the operation's and a channel
};

// A space of one communicator. The messages of each lane between two ranks are a flow of their own, so that those that
// nobody receives hold up none of another.
struct Lane {
  static constexpr std::size_t kBytes = 12;
  CommunicatorId communicator = kWorld;
  Space space = Space::application;

  friend auto operator<=>(const Lane&, const Lane&) = default;
  void write(Writer& writer) const;
  void read(Reader& reader);
};

// Which messages of a rank a receive takes: a number in a lane.
struct Tag {
  constexpr Tag(std::uint32_t tag = 0, Space space = Space::application,  // NOLINT(google-explicit-constructor)
                CommunicatorId communicator = kWorld)
      : lane{communicator, space}, number(tag) {}

  Lane lane;
  std::uint32_t number;

  friend auto operator<=>(const Tag&, const Tag&) = default;
};

// The number of requests in a space of those who serve them. One comes whole in its first frame, or not at all.
inline constexpr std::uint32_t kRequests = 0;
constexpr bool is_request(const Tag& tag) {
  return (tag.lane.space == Space::store || tag.lane.space == Space::table) && tag.number == kRequests;
}

// Who sent a frame and whom it is for, each in one life as a rank: what belongs to another life is ignored.
struct Ends {
  static constexpr std::size_t kBytes = 24 + Lane::kBytes;
  Rank source{};
  Rank target{};
  Incarnation source_incarnation{};
  Incarnation target_incarnation{};
  Lane lane{};  // of the message that the frame is about

  friend bool operator==(const Ends&, const Ends&) = default;
  Ends reversed() const { return {target, source, target_incarnation, source_incarnation, lane}; }
  void write(Writer& writer) const;
  void read(Reader& reader);
};

// Source -> target: bytes [offset, offset + tail) of message `sequence`. The first frame of a message has offset 0; it
// may carry no bytes (an announcement of what needs room first).
struct Data {
  static constexpr Kind kKind = Kind::data;
  static constexpr std::size_t kBytes = Ends::kBytes + 36;
  Ends ends;
  Sequence sequence{};
  std::uint32_t tag = 0;
  std::uint64_t offset = 0;
  std::uint64_t total = 0;
  Sequence acknowledged{};  // all messages of the reverse flow below this one have been accepted

  Tag full_tag() const { return {tag, ends.lane.space, ends.lane.communicator}; }
  // What can be said of the bytes without knowing the flow; every hop checks it, so that no hop is blamed for another.
  // `direct`: they have come over a direct link.
  bool carries(std::size_t tail_bytes, bool direct) const {
    return tail_bytes <= (direct ? kDirectChunkBytes : kChunkBytes) && tail_bytes <= total - offset;
  }
  void write(Writer& writer) const;
  void read(Reader& reader);
};

// Target -> source: send bytes [from, to) of message `sequence`, again where they were sent before. No bytes at all
// (from = to) only ask whether the source is still there.
struct Grant {
  static constexpr Kind kKind = Kind::grant;
  static constexpr std::size_t kBytes = Ends::kBytes + 24;
  Ends ends;  // of this frame: ends.source is the message's target
  Sequence sequence{};
  std::uint64_t from = 0;
  std::uint64_t to = 0;

  void write(Writer& writer) const;
  void read(Reader& reader);
};

// Target -> source: message `sequence` is here and will be received; so is everything below `cumulative`.
struct Accept {
  static constexpr Kind kKind = Kind::accept;
  static constexpr std::size_t kBytes = Ends::kBytes + 16;
  Ends ends;
  Sequence sequence{};
  Sequence cumulative{};

  void write(Writer& writer) const;
  void read(Reader& reader);
};

// Whoever can't pass a Data or Grant frame on, or the rank that it was for and that has closed -> its sender:
// `sequence` won't arrive.
struct Undeliverable {
  static constexpr Kind kKind = Kind::undeliverable;
  static constexpr std::size_t kReasonBytes = 256;
  Ends ends;  // those of the frame that it answers, reversed, whoever sends this
  Sequence sequence{};
  bool awaited = false;  // it answers a Grant: the message is one to ends.target, and not from it
  std::string reason;

  void write(Writer& writer) const;
  void read(Reader& reader);
};

// How two ranks come to a direct link: one of them, which both know, listens; the other asks it where, and connects.
struct Direct {
  static constexpr Kind kKind = Kind::direct;
  static constexpr std::size_t kReasonBytes = 256;
  enum class Word : std::uint8_t {
    ask = 1,      // to the side that listens: where?
    offer = 2,    // from it: connect to me, at `endpoint` or, without one, at my Unix name
    decline = 3,  // from either: it will not be, for `reason`
  };
  Ends ends;
  Word word{};
  // So many direct links of the two its source has seen open: words that crossed the opening of one are told from those
  // that mean another.
  std::uint32_t links = 0;
  Endpoint endpoint;
  std::string reason;

  void write(Writer& writer) const;
  void read(Reader& reader);
};

}  // namespace banyan::wire
