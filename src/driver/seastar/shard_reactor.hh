// The reactor of one Seastar shard for Banyan's sockets (docs/design/0009): one epoll set, which Seastar watches as a
// single descriptor whatever its own backend is, one of Seastar's timers, and Seastar's resolver. Belongs to its shard,
// starts no thread and takes no lock.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <seastar/core/future.hh>
#include <seastar/core/gate.hh>
#include <seastar/core/internal/pollable_fd.hh>
#include <seastar/core/timer.hh>
#include <seastar/net/dns.hh>
#include <string>
#include <vector>

#include "driver/sockets/reactor.hh"

namespace banyan::driver {

class ShardWatch;

class ShardReactor final : public Reactor {
 public:
  // Throws std::system_error when the system has no descriptors for it.
  ShardReactor();
  ~ShardReactor() override;

  // Ends all waiting; before the destructor. What is watched must be gone by then.
  seastar::future<> stop();

  void run_later(std::function<void()> work) override;
  std::unique_ptr<Watch> watch(Socket socket, std::error_code& error) override;
  void look_up(const std::string& host, std::function<void(Resolved)> answer) override;

 private:
  friend class ShardWatch;

  seastar::future<> dispatch();
  void dispatch_one(const epoll_event& event);
  void do_work() noexcept;
  void arm(Time due) override;

  Socket set_;    // of epoll
  Socket waker_;  // an eventfd in the set
  // By descriptor. An event names its watch's life too, since the descriptor may be another's by the time it is seen.
  std::vector<ShardWatch*> watches_;
  std::uint32_t last_life_ = 0;
  seastar::timer<std::chrono::steady_clock> timer_;
  std::deque<std::function<void()>> work_;
  bool work_scheduled_ = false;
  std::optional<seastar::net::dns_resolver> resolver_;  // made when a name is asked for
  bool stopping_ = false;
  seastar::gate running_;
};

}  // namespace banyan::driver
