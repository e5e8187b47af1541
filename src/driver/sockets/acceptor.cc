#include "driver/sockets/acceptor.hh"

#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "driver/sockets/clock.hh"
#include "driver/sockets/engine_runner.hh"
#include "driver/sockets/process.hh"

namespace banyan::driver {
namespace {

// So many accepts in a row, then those that are connected have their turn.
constexpr int kAcceptsPerTurn = 256;
// When the system has no descriptors or memory left: long enough not to spin, short against a peer's patience.
constexpr std::chrono::milliseconds kPauseWithoutResources{10};

bool out_of_resources(int error) { return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM; }

bool somebody_waits(int listener) {
  pollfd entry{listener, POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1;
}

}  // namespace

Acceptor::Acceptor(Process& process, node::Listener kind, Endpoint bound, Descriptor descriptor)
    : process_(process), kind_(kind), bound_(bound), descriptor_(std::move(descriptor)), pause_(process.reactor) {}

void Acceptor::add(EngineRunner& runner) { runners_.push_back(&runner); }

bool Acceptor::remove(EngineRunner& runner) {
  std::erase(runners_, &runner);
  return runners_.empty();
}

void Acceptor::begin() { spawn(process_.reactor, accept_loop(shared_from_this())); }

void Acceptor::close() {
  descriptor_.close();
  pause_.end();
  process_.doorstep.turn_away_callers_of(*this);
}

EngineRunner* Acceptor::runner_for(const wire::HelloAddress& hello) const {
  // An engine that is alone here is the better judge: it tells the caller what is wrong.
  if (runners_.size() == 1) return runners_.front();
  EngineRunner* possible = nullptr;
  for (EngineRunner* runner : runners_) {
    if (hello.to != runner->config().rank && hello.to != kLeaderRank) continue;
    const JobId job = runner->job();
    const bool this_job = job.known() && job == hello.job;
    // One that has failed may stand beside the next try of the same rank.
    if (this_job && !runner->failure()) return runner;
    // The same process may be the same rank of an older job, which knows its id.
    if (this_job || !job.known() || !hello.job.known()) possible = runner;
  }
  return possible;
}

Task Acceptor::accept_loop([[maybe_unused]] std::shared_ptr<Acceptor> self) {
  for (;;) {
    const bool open = co_await descriptor_.readable();
    if (!open) co_return;
    if (accept_all()) continue;
    co_await pause_.until(after(now(), kPauseWithoutResources));
    if (!descriptor_.is_open()) co_return;
  }
}

bool Acceptor::accept_all() {
  for (int i = 0; i < kAcceptsPerTurn && descriptor_.is_open(); ++i) {
    AcceptedSocket accepted = accept_one(descriptor_.get());
    if (accepted.socket) {
      receive(std::move(accepted));
    } else if (accepted.error == EAGAIN) {
      return true;
    } else if (out_of_resources(accepted.error)) {
      // The system says so before it looks whether somebody waits.
      if (!somebody_waits(descriptor_.get())) return true;
      // Someone who is leaving or has said nothing makes room for someone who may. Else the caller is told by a closed
      // connection that it is in vain, and comes again; it would wait in the queue for a timeout otherwise.
      if (process_.doorstep.make_room() || engines_make_room()) continue;
      if (!process_.listeners.accept_and_close(descriptor_.get())) return false;
      ++process_.turned_away;
      return false;
    }
    // Anything else concerns the one connection, which is gone (accept(2): ECONNABORTED and the network's errors).
  }
  return true;
}

bool Acceptor::engines_make_room() {
  const auto all = process_.runners;  // a callback may close some
  return std::ranges::any_of(all, [](const auto& runner) { return runner->make_room(); });
}

void Acceptor::receive(AcceptedSocket accepted) {
  Caller caller{shared_from_this(), {}, accepted.remote.endpoint()};
  if (on_this_host(kind_)) {
    if (!same_user(accepted.socket.get())) {
      ++process_.turned_away;
      return;
    }
  } else {
    caller.local = bound_.wildcard() ? local_endpoint(accepted.socket.get()) : bound_;
  }
  process_.doorstep.receive(std::move(accepted.socket), std::move(caller));
}

}  // namespace banyan::driver
