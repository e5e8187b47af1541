#include "sim/trace.hh"

#include <set>
#include <utility>
#include <variant>

#include <nlohmann/json.hpp>

#include "sim/frame_text.hh"

namespace banyan::sim {
namespace {

double microseconds_of(Duration duration) { return static_cast<double>(duration.count()) / 1e3; }

std::string rank_name(std::uint32_t rank) { return "rank " + std::to_string(rank); }
std::string source_name(Rank source) { return source == kNoRank ? "any rank" : rank_name(raw(source)); }

struct OperationName {
  std::string operator()(const node::Collective& collective) const { return wire::to_string(collective.call.kind); }
  std::string operator()(const node::Send& send) const { return "send to " + rank_name(raw(send.target)); }
  std::string operator()(const node::Receive& receive) const { return "recv from " + source_name(receive.source); }
  std::string operator()(const node::Probe& probe) const { return "probe of " + source_name(probe.source); }
  std::string operator()(const node::Dial& dial) const { return "connect to " + rank_name(raw(dial.peer)); }
  std::string operator()(const node::MakeCommunicator& make) const {
    return "group of " + std::to_string(make.ranks.size()) + " ranks";
  }
  std::string operator()(const node::LeaveCommunicator&) const { return "close a communicator"; }
  std::string operator()(const node::Expire&) const { return "give up a call"; }
  std::string operator()(const node::StoreCall& call) const { return std::string(call.name()) + " in the store"; }
  std::string operator()(const node::FetchBlob& fetch) const { return "blob of " + rank_name(raw(fetch.owner)); }
  std::string operator()(const node::Close&) const { return "close"; }
};

}  // namespace

Trace::Trace(const JobOptions& job, std::size_t most_messages)
    : job_(job), most_messages_(most_messages), lives_(job.ranks) {
  if (job.ranks <= kMostTracks) {
    for (std::uint32_t rank = 0; rank < job.ranks; ++rank) begin_track(rank);
    return;
  }
  // One further on each time, since those at the same distance could all be leaders.
  const std::uint32_t distance = job.ranks / kEvenTracks;
  for (std::uint32_t i = 0; i < kEvenTracks; ++i) begin_track(i * distance + i % distance);
}

void Trace::begin_track(std::uint32_t rank) {
  if (!std::exchange(lives_[rank].has_track, true)) ++tracks_;
}

// --- what is heard -------------------------------------------------------------------------------------------------

void Trace::on_start(Time now, std::uint32_t rank) {
  seen(now);
  lives_[rank].start = now;
  // Rank 0 joins nobody.
  if (rank == 0) lives_[rank].registration = now;
}

void Trace::on_send(const Sent& sent, const Payload& frames) {
  if (sent.from == kStranger) return;
  seen(sent.arrives);
  const std::vector<SentFrame> all = frames_of(frames);
  if (all.empty()) return;
  for (const SentFrame& frame : all) {
    Time& registration = lives_[sent.from].registration;
    if (frame.kind == wire::Kind::records) registration = std::min(registration, sent.departs);
    const bool below_rank_0 = frame.kind == wire::Kind::welcome && sent.from == 0;
    if (below_rank_0 && tracks_ < kMostTracks) begin_track(sent.to);
  }
  if (!has_track(sent.from) && !has_track(sent.to)) return;
  if (messages_.size() == most_messages_) {
    ++left_out_;
  } else {
    messages_.push_back({sent, frames.size(), all.size(), all.front().kind});
  }
}

void Trace::on_formed(Time now, std::uint32_t rank) {
  seen(now);
  lives_[rank].formed = now;
}

void Trace::on_failed(Time now, std::uint32_t rank, const Failure& failure) {
  if (has_track(rank)) failed_.push_back({rank, now, failure.text});
  end(now, rank);
}

void Trace::on_call(Time now, std::uint32_t rank, const node::Call& call) {
  seen(now);
  if (!has_track(rank)) return;
  pending_[call.id] = operations_.size();
  operations_.push_back({.rank = rank,
                         .begin = now,
                         .collective = std::holds_alternative<node::Collective>(call.operation),
                         .closes = std::holds_alternative<node::Close>(call.operation),
                         .name = std::visit(OperationName{}, call.operation)});
}

void Trace::on_completion(Time now, std::uint32_t rank, const node::Completion& completion) {
  seen(now);
  const auto found = pending_.find(completion.id);
  if (found == pending_.end()) return;
  Operation& operation = operations_[found->second];
  operation.end = now;
  pending_.erase(found);
  if (operation.closes) end(now, rank);
}

void Trace::end(Time now, std::uint32_t rank) {
  seen(now);
  lives_[rank].end = std::min(lives_[rank].end, now);
}

// --- what is written -----------------------------------------------------------------------------------------------

void Trace::write(TraceFile& file) const {
  name_tracks(file);
  for (const Entry& entry : entries()) write(file, entry);
  file.finish({{"ranks", job_.ranks}, {"tracks", tracks_}, {"messages_left_out", left_out_}});
}

// In order of time; what holds others stands before them.
std::vector<Trace::Entry> Trace::entries() const {
  std::vector<Entry> entries;
  for (std::uint32_t rank = 0; rank < job_.ranks; ++rank) {
    if (has_track(rank)) add_life(entries, rank);
  }
  for (std::size_t i = 0; i < operations_.size(); ++i) {
    const Time end = end_of(operations_[i]);
    entries.push_back({operations_[i].begin, end - operations_[i].begin, What::operation, i});
    if (!operations_[i].collective) entries.push_back({end, {}, What::operation_end, i});
  }
  for (std::size_t i = 0; i < failed_.size(); ++i) entries.push_back({failed_[i].at, {}, What::failed, i});
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    entries.push_back({messages_[i].sent.departs, {}, What::departure, i});
    entries.push_back({messages_[i].sent.arrives, {}, What::arrival, i});
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.at != b.at ? a.at < b.at : a.length > b.length; });
  return entries;
}

