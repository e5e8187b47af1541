// One rank of one job, behind HierarchicalBootstrap and the communicators that were made of it: it holds the order of
// calls, and hands operations to the driver. Where a `group` may be given, null is the whole job.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <banyan/hierarchical_bootstrap.hpp>

#include "api/blob_cache.hh"
#include "api/failures.hh"
#include "api/group.hh"
#include "api/log.hh"
#include "api/member.hh"
#include "api/watch.hh"
#include "base/bytes.hh"
#include "driver/asio/runtime.hh"

namespace banyan::api {

class Job : public std::enable_shared_from_this<Job> {
 public:
  // An operation that goes on, and who speaks in its errors. `watch`: its callback, where that is not the caller's.
  struct Begun {
    std::shared_ptr<driver::Operation> operation;
    std::shared_ptr<const Speaker> speaker;
    std::shared_ptr<Watch> watch;
    std::shared_ptr<const Group> group;  // whose ranks its result is to have
    std::weak_ptr<const Job> maker;      // of a split or group: the job that it makes one of
  };
  // The right to be in a collective operation, given back at the end of its life.
  class Turn {
   public:
    // `owner`: of what is taken, if that may end before.
    Turn(std::atomic<bool>* taken, std::shared_ptr<Group> owner) : taken_(taken), owner_(std::move(owner)) {}
    ~Turn() {
      if (taken_ != nullptr) taken_->store(false, std::memory_order_release);
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    std::atomic<bool>* taken_;
    std::shared_ptr<Group> owner_;
  };

  Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  void init(Options options);
  void set_blob(MessageView blob);
  Begun start();
  void close();
  // The same without a word if it fails, or is not to be. In a callback it can't take leave of the others first, so
  // they may lose this rank; in a child of fork() it does nothing.
  void close_quietly();

  // Before what blocks, since there is nothing to undo then: Error (misuse) in a callback, which would wait for itself.
  void expect_no_callback(const char* caller) const;
  // Before submit(): Error (misuse) when another thread has the turn. Messages between two ranks need none.
  Turn take_turn(const detail::Call& call, const std::shared_ptr<Group>& group);
  Begun submit(const detail::Call& call, const std::shared_ptr<Group>& group);
  // Throws what submit() would throw because of the call itself.
  void expect_callable(const detail::Call& call, const Group* group) const;
  // What a split or make has brought.
  std::shared_ptr<Group> group_of(const Payload& result) const;
  // This rank is done with the group. Quietly: nothing is thrown.
  void leave(Group& group);
  void leave_quietly(Group& group);
  // Nobody will wait for what was begun.
  void run_in_background();

  int rank() const;
  int world_size() const;
  std::string host_of(int rank, const Group* group) const;
  // What a peer_blob brings, if nobody has to be asked; none: submit() it.
  std::optional<Payload> blob_at_hand(const detail::Call& call, const Group* group) const;
  int job_rank_of(int rank, const Group* group) const;
  // Throws Error (misuse), in this rank's name.
  [[noreturn]] void refuse_call(const std::string& text, const Group* group) const;
  Statistics statistics() const;

 private:
  // The blobs of others that this rank has asked for; operations that go on share it.
  struct FetchedBlobs {
    std::mutex mutex;
    BlobCache cache;
  };

  // These expect mutex_ to be held.
  Member::Start started() const { return start_ && start_->done() ? &start_->outcome() : nullptr; }
  void expect_own_process(const char* caller) const;

  void take_leave();
  void end_rank();
  node::Statistics snapshot() const;

  // Never held while the driver may run: a callback may ask for what it guards.
  mutable std::mutex mutex_;
  Member member_;
  Log log_;
  std::shared_ptr<driver::Runtime> runtime_;
  // From start() on; never replaced, so that an operation may go on using it while another thread closes.
  std::unique_ptr<driver::RankHandle> rank_;
  std::shared_ptr<driver::Operation> start_;
  bool ended_ = false;           // the driver has closed the rank
  node::Statistics statistics_;  // from then on
  const std::shared_ptr<FetchedBlobs> fetched_blobs_ = std::make_shared<FetchedBlobs>();
  std::atomic<bool> in_collective_{false};
};

}  // namespace banyan::api
