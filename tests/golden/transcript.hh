// What a small simulated cluster does, line by line, for people: who says what to whom, and when.
//
//      1200  rank 1 -> rank 0      hello role=joiner to=rank 0 world=2
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/observer.hh"

namespace banyan::sim {

class Transcript : public Observer {
 public:
  // Processes in the order in which they are added to their cluster.
  void name_next(std::string name) { names_.push_back(std::move(name)); }
  const std::string& name(std::uint32_t process) const;

  const std::vector<std::string>& lines() const { return lines_; }
  bool has_line_with(const std::string& who, const std::string& what) const;

  void on_start(Time now, std::uint32_t process) override { add(now, process, "starts"); }
  void on_kill(Time now, std::uint32_t process) override { add(now, process, "dies"); }
  void on_connect(Time now, std::uint32_t process, const node::effect::Connect& connect, std::uint32_t to) override;
  void on_refused(Time now, std::uint32_t process, LinkId link) override;
  void on_close(Time now, std::uint32_t process, LinkId link, std::uint32_t to) override;
  void on_closed(Time now, std::uint32_t process, std::uint32_t by) override;
  void on_send(const Sent& sent, const Payload& frames) override;
  void on_formed(Time now, std::uint32_t process) override {
    formed_.insert(process);
    add(now, process, "has formed");
  }
  void on_failed(Time now, std::uint32_t process, const Failure& failure) override;
  void on_call(Time now, std::uint32_t process, const node::Call& call) override;
  void on_completion(Time now, std::uint32_t process, const node::Completion& completion) override;

 private:
  void add(Time now, std::uint32_t process, const std::string& what);
  void add(Time now, const std::string& who, const std::string& what);

  std::vector<std::string> names_;
  std::vector<std::string> lines_;
  std::map<std::pair<std::uint32_t, LinkId>, std::string> targets_;  // of connections, for when they fail
  std::map<CallId, std::string> calls_;
  std::set<std::uint32_t> formed_;
};

}  // namespace banyan::sim
