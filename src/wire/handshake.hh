// The four messages with which two processes prove to each other that they belong to the same job
// (docs/protocol.md, "Handshake"): hello ->, <- challenge, proof ->, or reject either way.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/failure.hh"
#include "wire/frame.hh"

namespace banyan::wire {

inline constexpr std::uint32_t kMagic = 0x4e594e42;  // "BNYN"
inline constexpr std::uint16_t kProtocolVersion = 1;

// What the side that connects wants to be to the other.
enum class Role : std::uint8_t { joiner = 1, child = 2, local = 3, direct = 4 };

// How frames are protected after the handshake. none: no secret, job id check only.
enum class Profile : std::uint8_t { none = 0, authenticated = 1 };

using Nonce = std::array<std::byte, 32>;
using Mac = std::array<std::byte, 32>;

struct Hello {
  static constexpr Kind kKind = Kind::hello;
  std::uint16_t version = kProtocolVersion;
  Role role{};
  Profile profile{};
  std::uint32_t features = 0;
  JobId job;
  std::uint32_t world_size = 0;
  Rank from{};
  Rank to{};  // kLeaderRank: whoever speaks for the host
  Incarnation incarnation{};
  Nonce nonce{};

  void write(Writer& writer) const;
  void read(Reader& reader);
};

struct Challenge {
  static constexpr Kind kKind = Kind::challenge;
  std::uint16_t version = kProtocolVersion;
  Profile profile{};
  std::uint32_t features = 0;
  JobId job;
  std::uint32_t world_size = 0;
  Rank from{};
  Incarnation incarnation{};
  Nonce nonce{};
  Mac mac{};  // zero with Profile::none

  void write(Writer& writer) const;
  // Everything but the mac: what the mac is computed over, after the hello.
  void write_unsigned(Writer& writer) const;
  void read(Reader& reader);
};

struct Proof {
  static constexpr Kind kKind = Kind::proof;
  Mac mac{};

  void write(Writer& writer) const { writer.raw_bytes(mac); }
  void read(Reader& reader) { mac = reader.array<32>(); }
};

// "No": the connection closes after it. `text` is for people.
struct Reject {
  static constexpr Kind kKind = Kind::reject;
  static constexpr std::size_t kTextBytes = 256;
  FailureCode code{};
  Phase phase = Phase::join;  // running: the job has formed
  Rank from = kNoRank;
  std::string text;

  void write(Writer& writer) const;
  void read(Reader& reader);
};

// What a driver must know of an accepted connection's first bytes to find the engine they are for.
struct HelloAddress {
  JobId job;
  Rank from{};
  Rank to{};
};
enum class PeekError : std::uint8_t { incomplete, not_banyan };
std::variant<HelloAddress, PeekError> peek_hello(Bytes first_bytes);

}  // namespace banyan::wire
