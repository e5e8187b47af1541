// Coroutines of the driving thread: begun and left to themselves (spawn), or awaited by another one.
//
// GCC 12 forgets a coroutine's parameters and what stands before it where a co_await is part of a condition: name what
// it yields first.
//
// A task that has been spawned owns what it needs and ends by itself. Those that still wait when their reactor goes are
// destroyed by it (Tasks), innermost locals first, as if their waits had thrown.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace banyan::driver {

// The spawned tasks that have not ended: a ring of their promises.
class Tasks {
 public:
  class Link {
   public:
    Link() = default;
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    ~Link() { leave(); }

   private:
    friend class Tasks;
    void leave() {
      before_->after_ = after_;
      after_->before_ = before_;
      before_ = after_ = this;
    }
    Link* before_ = this;
    Link* after_ = this;
    std::coroutine_handle<> task_;
  };

  void add(Link& link, std::coroutine_handle<> task) {
    link.task_ = task;
    link.before_ = first_.before_;
    link.after_ = &first_;
    first_.before_->after_ = &link;
    first_.before_ = &link;
  }
  // None of them may be running.
  void destroy_all() {
    while (first_.after_ != &first_) first_.after_->task_.destroy();
  }

 private:
  Link first_;
};

template <typename Value>
class TaskOf;
using Task = TaskOf<void>;

namespace detail {

// Stays where it ends, for whoever awaits it; goes on there.
class TaskPromise {
 public:
  struct Final {
    bool await_ready() const noexcept { return false; }
    template <typename Type>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Type> task) const noexcept {
      return task.promise().awaiting;
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  Final final_suspend() const noexcept { return {}; }
  // It would leave an engine half fed: nothing could be said about the job any more.
  void unhandled_exception() const noexcept { std::terminate(); }

  std::coroutine_handle<> awaiting;
};

template <typename Value>
class ValuePromise : public TaskPromise {
 public:
  void return_value(Value value) { value_.emplace(std::move(value)); }
  Value take() { return *std::move(value_); }

 private:
  std::optional<Value> value_;
};

template <>
class ValuePromise<void> : public TaskPromise {
 public:
  void return_void() const noexcept {}
  void take() const noexcept {}
};

}  // namespace detail

// Runs when it is awaited or spawned, not before.
template <typename Value>
class [[nodiscard]] TaskOf {
 public:
  class promise_type : public detail::ValuePromise<Value> {
   public:
    TaskOf get_return_object() { return TaskOf(std::coroutine_handle<promise_type>::from_promise(*this)); }
  };

  TaskOf(TaskOf&& other) noexcept : task_(std::exchange(other.task_, nullptr)) {}
  TaskOf& operator=(TaskOf&&) = delete;
  ~TaskOf() {
    if (task_) task_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
    task_.promise().awaiting = awaiting;
    return task_;
  }
  Value await_resume() { return task_.promise().take(); }

 private:
  explicit TaskOf(std::coroutine_handle<promise_type> task) : task_(task) {}

  std::coroutine_handle<promise_type> task_;
};

namespace detail {

// The one that awaits a spawned task, and ends with it.
struct Spawned {
  struct promise_type {
    promise_type(Tasks& tasks, const Task&) {
      tasks.add(link, std::coroutine_handle<promise_type>::from_promise(*this));
    }
    Spawned get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }

    Tasks::Link link;
  };
};

inline Spawned run(Tasks&, Task task) { co_await task; }

}  // namespace detail

// Runs the task up to its first wait at once; what it needs it must own.
inline void spawn(Tasks& tasks, Task task) { detail::run(tasks, std::move(task)); }

}  // namespace banyan::driver
