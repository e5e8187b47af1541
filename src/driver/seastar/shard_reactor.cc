#include "driver/seastar/shard_reactor.hh"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <seastar/core/coroutine.hh>
#include <seastar/core/posix.hh>
#include <seastar/core/sleep.hh>
#include <seastar/coroutine/maybe_yield.hh>
#include <seastar/util/later.hh>
#include <system_error>
#include <utility>

#include "driver/sockets/clock.hh"

namespace banyan::driver {
namespace {

// Events in one look at the set; between two of them Seastar's other tasks may have their turn.
constexpr std::size_t kEventsPerLook = 256;
// When there is no descriptor left to wait with.
constexpr std::chrono::milliseconds kLookWithoutDescriptor{1};

Socket made(int descriptor, const char* what) {
  if (descriptor < 0) throw std::system_error(errno, std::generic_category(), what);
  return Socket(descriptor);
}

constexpr std::uint32_t bit_of(Watch::Readiness readiness) {
  return readiness == Watch::Readiness::read ? EPOLLIN : EPOLLOUT;
}

Address address_of(const seastar::net::inet_address& address) {
  Address result;
  if (address.is_ipv4()) {
    auto& four = reinterpret_cast<sockaddr_in&>(result.storage);
    four.sin_family = AF_INET;
    four.sin_addr = address;
    result.length = sizeof(four);
  } else {
    auto& six = reinterpret_cast<sockaddr_in6&>(result.storage);
    six.sin6_family = AF_INET6;
    six.sin6_addr = address;
    six.sin6_scope_id = address.scope();
    result.length = sizeof(six);
  }
  return result;
}

}  // namespace

// Stays in the set for what it has waited for, so that waiting again costs no system call; what nobody waits for any
// more is taken out when it happens.
class ShardWatch final : public Watch {
 public:
  ShardWatch(ShardReactor& reactor, Socket socket, std::uint32_t life)
      : reactor_(reactor), socket_(std::move(socket)), life_(life) {}
  ~ShardWatch() override {
    reactor_.watches_[static_cast<std::size_t>(socket_.get())] = nullptr;
    // Closing does not do it where another process has the same socket.
    if (entered_) ::epoll_ctl(reactor_.set_.get(), EPOLL_CTL_DEL, socket_.get(), nullptr);
    for (Waiter*& waiter : waiters_) {
      if (waiter != nullptr) reactor_.run_later([waiter] { waiter->resume(false); });
    }
  }

  std::uint32_t life() const { return life_; }
  // errno, or 0.
  int enter(std::uint32_t wanted) {
    epoll_event event{};
    event.events = wanted;
    event.data.u64 = (std::uint64_t{life_} << 32) | static_cast<std::uint32_t>(socket_.get());
    const int operation = entered_ ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (::epoll_ctl(reactor_.set_.get(), operation, socket_.get(), &event) != 0) return errno;
    entered_ = true;
    wanted_ = wanted;
    return 0;
  }

  void wait(Readiness readiness, Waiter& waiter) override {
    waiters_[static_cast<std::size_t>(readiness)] = &waiter;
    const std::uint32_t wanted = wanted_ | bit_of(readiness);
    if ((entered_ && wanted == wanted_) || enter(wanted) == 0) return;
    // No memory for it: a system call of the waiter's will say what is wrong, if anything is.
    waiters_[static_cast<std::size_t>(readiness)] = nullptr;
    reactor_.run_later([&waiter] { waiter.resume(true); });
  }

  void on_event(std::uint32_t events) {
    const bool broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
    std::array<Waiter*, 2> ready{};
    std::uint32_t still_wanted = 0;
    for (const Readiness readiness : {Readiness::read, Readiness::write}) {
      const std::uint32_t bit = bit_of(readiness);
      Waiter*& waiter = waiters_[static_cast<std::size_t>(readiness)];
      const bool happens = broken || (events & bit) != 0;
      if (waiter != nullptr || !happens) still_wanted |= wanted_ & bit;
      if (waiter != nullptr && happens) ready[static_cast<std::size_t>(readiness)] = std::exchange(waiter, nullptr);
    }
    if (ready[0] == nullptr && ready[1] == nullptr) leave(broken ? 0 : still_wanted);
    // Each of them may end this object.
    for (Waiter* waiter : ready) {
      if (waiter != nullptr) waiter->resume(true);
    }
  }

 private:
  // Nobody waits for what has happened: it would happen again and again.
  void leave(std::uint32_t still_wanted) {
    if (still_wanted != 0 && enter(still_wanted) == 0) return;
    ::epoll_ctl(reactor_.set_.get(), EPOLL_CTL_DEL, socket_.get(), nullptr);
    entered_ = false;
    wanted_ = 0;
  }

