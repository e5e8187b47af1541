#include "node/member_links.hh"

#include <utility>
#include <variant>

#include "base/limits.hh"

namespace banyan::node {
namespace {

// As Limits::transmit_high_bytes for connections: two of the longest frames. Control may run ahead by as much again.
constexpr std::uint64_t kMostPassedOn = 2 * kMaxStreamFrameBytes;
// As of connections, too: answers to whoever asks and does not listen.
constexpr std::uint64_t kMostOwnControl = 4 * 1024 * 1024;

// What may stand in a lane as one message.
std::uint64_t longest_frame(FrameClass frame_class) {
  return frame_class == FrameClass::data ? kMaxStreamFrameBytes : kMaxFrameBytes;
}

}  // namespace

MemberLinks::MemberLinks(CommunicatorId id, const Topology& topology, MessageRequests& requests)
    : id_(id), requests_(requests) {
  const auto add = [&](const Neighbour& neighbour) {
    Neighbouring& added = neighbours_[neighbour.link];
    added.job_rank = topology.job_rank(neighbour.rank);
    receive(added);
  };
  if (!topology.is_root()) add(topology.parent());
  for (const Neighbour& child : topology.children()) add(child);
}

bool MemberLinks::may_receive(const Neighbouring& neighbour, FrameClass frame_class) {
  const std::uint64_t most = frame_class == FrameClass::data ? kMostPassedOn : 2 * kMostPassedOn;
  return neighbour.passed_on <= most && neighbour.own_control <= kMostOwnControl;
}

void MemberLinks::receive(Neighbouring& neighbour) {
  for (const FrameClass frame_class : {FrameClass::data, FrameClass::control}) {
    Way& way = neighbour.way(frame_class);
    if (!neighbour.open || way.ended || way.receive || !may_receive(neighbour, frame_class)) continue;
    way.receive = requests_.receive(neighbour.job_rank, tag_of(frame_class), longest_frame(frame_class));
  }
}

void MemberLinks::send(LinkId to, FrameClass frame_class, const Payload& frame, LinkId feeder) {
  Neighbouring& neighbour = neighbours_.at(to);
  if (!neighbour.open) return;
  const CallId id = requests_.send(neighbour.job_rank, tag_of(frame_class), frame);
  const bool own_control = feeder == kNoLink && frame_class == FrameClass::control;
  under_way_.emplace(id, Sent{to, feeder, frame.size(), own_control});
  if (feeder != kNoLink) neighbours_.at(feeder).passed_on += frame.size();
  if (own_control) neighbour.own_control += frame.size();
}

void MemberLinks::say_goodbye(LinkId to, const Payload& frame) {
  send(to, FrameClass::data, frame);
  send(to, FrameClass::control, frame);
}

bool MemberLinks::hear_goodbye(LinkId from, FrameClass frame_class) {
  Neighbouring& neighbour = neighbours_.at(from);
  Way& way = neighbour.way(frame_class);
  way.ended = true;
  if (way.receive) requests_.cancel(*std::exchange(way.receive, std::nullopt));
  return neighbour.data.ended && neighbour.control.ended;
}

void MemberLinks::on_taken(const Sent& sent) {
  if (sent.feeder != kNoLink) {
    Neighbouring& feeder = neighbours_.at(sent.feeder);
    feeder.passed_on -= sent.bytes;
    receive(feeder);
  }
  if (sent.own_control) {
    Neighbouring& neighbour = neighbours_.at(sent.to);
    neighbour.own_control -= sent.bytes;
    receive(neighbour);
  }
}

std::optional<MemberLinks::Arrival> MemberLinks::on_message(MessageDone done) {
  if (const auto at = under_way_.find(done.id); at != under_way_.end()) {
    // That a neighbour has gone shows at the receives, behind all that it has sent.
    const Sent sent = at->second;
    under_way_.erase(at);
    on_taken(sent);
    return std::nullopt;
  }
  for (auto& [link, neighbour] : neighbours_) {
    const bool is_data = neighbour.data.receive == done.id;
    if (!is_data && neighbour.control.receive != done.id) continue;
    const FrameClass frame_class = is_data ? FrameClass::data : FrameClass::control;
    neighbour.way(frame_class).receive.reset();
    if (const auto* failure = std::get_if<Failure>(&done.result))
      return Arrival{link, frame_class, std::nullopt, failure->code};
    // What is passed on of this very frame counts for the next.
    receive(neighbour);
    return Arrival{link, frame_class, std::get<Payload>(std::move(done.result))};
  }
  return std::nullopt;
}

void MemberLinks::ask_neighbours() {
  for (const auto& [link, neighbour] : neighbours_) {
    if (neighbour.open) requests_.ask(neighbour.job_rank, tag_of(FrameClass::data).lane);
  }
}

void MemberLinks::drop(LinkId link) {
  Neighbouring& neighbour = neighbours_.at(link);
  neighbour.open = false;
  for (Way* way : {&neighbour.data, &neighbour.control}) {
    if (way->receive) requests_.cancel(*std::exchange(way->receive, std::nullopt));
  }
  for (auto at = under_way_.begin(); at != under_way_.end();) {
    if (at->second.to != link) {
      ++at;
      continue;
    }
    const Sent sent = at->second;
    requests_.cancel(at->first);
    at = under_way_.erase(at);
    on_taken(sent);
  }
}

}  // namespace banyan::node
