// One rank of one job, behind HierarchicalBootstrap: it holds the order of calls, and hands operations to the driver.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include <banyan/hierarchical_bootstrap.hpp>

#include "api/failures.hh"
#include "api/log.hh"
#include "api/start_watch.hh"
#include "base/bytes.hh"
#include "driver/asio/runtime.hh"

namespace banyan::api {

class Job {
 public:
  // An operation that goes on, and who speaks in its errors. `watch`: a start's callback.
  struct Begun {
    std::shared_ptr<driver::Operation> operation;
    std::shared_ptr<const Speaker> speaker;
    std::shared_ptr<StartWatch> watch;
  };
  // The right to be in a collective operation, given back at the end of its life.
  class Turn {
   public:
    explicit Turn(std::atomic<bool>* taken) : taken_(taken) {}
    ~Turn() {
      if (taken_ != nullptr) taken_->store(false, std::memory_order_release);
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    std::atomic<bool>* taken_;
  };

  Job() = default;
  // Closes quietly. In a callback it can't take leave of the others first, in a child of fork() it does nothing.
  ~Job();
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  void init(Options options);
  void set_blob(MessageView blob);
  Begun start();
  void close();

  // Before what blocks, since there is nothing to undo then: Error (misuse) in a callback, which would wait for itself.
  void expect_no_callback(const char* caller) const;
  // Before submit(): Error (misuse) when another thread has the turn. Messages between two ranks need none.
  Turn take_turn(const detail::Call& call);
  Begun submit(const detail::Call& call);
  // Throws what submit() would throw because of the call itself.
  void expect_callable(const detail::Call& call) const;
  // Nobody will wait for what was begun.
  void run_in_background();

  int rank() const;
  int world_size() const;
  std::string host_of(int rank) const;
  Payload blob_of(int rank) const;
  Statistics statistics() const;

 private:
  enum class State { fresh, ready, started, closed };

  // These expect mutex_ to be held.
  const wire::Table& table(const char* caller) const;
  void expect_started(const char* caller) const;
  void expect_own_process(const char* caller) const;
  void expect_rank(const char* caller, const char* role, int rank) const;
  [[noreturn]] void refuse(const std::string& text) const;

  // Throws Error (misuse) for reductions that can't be.
  void expect_sensible(const node::Collective& collective) const;
  void take_leave();
  node::Statistics snapshot() const;

  // Never held while the driver may run: a callback may ask for what it guards.
  mutable std::mutex mutex_;
  State state_ = State::fresh;
  Options options_;
  std::shared_ptr<const Speaker> speaker_ = std::make_shared<const Speaker>();
  Log log_;
  std::shared_ptr<driver::Runtime> runtime_;
  // From start() on; never replaced, so that an operation may go on using it while another thread closes.
  std::unique_ptr<driver::RankHandle> rank_;
  std::shared_ptr<driver::Operation> start_;
  bool ended_ = false;           // the driver has closed the rank
  node::Statistics statistics_;  // from then on
  std::atomic<bool> in_collective_{false};
};

}  // namespace banyan::api
