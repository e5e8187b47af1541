#include "driver/asio/loop.hh"

#include <pthread.h>

#include <algorithm>

#include "base/assert.hh"
#include "driver/asio/quiet_thread.hh"
#include "driver/sockets/clock.hh"
#include "driver/sockets/own_sockets.hh"

namespace banyan::driver {
namespace {

// How long the background thread leaves the baton to a thread that may wait again right away. What others send to this
// rank waits that long; a shorter time than a switch of threads on a busy machine costs it nothing.
constexpr std::chrono::microseconds kGrace{200};

std::atomic<unsigned> fork_count{0};

thread_local int loops_driven = 0;

}  // namespace

Loop::Loop(NeedsThread needs_thread, NoThread no_thread)
    : needs_thread_(std::move(needs_thread)), no_thread_(std::move(no_thread)) {}

Loop::~Loop() { BANYAN_ASSERT(!background_.joinable()); }

bool Loop::this_thread_drives() { return loops_driven > 0; }

unsigned Loop::forks() {
  [[maybe_unused]] static const int registered = pthread_atfork(nullptr, nullptr, [] {
    ++fork_count;
    close_own_sockets();
  });
  return fork_count.load(std::memory_order_relaxed);
}

bool Loop::wait(Waitable& waitable, Time deadline) {
  const auto is_done = [&waitable] { return waitable.done.load(std::memory_order_acquire); };
  if (is_done()) return true;
  if (forked()) return false;
  BANYAN_ASSERT(!on_driving_thread());
  std::unique_lock lock(mutex_);
  while (!is_done()) {
    if (deadline != kNever && now() >= deadline) return false;
    if (driven_) {
      // Among several that wait the baton would only be handed around.
      if (background_drives_ && sleepers_.empty() && !baton_wanted_.exchange(true)) post([] {});
      sleep(lock, waitable, deadline);
      continue;
    }
    take_baton(lock);
    lock.unlock();
    drive(is_done, deadline);
    lock.lock();
    lay_baton_down(lock);
  }
  return true;
}

void Loop::sleep(std::unique_lock<std::mutex>& lock, Waitable& waitable, Time deadline) {
  sleepers_.push_back(&waitable);
  if (deadline == kNever) {
    waitable.changed.wait(lock);
  } else {
    waitable.changed.wait_until(lock, to_system(deadline));
  }
  sleepers_.erase(std::find(sleepers_.begin(), sleepers_.end(), &waitable));
}

// noexcept for the reason in drive().
void Loop::run_ready() noexcept {
  std::unique_lock lock(mutex_);
  if (driven_) return;
  take_baton(lock);
  lock.unlock();
  io_.poll();
  lock.lock();
  lay_baton_down(lock);
}

std::optional<Failure> Loop::run_in_background() {
  const std::lock_guard lock(mutex_);
  std::string reason = start_background(false);
  if (reason.empty()) return std::nullopt;
  return Failure{FailureCode::resources, Phase::setup, {}, {}, std::move(reason)};
}

void Loop::take_baton(std::unique_lock<std::mutex>& lock) {
  baton_free_.wait(lock, [this] { return !driven_; });
  driven_ = true;
  ++loops_driven;
  driver_.store(std::this_thread::get_id(), std::memory_order_relaxed);
}

void Loop::free_baton() {
  driven_ = false;
  --loops_driven;
  driver_.store({}, std::memory_order_relaxed);
  baton_free_.notify_one();
}

void Loop::lay_baton_down(std::unique_lock<std::mutex>& lock) {
  if (!finishing_ && needs_thread_()) {
    if (const std::string reason = start_background(true); !reason.empty()) {
      lock.unlock();
      no_thread_(reason);
      lock.lock();
    }
  }
  free_baton();
  if (has_background_) {
    park_.release_after(sleepers_.empty() ? kGrace : Duration::zero());
  } else if (!sleepers_.empty()) {
    sleepers_.front()->changed.notify_all();
  }
}

std::string Loop::start_background(bool parked) {
  if (has_background_) return {};
  if (!park_.open()) return "can't make a timer: no descriptor is left";
  try {
    background_ = quiet_thread([this, parked] { background_thread(parked); });
    has_background_ = true;
    return {};
  } catch (const std::system_error& error) {
    return std::string("can't make a thread: ") + error.what();
  }
}

template <typename Stop>
void Loop::drive(Stop stop, Time deadline) noexcept {
  // An exception out of a handler would leave an engine half fed: nothing could be said about the job any more.
  while (!stop()) {
    if (deadline == kNever) {
      io_.run_one();
    } else if (io_.run_one_until(to_system(deadline)) == 0) {
      return;
    }
  }
}

void Loop::background_thread(bool parked) {
  pthread_setname_np(pthread_self(), "banyan");
  const auto finished = [this] { return finishing_.load(std::memory_order_acquire) && finished_(); };
  const auto must_stop = [this, &finished] { return baton_wanted_.load(std::memory_order_relaxed) || finished(); };
  std::unique_lock lock(mutex_);
  for (bool done = false; !done;) {
    if (driven_ || parked) {
      // Whoever drives, or has just driven, says when it is time.
      parked = false;
      lock.unlock();
      park_.wait();
      lock.lock();
      continue;
    }
    take_baton(lock);
    background_drives_ = true;
    lock.unlock();
    drive(must_stop, kNever);
    done = finished();
    lock.lock();
    background_drives_ = false;
    baton_wanted_.store(false, std::memory_order_relaxed);
    free_baton();
    if (done) break;
    // The one who wanted the baton takes it, unless what it waits for is done by now.
    if (!sleepers_.empty()) sleepers_.front()->changed.notify_all();
    park_.release_after(kGrace);
    lock.unlock();
    park_.wait();
    lock.lock();
  }
  const std::shared_ptr<const void> owner = std::move(owner_);
  lock.unlock();
}

void Loop::finish(std::function<bool()> done, std::shared_ptr<const void> owner) {
  std::unique_lock lock(mutex_);
  finished_ = std::move(done);
  finishing_.store(true, std::memory_order_release);
  if (has_background_) {
    park_.release_after(Duration::zero());
    if (on_driving_thread()) {
      // In a callback: the background thread ends on its own, now or when this thread has laid the baton down.
      owner_ = std::move(owner);
      background_.detach();
      return;
    }
    lock.unlock();
    post([] {});  // so that it asks `finished_`
    background_.join();
  } else if (!on_driving_thread()) {
    take_baton(lock);
    lock.unlock();
    drive(finished_, kNever);
    lock.lock();
    lay_baton_down(lock);
  }
  // Else a thread that waits drives on, and drops what is left when it returns.
}

void Loop::arm(Time due) {
  timer_.expires_at(to_system(due));
  timer_.async_wait([this](const std::error_code& error) {
    // Aborted: armed anew for an earlier alarm.
    if (!error) ring(now());
  });
}

}  // namespace banyan::driver
