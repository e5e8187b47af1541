#include "driver/asio/operation.hh"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

#include "driver/asio/loop.hh"

namespace banyan::driver {

Operation::Operation(std::shared_ptr<Loop> loop) : loop_(std::move(loop)) {}

Operation::~Operation() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void Operation::wait() { wait_until(kNever); }

bool Operation::wait_until(Time deadline) { return done() || loop_->wait(state_, deadline); }

bool Operation::forked() const { return loop_->forked(); }

int Operation::descriptor() {
  if (forked()) return -1;
  const std::lock_guard lock(loop_->mutex());
  if (descriptor_ < 0) descriptor_ = ::eventfd(done() ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK);
  return descriptor_;
}

void Operation::on_done(std::function<void(const Outcome&)> callback) {
  if (!forked()) {
    const std::lock_guard lock(loop_->mutex());
    if (!done()) {
      callback_ = std::move(callback);
      return;
    }
  }
  if (done()) callback(*outcome_);
}

void Operation::complete(Outcome outcome, Rank source) {
  if (done()) return;
  std::function<void(const Outcome&)> callback;
  {
    std::unique_lock lock(loop_->mutex(), std::defer_lock);
    if (!forked()) lock.lock();
    outcome_ = std::move(outcome);
    source_ = source;
    callback = std::move(callback_);
    Loop::signal(state_);
    // After done(): whoever polls the descriptor asks that next.
    if (descriptor_ >= 0) {
      const std::uint64_t one = 1;
      [[maybe_unused]] const ssize_t written = ::write(descriptor_, &one, sizeof(one));
    }
  }
  if (callback) callback(*outcome_);
}

}  // namespace banyan::driver
