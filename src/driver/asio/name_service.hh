// Asks the system what a name means. It blocks, so a thread of its own asks; nobody waits for that thread, so that a
// dead name server can't keep a process from ending.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "driver/sockets/reactor.hh"

namespace banyan::driver {

class Loop;

class NameService {
 public:
  explicit NameService(Loop& loop) : home_(std::make_shared<Home>()) { home_->loop = &loop; }
  // No answer comes any more.
  ~NameService();
  NameService(const NameService&) = delete;
  NameService& operator=(const NameService&) = delete;

  void look_up(const std::string& host, std::function<void(Resolved)> answer);

 private:
  // Shared with the threads that ask.
  struct Home {
    std::mutex mutex;
    Loop* loop = nullptr;  // none once it is gone
  };
  const std::shared_ptr<Home> home_;
};

}  // namespace banyan::driver
