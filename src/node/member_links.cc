#include "node/member_links.hh"

#include <utility>
#include <variant>

#include "base/limits.hh"

namespace banyan::node {
namespace {

// As Limits::transmit_high_bytes for connections: two of the longest frames.
constexpr std::uint64_t kMostPassedOn = 2 * kMaxStreamFrameBytes;

}  // namespace

MemberLinks::MemberLinks(CommunicatorId id, const Topology& topology, MessageRequests& requests)
    : id_(id), requests_(requests) {
  const auto add = [&](const Neighbour& neighbour) {
    Neighbouring& added = neighbours_[neighbour.link];
    added.job_rank = topology.job_rank(neighbour.rank);
    receive(added, FrameClass::data);
    receive(added, FrameClass::control);
  };
  if (!topology.is_root()) add(topology.parent());
  for (const Neighbour& child : topology.children()) add(child);
}

MemberLinks::~MemberLinks() {
  for (const auto& [link, neighbour] : neighbours_) drop(link);
}

void MemberLinks::receive(Neighbouring& neighbour, FrameClass frame_class) {
  auto& posted = frame_class == FrameClass::data ? neighbour.data : neighbour.control;
  posted = requests_.receive(neighbour.job_rank, tag_of(frame_class));
}

void MemberLinks::send(LinkId to, FrameClass frame_class, const Payload& frame, LinkId feeder) {
  const Neighbouring& neighbour = neighbours_.at(to);
  if (!neighbour.open) return;
  const CallId id = requests_.send(neighbour.job_rank, tag_of(frame_class), frame);
  under_way_.emplace(id, Sent{feeder, frame.size()});
  if (feeder != kNoLink) neighbours_.at(feeder).passed_on += frame.size();
}

void MemberLinks::on_taken(const Sent& sent) {
  if (sent.feeder == kNoLink) return;
  Neighbouring& feeder = neighbours_.at(sent.feeder);
  feeder.passed_on -= sent.bytes;
  if (feeder.open && !feeder.data && feeder.passed_on <= kMostPassedOn) receive(feeder, FrameClass::data);
}

std::optional<MemberLinks::Arrival> MemberLinks::on_message(MessageDone done) {
  if (const auto sent = under_way_.find(done.id); sent != under_way_.end()) {
    // That a neighbour has gone shows at the receives, behind all that it has sent.
    on_taken(sent->second);
    under_way_.erase(sent);
    return std::nullopt;
  }
  for (auto& [link, neighbour] : neighbours_) {
    const bool data = neighbour.data == done.id;
    if (!data && neighbour.control != done.id) continue;
    (data ? neighbour.data : neighbour.control).reset();
    auto* frame = std::get_if<Payload>(&done.result);
    if (frame == nullptr) return data ? std::optional(Arrival{link, std::nullopt}) : std::nullopt;
    // What is passed on of this very frame counts for the next.
    if (!data || neighbour.passed_on <= kMostPassedOn)
      receive(neighbour, data ? FrameClass::data : FrameClass::control);
    return Arrival{link, std::move(*frame)};
  }
  return std::nullopt;
}

void MemberLinks::ask_neighbours() {
  for (const auto& [link, neighbour] : neighbours_) {
    if (neighbour.open) requests_.ask(neighbour.job_rank);
  }
}

void MemberLinks::drop(LinkId link) {
  Neighbouring& neighbour = neighbours_.at(link);
  neighbour.open = false;
  for (auto* posted : {&neighbour.data, &neighbour.control}) {
    if (*posted) requests_.cancel(*std::exchange(*posted, std::nullopt));
  }
}

}  // namespace banyan::node
