// A rank's record on its way to the root, many to a frame (docs/protocol.md, "Register").
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/endpoint.hh"
#include "wire/frame.hh"

namespace banyan::wire {

struct Record {
  Rank rank{};
  Incarnation incarnation{};
  Attachment attachment{};
  Position position{};        // of the rank's leader, or its own
  Rank leader{};              // who holds that position; the rank itself if it is the leader
  Endpoint endpoint;          // leaders only: where to connect to
  std::string host;           // leaders only: its name, for people
  std::uint64_t host_id = 0;  // leaders only: equal for leaders of one host
  Slice blob;

  bool is_leader() const { return leader == rank; }
  std::size_t wire_bytes() const;
};

struct Records {
  static constexpr Kind kKind = Kind::records;
  std::vector<Record> records;

  void write(Writer& writer) const;
  // The blobs are copies of exactly their size, so that they don't pin receive buffers.
  void read(Reader& reader);
};

}  // namespace banyan::wire
