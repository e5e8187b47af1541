#include "sim/frame_text.hh"

#include <optional>

#include "node/collective_roll_call.hh"
#include "tree/position.hh"
#include "wire/blob.hh"
#include "wire/collective.hh"
#include "wire/control.hh"
#include "wire/handshake.hh"
#include "wire/join.hh"
#include "wire/point_to_point.hh"
#include "wire/record.hh"
#include "wire/store.hh"
#include "wire/table.hh"

namespace banyan::sim {
namespace {

constexpr const char* kUndecodable = "(does not decode)";

std::string text(std::uint64_t number) { return std::to_string(number); }
std::string text(Rank rank) {
  if (rank == kNoRank) return "none";
  return rank == kLeaderRank ? "the leader" : "rank " + text(raw(rank));
}
std::string text(Position position) {
  if (position == kNoPosition) return "none";
  if (position == tree::kBesidePosition) return "beside the root";
  return position == tree::kReservedPosition ? "reserved" : text(raw(position));
}
// A rank's own count and, in the lower half, its leader's.
std::string text(Attachment attachment) { return text(raw(attachment) >> 16) + "/" + text(raw(attachment) & 0xffff); }
std::string text(Sequence sequence) { return "#" + text(raw(sequence)); }
std::string quoted(const std::string& sentence) { return "\"" + sentence + "\""; }
std::string range(std::uint64_t from, std::uint64_t bytes, std::uint64_t total) {
  return text(from) + ".." + text(from + bytes) + " of " + text(total);
}

const char* name_of(wire::Role role) {
  switch (role) {
    case wire::Role::joiner: return "joiner";
    case wire::Role::child: return "child";
    case wire::Role::local: return "local";
    case wire::Role::direct: return "direct";
  }
  return "unknown";
}
const char* name_of(wire::Part part) {
  switch (part) {
    case wire::Part::vote: return "vote";
    case wire::Part::go: return "go";
    case wire::Part::data: return "data";
    case wire::Part::failed: return "failed";
    case wire::Part::retired: return "retired";
    case wire::Part::question: return "question";
    case wire::Part::missing: return "missing";
  }
  return "unknown";
}

// --- one message each: what follows the name of its kind -----------------------------------------------------------

std::string fields(const wire::Hello& hello) {
  return std::string("role=") + name_of(hello.role) + " to=" + text(hello.to) + " world=" + text(hello.world_size) +
         (hello.profile == wire::Profile::none ? " without secret" : "");
}
std::string fields(const wire::Challenge& challenge) {
  return "from=" + text(challenge.from) + " world=" + text(challenge.world_size);
}
std::string fields(const wire::Proof&) { return {}; }
std::string fields(const wire::Reject& reject) {
  return std::string(to_string(reject.code)) + " phase=" + to_string(reject.phase) + " " + quoted(reject.text);
}
std::string fields(const wire::Join& join) {
  std::string all = "position=" + text(join.position) + " attachment=" + text(raw(join.attachment)) +
                    " host=" + join.host + " at=" + join.endpoint.to_string();
  if (join.unreachable != kNoRank) {
    all += " could not reach " + text(join.unreachable) + " (" + to_string(join.reason) + ")";
  }
  return all;
}
std::string fields(const wire::Placement& placement) {
  return "position=" + text(placement.position) + " parent=" + text(placement.parent) + " host=" + placement.host +
         " at=" + placement.endpoint.to_string() + " fan_out=" + text(placement.fan_out);
}
std::string fields(const wire::Welcome& welcome) {
  return "position=" + text(welcome.position) + " fan_out=" + text(welcome.fan_out);
}
std::string fields(const wire::Records& records) {
  std::string all;
  for (const wire::Record& record : records.records) {
    if (!all.empty()) all += ", ";
    all += text(record.rank) + " attachment=" + text(record.attachment) + " position=" + text(record.position);
    if (!record.is_leader()) all += " leader=" + text(record.leader);
  }
  return all;
}
std::string fields(const wire::Status& status) {
  std::string all = "missing=" + (status.missing_count == 0 ? "none" : status.missing.to_string());
  if (!status.obstacle.empty()) all += " " + quoted(status.obstacle);
  return all;
}
std::string fields(const wire::Acknowledge& acknowledge) { return "ranks=" + text(acknowledge.ranks); }
std::string fields(const wire::Report& report) {
  return "about=" + text(report.rank) + " attachment=" + text(report.attachment) + " " + text_of(report.failure);
}
std::string fields(const wire::Verdict& verdict) { return text_of(verdict.failure); }
std::string fields(const wire::Leave& leave) {
  if (!leave.gave_up && leave.missing.empty()) return {};
  return std::string(leave.gave_up ? "gave up, missing=" : "cut off by ") + leave.missing.to_string();
}
std::string fields(const wire::Undeliverable& undeliverable) {
  return text(undeliverable.ends.source) + " -> " + text(undeliverable.ends.target) + " " +
         text(undeliverable.sequence) + (undeliverable.awaited ? " awaited " : " ") + quoted(undeliverable.reason);
}
std::string fields(const wire::Direct& direct) {
  using enum wire::Direct::Word;
  const std::string ends =
      text(direct.ends.source) + " -> " + text(direct.ends.target) + " links=" + text(direct.links) + " ";
  switch (direct.word) {
    case ask: return ends + "ask";
    case offer: return ends + "offer at=" + (direct.endpoint.known() ? direct.endpoint.to_string() : "its Unix name");
    case decline: return ends + "decline " + quoted(direct.reason);
  }
  return {};
}
std::string fields(const wire::Grant& grant) {
  return text(grant.ends.source) + " -> " + text(grant.ends.target) + " " + text(grant.sequence) + " " +
         text(grant.from) + ".." + text(grant.to);
}
std::string fields(const wire::Accept& accept) {
  return text(accept.ends.source) + " -> " + text(accept.ends.target) + " " + text(accept.sequence) +
         " and all below " + text(accept.cumulative);
}

// --- and with a tail -----------------------------------------------------------------------------------------------

std::string failure_in(const Payload& tail) {
  const Slice bytes = tail.flatten();
  Reader reader(bytes.bytes());
  const Failure failure = wire::read_failure(reader);
  return reader.finished() ? text_of(failure) : kUndecodable;
}
std::string missing_in(const Payload& tail) {
  const auto missing = node::MissingRanks::read(tail, kMaxWorldSize);
  return missing ? missing->to_string() : kUndecodable;
}

std::string fields(const wire::TableChunk& chunk, const Payload& tail) {
  return range(chunk.offset, tail.size(), chunk.total);
}
std::string tag_text(const wire::Tag& tag) {
  using enum wire::Space;
  const std::string number = text(tag.number);
  switch (tag.lane.space) {
    case application: return "tag=" + number;
    case collective: return "collective=" + number;
    case link_data: return "frame";
    case link_control: return "control frame";
    case stream: return "segment=" + number;
    case store: return tag.number == wire::kRequests ? "store request" : "store answer=" + number;
    case table: return tag == wire::kBlobRequests ? "blob request" : "blob answer";
  }
  return "tag=" + number;
}
std::string fields(const wire::Data& data, const Payload& tail) {
  return text(data.ends.source) + " -> " + text(data.ends.target) + " " + text(data.sequence) + " " +
         tag_text(data.full_tag()) + " " + range(data.offset, tail.size(), data.total) +
         " acknowledged=" + text(data.acknowledged);
}
std::string fields(const wire::Collective& collective, const Payload& tail) {
  std::string head =
      std::string(name_of(collective.part)) + " " + text(collective.sequence) + " " + collective.call.to_string();
  switch (collective.part) {
    case wire::Part::vote: return head + (collective.deferred ? " bytes wait for go" : "");
    case wire::Part::data:
      // Entries stand in no stream of a known length.
      if (collective.total == 0) return head + " bytes=" + text(tail.size());
      return head + " " + range(collective.offset, tail.size(), collective.total);
    case wire::Part::failed: return head + " " + failure_in(tail);
    case wire::Part::missing: return head + " ranks=" + missing_in(tail);
    case wire::Part::go:
    case wire::Part::retired:
    case wire::Part::question: break;
  }
  return head;
}

template <typename Message>
std::string decoded(const SentFrame& frame) {
  const auto message = wire::decode<Message>(frame.body);
  return message ? fields(*message) : kUndecodable;
}
template <typename Message>
std::string decoded_with_tail(const SentFrame& frame) {
  const auto message = wire::decode_with_tail<Message>(frame.body);
  return message ? fields(message->message, message->tail) : kUndecodable;
}

std::string fields_of(const SentFrame& frame) {
  switch (frame.kind) {
    case wire::Kind::hello: return decoded<wire::Hello>(frame);
    case wire::Kind::challenge: return decoded<wire::Challenge>(frame);
    case wire::Kind::proof: return decoded<wire::Proof>(frame);
    case wire::Kind::reject: return decoded<wire::Reject>(frame);
    case wire::Kind::join: return decoded<wire::Join>(frame);
    case wire::Kind::placement: return decoded<wire::Placement>(frame);
    case wire::Kind::welcome: return decoded<wire::Welcome>(frame);
    case wire::Kind::records: return decoded<wire::Records>(frame);
    case wire::Kind::status: return decoded<wire::Status>(frame);
    case wire::Kind::table_chunk: return decoded_with_tail<wire::TableChunk>(frame);
    case wire::Kind::acknowledge: return decoded<wire::Acknowledge>(frame);
    case wire::Kind::report: return decoded<wire::Report>(frame);
    case wire::Kind::verdict: return decoded<wire::Verdict>(frame);
    case wire::Kind::leave: return decoded<wire::Leave>(frame);
    case wire::Kind::collective: return decoded_with_tail<wire::Collective>(frame);
    case wire::Kind::data: return decoded_with_tail<wire::Data>(frame);
    case wire::Kind::grant: return decoded<wire::Grant>(frame);
    case wire::Kind::accept: return decoded<wire::Accept>(frame);
    case wire::Kind::undeliverable: return decoded<wire::Undeliverable>(frame);
    case wire::Kind::direct: return decoded<wire::Direct>(frame);
  }
  return {};
}

}  // namespace

std::vector<SentFrame> frames_of(const Payload& sent) {
  std::vector<SentFrame> frames;
  for (std::size_t at = 0; sent.size() - at >= wire::kFrameHeaderBytes;) {
    const Slice header = sent.part(at, wire::kFrameHeaderBytes).flatten();
    Reader reader(header.bytes());
    const std::size_t length = reader.number<std::uint32_t>();
    const auto kind = reader.number<wire::Kind>();
    const auto flags = reader.number<std::uint8_t>();
    at += wire::kFrameHeaderBytes;
    if (length > sent.size() - at) break;
    frames.push_back({kind, (flags & wire::kEnclosesFlag) != 0, sent.part(at, length)});
    at += length;
  }
  return frames;
}

std::string text_of(const SentFrame& frame) {
  const char* kind = wire::to_string(frame.kind);
  if (kind == nullptr) return "unknown kind " + text(static_cast<std::uint64_t>(frame.kind));
  std::string all = kind;
  const std::string said = fields_of(frame);
  if (!said.empty()) all += " " + said;
  if (frame.encloses) all += " and what it encloses";
  return all;
}

std::string text_of(const Failure& failure) {
  std::string all = std::string(to_string(failure.code)) + " phase=" + to_string(failure.phase);
  if (!failure.ranks.empty()) all += " ranks=" + failure.ranks.to_string();
  if (!failure.host.empty()) all += " host=" + failure.host;
  return all + " " + quoted(failure.text);
}

}  // namespace banyan::sim