  ShardReactor& reactor_;
  Socket socket_;
  const std::uint32_t life_;
  bool entered_ = false;
  std::uint32_t wanted_ = 0;
  std::array<Waiter*, 2> waiters_{};
};

ShardReactor::ShardReactor()
    : set_(made(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      waker_(made(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = static_cast<std::uint32_t>(waker_.get());
  if (::epoll_ctl(set_.get(), EPOLL_CTL_ADD, waker_.get(), &event) != 0)
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  timer_.set_callback([this] { ring(now()); });
  (void)seastar::with_gate(running_, [this] { return dispatch(); });
}

ShardReactor::~ShardReactor() = default;

seastar::future<> ShardReactor::stop() {
  stopping_ = true;
  timer_.cancel();
  work_.clear();  // for what is gone
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(waker_.get(), &one, sizeof(one));
  if (resolver_) co_await resolver_->close();
  co_await running_.close();
}

seastar::future<> ShardReactor::dispatch() {
  std::vector<epoll_event> events(kEventsPerLook);
  for (seastar::pollable_fd copy;;) {
    // Another one each time: with io_uring Seastar 25.05 can wait for one but once. Held until then, so that a place
    // for the next is free.
    copy = {};
    const int descriptor = ::fcntl(set_.get(), F_DUPFD_CLOEXEC, 0);
    if (descriptor >= 0) {
      copy = seastar::pollable_fd(seastar::file_desc::from_fd(descriptor));
      co_await copy.readable();
    } else {
      co_await seastar::sleep(kLookWithoutDescriptor);
    }
    if (stopping_) co_return;
    const int count = ::epoll_wait(set_.get(), events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < count; ++i) {
      dispatch_one(events[static_cast<std::size_t>(i)]);
      co_await seastar::coroutine::maybe_yield();
      if (stopping_) co_return;
    }
  }
}

void ShardReactor::dispatch_one(const epoll_event& event) {
  const std::size_t descriptor = event.data.u64 & 0xffff'ffff;
  ShardWatch* const watch = descriptor < watches_.size() ? watches_[descriptor] : nullptr;
  if (watch != nullptr && watch->life() == event.data.u64 >> 32) watch->on_event(event.events);
}

void ShardReactor::run_later(std::function<void()> work) {
  work_.push_back(std::move(work));
  if (std::exchange(work_scheduled_, true) || running_.is_closed()) return;
  (void)seastar::with_gate(running_, [this] { return seastar::yield().then([this] { do_work(); }); });
}

// noexcept: an exception would leave an engine half fed.
void ShardReactor::do_work() noexcept {
  work_scheduled_ = false;
  // What is added meanwhile waits until others have had their turn.
  for (std::size_t count = work_.size(); count > 0 && !work_.empty(); --count) {
    const std::function<void()> work = std::move(work_.front());
    work_.pop_front();
    work();
  }
}

std::unique_ptr<Watch> ShardReactor::watch(Socket socket, std::error_code& error) {
  const auto descriptor = static_cast<std::size_t>(socket.get());
  auto watch = std::make_unique<ShardWatch>(*this, std::move(socket), ++last_life_);
  if (watches_.size() <= descriptor) watches_.resize(2 * descriptor + 1);
  watches_[descriptor] = watch.get();
  // Most are read from first.
  if (const int refused = watch->enter(EPOLLIN); refused != 0) {
    error = std::error_code(refused, std::generic_category());
    return nullptr;
  }
  return watch;
}

void ShardReactor::look_up(const std::string& host, std::function<void(Resolved)> answer) {
  if (stopping_) return;
  const auto ask = [this, host] {
    if (!resolver_) resolver_.emplace();
    return resolver_->get_host_by_name(host);
  };
  (void)seastar::with_gate(running_, [this, ask, host, answer = std::move(answer)] {
    return seastar::futurize_invoke(ask).then_wrapped(
        [this, host, answer](seastar::future<seastar::net::hostent> found) {
          Resolved resolved;
          try {
            for (const auto& address : found.get().addr_list) resolved.addresses.push_back(address_of(address));
          } catch (const std::exception& error) {
            resolved.error = "can't resolve \"" + host + "\": " + error.what();
          }
          if (!stopping_) answer(std::move(resolved));
        });
  });
}

void ShardReactor::arm(Time due) { timer_.rearm(to_system(due)); }

}  // namespace banyan::driver
