// What stands under every future of the API: one thing that was asked for and is done or not yet. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/ids.hh"
#include "base/time.hh"
#include "driver/asio/waitable.hh"
#include "driver/sockets/outcome.hh"

namespace banyan::driver {

class Loop;

class Operation final : public Promise {
 public:
  explicit Operation(std::shared_ptr<Loop> loop);
  ~Operation() override;

  // True once the outcome is there; never blocks, makes no system call. It makes no progress either: see
  // Runtime::run_in_background.
  bool done() const { return state_.done.load(std::memory_order_acquire); }
  // Blocks until done. Where no thread drives the runtime yet, the calling thread does. Calls carry their deadline
  // (node::Call::deadline), start() has Config::start_timeout: the engine ends them, so waiting needs none of its own.
  // Not from a callback of the runtime: that would wait for itself.
  void wait();
  // The same for a limited time; true when done.
  bool wait_until(Time deadline);
  // True in a child of the process that began it: there it will never be done if it is not yet, waiting returns at
  // once, and there is no descriptor.
  bool forked() const;

  // Valid once done() is true, unchanging from then on.
  const Outcome& outcome() const { return *outcome_; }
  // Whose message it brought, or found (node::Completion); kNoRank: nobody's.
  Rank source() const { return source_; }

  // A descriptor that becomes readable when the operation is done, for poll, epoll and io_uring. Made at the first
  // call, owned by the operation (don't close it, don't read it); -1 when there is none to be had.
  int descriptor();
  // Calls `callback` once, when done: at once in this thread, or later in the thread that drives the runtime. At most
  // one callback per operation. It must not block.
  void on_done(std::function<void(const Outcome&)> callback);

  // For the driver.
  void complete(Outcome outcome, Rank source = kNoRank) override;

 private:
  const std::shared_ptr<Loop> loop_;
  Waitable state_;
  // The rest is guarded by the loop's mutex until done. In a child of fork() nobody locks that: its copy may be locked
  // for ever, by a thread that the child has not.
  std::optional<Outcome> outcome_;
  Rank source_ = kNoRank;
  std::function<void(const Outcome&)> callback_;
  int descriptor_ = -1;
};

}  // namespace banyan::driver
