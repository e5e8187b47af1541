#include "api/watch.hh"

namespace banyan::api {

void Watch::on_done(const driver::Outcome& outcome) {
  before_(outcome);
  std::function<void()> callback;
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
    callback = std::exchange(callback_, nullptr);
  }
  if (callback) callback();
}

void Watch::then(std::function<void()> callback) {
  {
    const std::lock_guard lock(mutex_);
    if (!done_) {
      callback_ = std::move(callback);
      return;
    }
  }
  callback();
}

}  // namespace banyan::api
