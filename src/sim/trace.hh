// What a simulated job does, as a picture: a track for each rank, in a group for each host, with what the rank is at
// (join, register, formed), the collectives that it calls, and its messages.
//
// Up to kMostTracks ranks all have a track. Of a larger job: rank 0, the leaders right below it (those that it welcomes
// first), and ranks spread evenly over the job. Of the messages from or to a rank with a track the first kMostMessages
// are shown; how many are not stands in the file. What strangers send is not shown.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/job.hh"
#include "sim/observer.hh"
#include "sim/trace_file.hh"
#include "wire/frame.hh"

namespace banyan::sim {

// As many as one looks through.
inline constexpr std::uint32_t kMostTracks = 256;
inline constexpr std::uint32_t kEvenTracks = 128;  // rank 0 is the first of them
// At most three events of 150 bytes each, in memory and file: what a browser still opens.
inline constexpr std::size_t kMostMessages = 100'000;

class Trace : public Observer {
 public:
  // Process i is rank i.
  explicit Trace(const JobOptions& job, std::size_t most_messages = kMostMessages);

  // Once, at the end. Throws as TraceFile does.
  void write(TraceFile& file) const;

  void on_start(Time now, std::uint32_t rank) override;
  void on_kill(Time now, std::uint32_t rank) override { end(now, rank); }
  void on_send(const Sent& sent, const Payload& frames) override;
  void on_formed(Time now, std::uint32_t rank) override;
  void on_failed(Time now, std::uint32_t rank, const Failure& failure) override;
  void on_call(Time now, std::uint32_t rank, const node::Call& call) override;
  void on_completion(Time now, std::uint32_t rank, const node::Completion& completion) override;

 private:
  // When each phase begins: never, if it does not. What comes later ends what was before.
  struct Life {
    Time start = kNever;
    Time registration = kNever;  // its first record leaves
    Time formed = kNever;
    Time end = kNever;  // failed, closed or dead
    bool has_track = false;
  };
  struct Operation {
    std::uint32_t rank;
    Time begin;
    Time end = kNever;
    bool collective = false;  // one after the other on each rank; others overlap
    bool closes = false;
    std::string name;
  };
  struct Message {
    Sent sent;
    std::size_t bytes;
    std::size_t frames;
    wire::Kind first;
  };
  struct Failed {
    std::uint32_t rank;
    Time at;
    std::string text;
  };
  // Something that will stand in the file, in its place there. `index`: of a rank, or into the list of such things.
  enum class What : std::uint8_t { join, registration, formed, operation, operation_end, failed, departure, arrival };
  struct Entry {
    Time at;
    Duration length{};
    What what{};
    std::size_t index = 0;
  };

  void end(Time now, std::uint32_t rank);
  void seen(Time time) { last_ = std::max(last_, time); }
  Time end_of(std::uint32_t rank) const { return std::min(lives_[rank].end, last_); }
  Time end_of(const Operation& operation) const;
  bool has_track(std::uint32_t rank) const { return lives_[rank].has_track; }
  void begin_track(std::uint32_t rank);
  std::vector<Entry> entries() const;
  void add_life(std::vector<Entry>& entries, std::uint32_t rank) const;

  nlohmann::ordered_json event(const char* kind, const std::string& name, Time at, std::uint32_t rank) const;
  nlohmann::ordered_json slice(const std::string& name, const Entry& entry, std::uint32_t rank) const;
  nlohmann::ordered_json flow(const char* kind, std::size_t index) const;
  nlohmann::ordered_json instant(std::size_t index, bool departs) const;
  void name_tracks(TraceFile& file) const;
  void write(TraceFile& file, const Entry& entry) const;
  void write_operation(TraceFile& file, const Entry& entry) const;
  void write_departure(TraceFile& file, std::size_t index) const;
  void write_arrival(TraceFile& file, std::size_t index) const;

  const JobOptions job_;
  const std::size_t most_messages_;
  std::vector<Life> lives_;  // by rank
  std::vector<Operation> operations_;
  std::map<CallId, std::size_t> pending_;  // where in operations_
  std::vector<Message> messages_;
  std::vector<Failed> failed_;
  std::uint64_t left_out_ = 0;
  std::uint32_t tracks_ = 0;
  Time last_{};
};

}  // namespace banyan::sim
