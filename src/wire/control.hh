// The short messages that tell ranks how the job stands: who is missing, what broke, who leaves
// (docs/protocol.md, "Status, reports and verdicts").
#pragma once

#include <cstdint>
#include <string>

#include "base/failure.hh"
#include "wire/frame.hh"

namespace banyan::wire {

// At most kMaxRangesOnWire ranges cross; the full count travels beside it.
void write(Writer& writer, const RankSet& ranks);
RankSet read_ranks(Reader& reader);
void write(Writer& writer, const Failure& failure);
Failure read_failure(Reader& reader);

// Down, about once a second until the table comes: who has not registered.
struct Status {
  static constexpr Kind kKind = Kind::status;
  std::uint64_t missing_count = 0;
  RankSet missing;
  std::string obstacle;  // why the sender itself can't know more, e.g. "the rendezvous refuses connections"

  void write(Writer& writer) const;
  void read(Reader& reader);
};

// Up: something that ends the job, e.g. a child's connection broke.
struct Report {
  static constexpr Kind kKind = Kind::report;
  Rank rank = kNoRank;  // whom it is about; the attachment makes stale news harmless
  Incarnation incarnation{};
  Attachment attachment{};
  Failure failure;

  void write(Writer& writer) const;
  void read(Reader& reader);
};

// Down: the job is over, for this first cause.
struct Verdict {
  static constexpr Kind kKind = Kind::verdict;
  Failure failure;

  void write(Writer& writer) const { wire::write(writer, failure); }
  void read(Reader& reader) { failure = read_failure(reader); }
};

// "I am done and close this link", either way. `gave_up`: before the job was formed, for lack of `missing`. Otherwise
// `missing` is empty, or names the rank above the sender that has left: the way to the root is gone.
struct Leave {
  static constexpr Kind kKind = Kind::leave;
  bool gave_up = false;
  RankSet missing;

  void write(Writer& writer) const;
  void read(Reader& reader);
};

}  // namespace banyan::wire
