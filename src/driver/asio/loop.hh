// Who drives: the one thread at a time that runs the io_context, and with it every engine, socket and timer of the
// process. It is a thread that waits for an operation, or the background thread.
//
// The right to drive is a baton guarded by `mutex_`. A thread that waits takes it when it is free, and asks the
// background thread for it when no other thread waits: its operation then ends in the thread that wants to know,
// without a switch of threads. When it lays the baton down the background thread is made, if a rank needs one and there
// is none; it takes the baton at once when another thread waits, and otherwise after kGrace, so that one blocking call
// after the other finds it free. Everything else reaches the driving thread by post().
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include "base/failure.hh"
#include "driver/asio/name_service.hh"
#include "driver/asio/park.hh"
#include "driver/asio/waitable.hh"
#include "driver/asio/watch.hh"
#include "driver/sockets/reactor.hh"

namespace banyan::driver {

class Loop final : public Reactor {
 public:
  // Called on the driving thread when the background thread is needed and can't be made.
  using NoThread = std::function<void(const std::string& reason)>;

  // Asked on the driving thread: whether a rank must be driven while no thread waits. Then a thread that waited and
  // lays the baton down starts the background thread.
  using NeedsThread = std::function<bool()>;

  Loop(NeedsThread needs_thread, NoThread no_thread);
  ~Loop() override;

  // --- from any thread ---

  // Runs `work` on the driving thread, after what is ready already; in the order of posting.
  template <typename Work>
  void post(Work&& work) {
    asio::post(io_, std::forward<Work>(work));
  }
  // The same at once and without waiting when nobody drives just then, so that work that nobody waits for is done.
  template <typename Work>
  void post_or_run(Work&& work) {
    post(std::forward<Work>(work));
    if (!on_driving_thread()) run_ready();
  }
  // Returns once `work` has run on the driving thread.
  template <typename Work>
  void run(Work work) {
    if (on_driving_thread()) return work();
    Waitable finished;
    post([this, &work, &finished] {
      work();
      const std::lock_guard lock(mutex_);
      signal(finished);
    });
    wait(finished, kNever);
    // The driving thread may have set `finished` and not be done with it yet.
    const std::lock_guard lock(mutex_);
  }
  // Blocks until `waitable` is signalled (true) or the deadline has passed, and drives when nobody else does. In a
  // child of fork() there is nothing to wait for: false at once.
  bool wait(Waitable& waitable, Time deadline);
  // Ends the waiting. The caller holds mutex(): once that is free the waiter may go on and destroy the waitable.
  static void signal(Waitable& waitable) {
    waitable.done.store(true, std::memory_order_release);
    waitable.changed.notify_all();
  }
  // From now on the background thread drives, as soon as a waiting thread lets it.
  std::optional<Failure> run_in_background();
  // True in the thread that drives, also inside callbacks.
  bool on_driving_thread() const { return driver_.load(std::memory_order_relaxed) == std::this_thread::get_id(); }
  // True in a thread that drives this or another loop.
  static bool this_thread_drives();
  // True in a child of the process that made this loop: then nothing here may be touched.
  bool forked() const { return forks() != forks_at_birth_; }
  std::mutex& mutex() { return mutex_; }

  // --- on the driving thread ---

  void run_later(std::function<void()> work) override { post(std::move(work)); }
  std::unique_ptr<Watch> watch(Socket socket, std::error_code& error) override {
    return watch_with_asio(io_, std::move(socket), error);
  }
  void look_up(const std::string& host, std::function<void(Resolved)> answer) override {
    names_.look_up(host, std::move(answer));
  }

  // --- at the end ---

  // Goes on until `done`, which is asked on the driving thread after each event; then no thread drives any more. Called
  // on the driving thread itself it returns at once, and that thread goes on alone. `owner` is kept until then.
  void finish(std::function<bool()> done, std::shared_ptr<const void> owner);

 private:
  void run_ready() noexcept;
  void take_baton(std::unique_lock<std::mutex>& lock);
  void lay_baton_down(std::unique_lock<std::mutex>& lock);
  void free_baton();
  void sleep(std::unique_lock<std::mutex>& lock, Waitable& waitable, Time deadline);
  // Under the mutex; why it can't be done, or empty. `parked`: it drives after kGrace.
  std::string start_background(bool parked);
  template <typename Stop>
  void drive(Stop stop, Time deadline) noexcept;
  void background_thread(bool parked);
  void arm(Time due) override;

  // How often this process and its ancestors have forked since Banyan was first used: no system call to ask.
  static unsigned forks();

  const unsigned forks_at_birth_ = forks();
  const NeedsThread needs_thread_;
  const NoThread no_thread_;
  asio::io_context io_{1};  // one thread at a time
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                             asio::io_context::executor_type>
      timer_{io_};
  NameService names_{*this};

  std::mutex mutex_;
  std::condition_variable baton_free_;
  bool driven_ = false;
  std::atomic<std::thread::id> driver_{};
  std::vector<Waitable*> sleepers_;  // those whose waiters sleep, and may have to wake up to drive
  std::thread background_;
  bool has_background_ = false;
  bool background_drives_ = false;
  Park park_;                              // where the background thread is while another drives
  std::atomic<bool> baton_wanted_{false};  // by another, from the background thread
  std::atomic<bool> finishing_{false};
  std::function<bool()> finished_;
  std::shared_ptr<const void> owner_;
};

}  // namespace banyan::driver