// What was never completed ended with its rank.
Time Trace::end_of(const Operation& operation) const {
  return operation.end != kNever ? operation.end : std::max(operation.begin, end_of(operation.rank));
}

void Trace::add_life(std::vector<Entry>& entries, std::uint32_t rank) const {
  const Life& life = lives_[rank];
  const Time over = end_of(rank);
  const auto add = [&](What what, Time begin, Time next) {
    if (begin <= over) entries.push_back({begin, std::min(next, over) - begin, what, rank});
  };
  add(What::join, life.start, std::min(life.registration, life.formed));
  add(What::registration, life.registration, life.formed);
  add(What::formed, life.formed, over);
}

void Trace::name_tracks(TraceFile& file) const {
  std::set<std::uint32_t> hosts;
  for (std::uint32_t rank = 0; rank < job_.ranks; ++rank) {
    if (!has_track(rank)) continue;
    const auto add = [&](const char* what, const char* field, const nlohmann::ordered_json& value) {
      nlohmann::ordered_json named = event("M", what, Time{}, rank);
      named["args"] = {{field, value}};
      file.add(named);
    };
    if (const std::uint32_t host = rank / job_.ranks_per_host; hosts.insert(host).second) {
      add("process_name", "name", "host " + std::to_string(host));
      add("process_sort_index", "sort_index", host);
    }
    add("thread_name", "name", rank_name(rank));
    add("thread_sort_index", "sort_index", rank);
  }
}

nlohmann::ordered_json Trace::event(const char* kind, const std::string& name, Time at, std::uint32_t rank) const {
  return {{"ph", kind},
          {"name", name},
          {"ts", microseconds_of(at.time_since_epoch())},
          {"pid", rank / job_.ranks_per_host},
          {"tid", rank}};
}

nlohmann::ordered_json Trace::slice(const std::string& name, const Entry& entry, std::uint32_t rank) const {
  nlohmann::ordered_json all = event("X", name, entry.at, rank);
  all["dur"] = microseconds_of(entry.length);
  return all;
}

// An arrow from one track to another.
nlohmann::ordered_json Trace::flow(const char* kind, std::size_t index) const {
  const Message& message = messages_[index];
  const bool begins = *kind == 's';
  nlohmann::ordered_json all =
      event(kind, wire::to_string(message.first), begins ? message.sent.departs : message.sent.arrives,
            begins ? message.sent.from : message.sent.to);
  all["cat"] = "message";
  all["id"] = index;
  if (!begins) all["bp"] = "e";
  return all;
}

nlohmann::ordered_json Trace::instant(std::size_t index, bool departs) const {
  const auto& [sent, bytes, frames, first] = messages_[index];
  nlohmann::ordered_json all =
      event("i", wire::to_string(first), departs ? sent.departs : sent.arrives, departs ? sent.from : sent.to);
  all["s"] = "t";
  all["args"] = {{"from", rank_name(sent.from)}, {"to", rank_name(sent.to)}, {"bytes", bytes}, {"frames", frames}};
  return all;
}

void Trace::write(TraceFile& file, const Entry& entry) const {
  const auto rank = static_cast<std::uint32_t>(entry.index);
  switch (entry.what) {
    case What::join: return file.add(slice("join", entry, rank));
    case What::registration: return file.add(slice("register", entry, rank));
    case What::formed: return file.add(slice("formed", entry, rank));
    case What::operation:
    case What::operation_end: return write_operation(file, entry);
    case What::failed: {
      nlohmann::ordered_json all = event("i", "failed", entry.at, failed_[entry.index].rank);
      all["s"] = "t";
      all["args"] = {{"text", failed_[entry.index].text}};
      return file.add(all);
    }
    case What::departure: return write_departure(file, entry.index);
    case What::arrival: return write_arrival(file, entry.index);
  }
}

void Trace::write_operation(TraceFile& file, const Entry& entry) const {
  const Operation& operation = operations_[entry.index];
  if (operation.collective) return file.add(slice(operation.name, entry, operation.rank));
  nlohmann::ordered_json all =
      event(entry.what == What::operation ? "b" : "e", operation.name, entry.at, operation.rank);
  all["cat"] = "call";
  all["id"] = entry.index;
  file.add(all);
}

void Trace::write_departure(TraceFile& file, std::size_t index) const {
  const Sent& sent = messages_[index].sent;
  if (!has_track(sent.from)) return;
  file.add(instant(index, true));
  if (has_track(sent.to)) file.add(flow("s", index));
}

void Trace::write_arrival(TraceFile& file, std::size_t index) const {
  const Sent& sent = messages_[index].sent;
  if (!has_track(sent.to)) return;
  file.add(has_track(sent.from) ? flow("f", index) : instant(index, false));
}

}  // namespace banyan::sim
