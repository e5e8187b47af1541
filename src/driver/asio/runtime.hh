// The Asio driver, as the API layer sees it: a process has one Runtime, which owns sockets, clock and thread, and runs
// the engines of all ranks of the process.
//
// Who drives: sockets and engines are touched by one thread at a time. As long as there is no background thread, the
// thread that waits for an operation drives (so that a start costs no thread switch); when it has what it waited for,
// the background thread is made, since a rank must pass on what others send even while its own caller is busy. There is
// never more than one such thread, however many ranks the process holds.
//
// Every function may be called from any thread, unless it says otherwise. A child process made by fork() can't use its
// parent's ranks: their functions fail with FailureCode::misuse there; Runtime::instance() is fresh.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <variant>

#include "driver/asio/operation.hh"
#include "driver/sockets/clock.hh"
#include "driver/sockets/make_runner.hh"
#include "node/calls.hh"

namespace banyan::driver {

class EngineRunner;
class Runtime;
struct AsioProcess;

// One rank of this process. Ends with close() or its destructor.
class RankHandle {
 public:
  RankHandle(std::shared_ptr<Runtime> runtime, std::shared_ptr<EngineRunner> runner);  // by Runtime::open
  ~RankHandle();                                                                       // as close()
  RankHandle(const RankHandle&) = delete;
  RankHandle& operator=(const RankHandle&) = delete;

  // Begins to join; once. The outcome is the table, or why there is none. Follow it with Operation::wait(), or call
  // Runtime::run_in_background() where nobody will wait.
  std::shared_ptr<Operation> start();

  // Makes a call; its id is filled in. After the rank has formed. The outcome is a payload or payloads
  // (node::Completion). Calls of one thread reach the engine in order.
  std::shared_ptr<Operation> submit(node::Call call);
  // An operation that is done already, for what needs no engine.
  std::shared_ptr<Operation> completed(Outcome outcome) const;

  // Ends the rank here and now: what was handed to its links still leaves, pending operations end with
  // FailureCode::closed. To take leave of the others first, submit node::Close and wait for it. Does not block.
  void close();

  // Why the job is over for this rank, if it is.
  std::optional<Failure> failure() const;
  // A snapshot; waits for the driving thread for an instant. Works until close().
  node::Statistics statistics() const;

  // True in a child of the process that opened it.
  bool forked() const;
  // The configuration as completed by Runtime::open.
  const node::Config& config() const;

 private:
  std::shared_ptr<Operation> new_operation() const;

  const std::shared_ptr<Runtime> runtime_;
  const std::shared_ptr<EngineRunner> runner_;
};

class Runtime : public std::enable_shared_from_this<Runtime> {
 public:
  // The process's runtime, made anew when no one holds it any more. Keep it as long as a rank is open (RankHandle
  // does). Throws std::system_error when the system has no descriptors for it.
  static std::shared_ptr<Runtime> instance();
  // One apart from that, for tests. Always held by a shared_ptr.
  static std::shared_ptr<Runtime> make();
  ~Runtime();  // waits up to kCloseLinger for bytes that are still leaving
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // Makes a rank; nothing is sent before start(). A Failure (bad_address, resources) when the options can't be used.
  std::variant<std::unique_ptr<RankHandle>, Failure> open(RankOptions options);
  // The same with a machine of the caller's instead of the engine, for tests.
  std::variant<std::unique_ptr<RankHandle>, Failure> open(RankOptions options, const MakeMachine& make_machine);

  // From now on a thread of its own drives the runtime: wanted when operations are begun and nobody waits for them
  // (futures, test(), descriptors). Cheap when it runs already. A Failure (resources) when no thread can be made.
  std::optional<Failure> run_in_background();
  // True in a thread that drives a runtime, and so in every callback: what waits there waits for itself.
  static bool in_callback();

 private:
  friend class RankHandle;
  Runtime();

  const std::shared_ptr<AsioProcess> process_;
};

}  // namespace banyan::driver
