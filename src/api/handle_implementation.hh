// What a Handle holds.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include <banyan/handle.hpp>

#include "api/failures.hh"
#include "api/group.hh"
#include "api/watch.hh"
#include "base/bytes.hh"
#include "base/time.hh"
#include "driver/asio/operation.hh"

namespace banyan::api {
class Job;
}

namespace banyan {

class Handle::Implementation {
 public:
  // `watch`: the operation's callback, if it is not the caller's. `maker`: it makes a communicator of this job.
  Implementation(std::shared_ptr<driver::Operation> operation, std::shared_ptr<const api::Speaker> speaker,
                 std::shared_ptr<api::Watch> watch, std::shared_ptr<const api::Group> group,
                 std::weak_ptr<const api::Job> maker)
      : operation_(std::move(operation)),
        speaker_(std::move(speaker)),
        watch_(std::move(watch)),
        group_(std::move(group)),
        maker_(std::move(maker)) {}

  driver::Operation& operation() const { return *operation_; }
  const api::Speaker& speaker() const { return *speaker_; }
  // The rank whose message it has brought, as the group numbers it; -1: nobody's.
  int source() const;
  // False when it is still going on at the deadline. Error (misuse) where waiting would never end.
  bool wait_until(Time deadline) const;
  void on_done(std::function<void()> callback) const;
  // Error (misuse) in a child of the process that began the operation, unless it was done before.
  void expect_own_process() const;
  // The outcome of a done operation; throws what it failed with.
  const driver::Outcome& result() const;
  // Message `index` of it; throws Error (misuse) when there is none.
  const Payload& message(std::size_t index) const;
  // The same in one piece, which lives as long as this does.
  Bytes view(std::size_t index) const;
  bool makes_communicator_of(const std::shared_ptr<const api::Job>& job) const { return maker_.lock() == job; }
  // True the first time: whoever asks has the communicator from then on.
  bool take_communicator() { return !taken_.exchange(true); }

 private:
  const std::shared_ptr<driver::Operation> operation_;
  const std::shared_ptr<const api::Speaker> speaker_;
  const std::shared_ptr<api::Watch> watch_;
  const std::shared_ptr<const api::Group> group_;  // null: the whole job
  const std::weak_ptr<const api::Job> maker_;
  std::atomic<bool> taken_{false};
  mutable std::mutex mutex_;
  mutable std::map<std::size_t, Slice> flattened_;  // messages that lie in more than one piece, once viewed
};

}  // namespace banyan
