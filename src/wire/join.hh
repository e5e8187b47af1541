// How a host's leader gets its place in the tree (docs/protocol.md, "Join").
#pragma once

#include <cstdint>
#include <string>

#include "base/endpoint.hh"
#include "base/failure.hh"
#include "wire/frame.hh"

namespace banyan::wire {

void write(Writer& writer, const Endpoint& endpoint);
Endpoint read_endpoint(Reader& reader);

// Leader -> rendezvous (position unset: "give me a place") or -> its parent (position set: "I am your child").
struct Join {
  static constexpr Kind kKind = Kind::join;
  Position position = kNoPosition;
  Attachment attachment{};
  Endpoint endpoint;  // where children can reach the joiner
  std::string host;
  Rank unreachable = kNoRank;  // the parent that a placement named and that could not be reached
  FailureCode reason{};        // why; only with `unreachable`

  void write(Writer& writer) const;
  void read(Reader& reader);
};

// Rendezvous -> joiner: "your parent is X". The connection closes after it.
struct Placement {
  static constexpr Kind kKind = Kind::placement;
  Position position{};
  std::uint32_t fan_out = 0;
  Rank parent{};
  Endpoint endpoint;
  std::string host;

  void write(Writer& writer) const;
  void read(Reader& reader);
};

// Parent -> joiner or child: "you are my child", at this position.
struct Welcome {
  static constexpr Kind kKind = Kind::welcome;
  Position position{};
  std::uint32_t fan_out = 0;
  std::string host;  // the parent's

  void write(Writer& writer) const;
  void read(Reader& reader);
};

}  // namespace banyan::wire
