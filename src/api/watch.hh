// Stands beside an operation: does what the library has to do when it is done, then calls whoever asked for that.
#pragma once

#include <functional>
#include <mutex>
#include <utility>

#include "driver/asio/operation.hh"

namespace banyan::api {

class Watch {
 public:
  // `before`: is called with the outcome, before whoever asked.
  using Before = std::function<void(const driver::Outcome& outcome)>;
  explicit Watch(Before before) : before_(std::move(before)) {}

  // The operation's callback, once.
  void on_done(const driver::Outcome& outcome);
  // Calls `callback` after that; at once if it has been.
  void then(std::function<void()> callback);

 private:
  const Before before_;
  std::mutex mutex_;
  bool done_ = false;
  std::function<void()> callback_;
};

}  // namespace banyan::api
