#include "transcript.hh"

#include <algorithm>
#include <variant>

#include "sim/frame_text.hh"

namespace banyan::sim {
namespace {

// Columns of a line: microseconds, and who.
constexpr std::size_t kTimeWidth = 10;
constexpr std::size_t kWhoWidth = 24;

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size() + 1, width), ' ');
  return text;
}

// A rank that has formed connects to make direct links.
const char* name_of(node::Target target, bool formed) {
  switch (target) {
    case node::Target::rendezvous: return "the rendezvous";
    case node::Target::host: return "an address from the list of hosts";
    case node::Target::endpoint: return formed ? "an address from an offer" : "an address from a placement";
    case node::Target::local: return formed ? "a rank's own name" : "the host's name";
  }
  return "nowhere";
}

std::string source_name(Rank source) { return source == kNoRank ? "any rank" : "rank " + std::to_string(raw(source)); }

struct CallText {
  std::string operator()(const node::Collective& collective) const { return collective.call.to_string(); }
  std::string operator()(const node::Send& send) const {
    return "send(" + std::to_string(send.message.size()) + " bytes to rank " + std::to_string(raw(send.target)) + ")";
  }
  std::string operator()(const node::Receive& receive) const {
    return "recv(from " + source_name(receive.source) + ")";
  }
  std::string operator()(const node::Probe& probe) const { return "probe(of " + source_name(probe.source) + ")"; }
  std::string operator()(const node::Dial& dial) const {
    return "connect(to rank " + std::to_string(raw(dial.peer)) + ")";
  }
  std::string operator()(const node::StoreCall& call) const { return std::string(call.name()) + "(" + call.key + ")"; }
  std::string operator()(const node::FetchBlob& fetch) const {
    return "blob(of rank " + std::to_string(raw(fetch.owner)) + ")";
  }
  std::string operator()(const node::MakeCommunicator& make) const {
    return "group(" + std::to_string(make.ranks.size()) + " ranks)";
  }
  std::string operator()(const node::LeaveCommunicator&) const { return "close() of a communicator"; }
  std::string operator()(const node::Expire&) const { return "a call given up"; }
  std::string operator()(const node::Close&) const { return "close()"; }
};

}  // namespace

const std::string& Transcript::name(std::uint32_t process) const {
  static const std::string kNobody = "nobody";
  return process == kStranger ? kNobody : names_.at(process);
}

bool Transcript::has_line_with(const std::string& who, const std::string& what) const {
  return std::any_of(lines_.begin(), lines_.end(), [&](const std::string& line) {
    return line.find("  " + who + " ") != std::string::npos && line.find(what) != std::string::npos;
  });
}

void Transcript::on_connect(Time now, std::uint32_t process, const node::effect::Connect& connect, std::uint32_t to) {
  const std::string& target = targets_[{process, connect.link}] = name_of(connect.target, formed_.contains(process));
  add(now, process, "connects to " + target + ", where " + name(to) + " listens");
}

void Transcript::on_refused(Time now, std::uint32_t process, LinkId link) {
  add(now, process, "is refused at " + targets_.at({process, link}));
}

void Transcript::on_close(Time now, std::uint32_t process, LinkId link, std::uint32_t to) {
  if (to != kStranger) return add(now, process, "closes its connection to " + name(to));
  add(now, process, "gives up connecting to " + targets_.at({process, link}));
}

void Transcript::on_closed(Time now, std::uint32_t process, std::uint32_t by) {
  add(now, process, "reads the end of its connection to " + name(by));
}

void Transcript::on_send(const Sent& sent, const Payload& frames) {
  const std::string who = name(sent.from) + " -> " + name(sent.to);
  for (const SentFrame& frame : frames_of(frames)) add(sent.departs, who, text_of(frame));
}

void Transcript::on_failed(Time now, std::uint32_t process, const Failure& failure) {
  add(now, process, "fails: " + text_of(failure));
}

void Transcript::on_call(Time now, std::uint32_t process, const node::Call& call) {
  const std::string text = std::visit(CallText{}, call.operation);
  calls_[call.id] = text;
  add(now, process, "calls " + text);
}

void Transcript::on_completion(Time now, std::uint32_t process, const node::Completion& completion) {
  const auto* failure = std::get_if<Failure>(&completion.result);
  add(now, process, calls_.at(completion.id) + (failure == nullptr ? " is done" : " fails: " + text_of(*failure)));
}

void Transcript::add(Time now, std::uint32_t process, const std::string& what) { add(now, name(process), what); }

void Transcript::add(Time now, const std::string& who, const std::string& what) {
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
  const std::string time = std::to_string(microseconds);
  lines_.push_back(std::string(kTimeWidth - std::min(kTimeWidth, time.size()), ' ') + time + "  " +
                   padded(who, kWhoWidth) + what);
}

}  // namespace banyan::sim
