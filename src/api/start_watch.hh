// Stands beside the operation that start() began: says how it ended to log and launcher, then calls whoever asked.
#pragma once

#include <functional>
#include <mutex>
#include <utility>

#include "api/log.hh"
#include "api/progress.hh"
#include "base/time.hh"
#include "driver/asio/operation.hh"

namespace banyan::api {

class StartWatch {
 public:
  // `progress` only speaks at rank 0.
  StartWatch(Log log, Progress progress, Time began) : log_(std::move(log)), progress_(progress), began_(began) {}

  // The operation's callback, once.
  void on_done(const driver::Outcome& outcome);
  // Calls `callback` after that; at once if it has been.
  void then(std::function<void()> callback);

 private:
  const Log log_;
  const Progress progress_;
  const Time began_;
  std::mutex mutex_;
  bool done_ = false;
  std::function<void()> callback_;
};

}  // namespace banyan::api
