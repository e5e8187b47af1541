// HierarchicalBootstrap for programs that run on Seastar: the same operations as seastar::future, on the shard that
// makes them, without a thread or lock of Banyan's own. Its ranks and those of HierarchicalBootstrap form one job.
// Needs a Banyan that was built with Seastar; link banyan::seastar.
//
//   banyan::SeastarBootstrap bootstrap;
//   bootstrap.init(banyan::Options::from_environment());
//   co_await bootstrap.start();
//   auto message = co_await bootstrap.broadcast(0, std::move(greeting));   // rank 0's, at all
//   auto everyone = co_await bootstrap.allgather(std::move(mine));
//   co_await bootstrap.barrier(std::chrono::seconds(5));
//   co_await bootstrap.send(target, std::move(bytes));
//   co_await bootstrap.stop();
//
// What an operation does, its arguments, limits and errors are those of HierarchicalBootstrap
// (hierarchical_bootstrap.hpp); here stands what differs.
//
// Shards: an object belongs to the shard that calls init(). One process may hold many ranks, on any shards: put them
// into a seastar::sharded<SeastarBootstrap>, and give each a rank of its own in init(). Every shard has its own sockets
// and listeners, so that no connection is handed from one to another; a BANYAN_PORT_RANGE needs as many ports as shards
// that listen.
//
// Processes: a child of fork() is not for Seastar, nor for this.
//
// Futures: begun when they are made, in that order, so that two calls may be in flight without waiting for the first.
// They fail with banyan::Error, or as the abort_source says; misuse, too, is a failed future and changes nothing. The
// object must live until they are done; stop() ends what is pending with ErrorCode::closed.
//
// Messages: seastar::temporary_buffer<char>. What is handed in is sent from where it lies, not copied, but for messages
// that ranks of a host read in shared memory (broadcasts and results of 1 MiB or more). What comes back is where it was
// received: in one piece of a larger block that lives as long as the buffer, and so may hold more memory than its size.
// A message that came in several pieces is copied together. Not to be written to: others may share it.
//
// GCC 12 destroys twice what a conditional expression yields within a co_await: give what it yields a name before.
//
// Collective operations: the order of the calls is the order of the operations, whether their futures are awaited or
// not.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <seastar/core/abort_source.hh>
#include <seastar/core/future.hh>
#include <seastar/core/lowres_clock.hh>
#include <seastar/core/temporary_buffer.hh>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <banyan/error.hpp>
#include <banyan/hierarchical_bootstrap.hpp>
#include <banyan/message.hpp>
#include <banyan/options.hpp>
#include <banyan/timeout.hpp>

namespace banyan {

using Buffer = seastar::temporary_buffer<char>;

// Until when an operation may go on: for a time, to a time of seastar::lowres_clock, until an abort_source says that it
// is enough, or both. By default Options::call_timeout. When it is aborted its future fails with the source's exception
// (by default seastar::abort_requested_exception), and the operation ends as one that has timed out: a collective one
// counts as called.
class Until {
 public:
  Until() noexcept = default;
  Until(Timeout timeout) noexcept : timeout_(timeout) {}  // NOLINT(google-explicit-constructor)
  template <typename Number, typename Period>
  Until(std::chrono::duration<Number, Period> time) noexcept : timeout_(time) {}  // NOLINT(google-explicit-constructor)
  // One that has passed: the operation times out at once.
  Until(seastar::lowres_clock::time_point deadline) noexcept  // NOLINT(google-explicit-constructor)
      : deadline_(deadline) {}
  Until(seastar::abort_source& source) noexcept : source_(&source) {}  // NOLINT(google-explicit-constructor)
  Until(Until other, seastar::abort_source& source) noexcept
      : timeout_(other.timeout_), deadline_(other.deadline_), source_(&source) {}

  // From now on.
  Timeout timeout() const noexcept {
    if (!deadline_) return timeout_;
    return std::max(*deadline_ - seastar::lowres_clock::now(), seastar::lowres_clock::duration::zero());
  }
  seastar::abort_source* source() const noexcept { return source_; }

 private:
  Timeout timeout_;
  std::optional<seastar::lowres_clock::time_point> deadline_;
  seastar::abort_source* source_ = nullptr;
};

class SeastarBootstrap {
 public:
  SeastarBootstrap();
  // stop() it first: here, what is pending ends, and the others may lose this rank.
  ~SeastarBootstrap();
  SeastarBootstrap(SeastarBootstrap&&) noexcept;
  SeastarBootstrap& operator=(SeastarBootstrap&&) noexcept;

  // ---- Beginning and end

  // Throw Error (misuse).
  void init(Options options);
  void set_blob(std::string_view blob);

  // Joins the job, within Options::start_timeout.
  seastar::future<> start();
  seastar::future<> start(seastar::abort_source& source);
  // Takes leave of the others and ends all connections (HierarchicalBootstrap::close); of a communicator: this rank is
  // done with it. Fails never. Of one that was not started, or stopped before: nothing.
  seastar::future<> stop();

  // ---- The job

  int rank() const;
  int world_size() const;
  int job_rank(int rank) const;
  std::string host_of(int rank) const;
  Statistics statistics() const;
  seastar::future<Buffer> peer_blob(int rank, Until until = {}) {
    return one(call({.kind = Kind::peer_blob, .rank = rank}, until));
  }

  // ---- Collective operations on messages

  // Brings the root's message to all, the root included. Other ranks' `message` is ignored.
  seastar::future<Buffer> broadcast(int root, Buffer message, Until until = {}) {
    return one(call({.kind = Kind::broadcast, .rank = root}, until, std::move(message)));
  }
  seastar::future<std::vector<Buffer>> allgather(Buffer message, Until until = {}) {
    return all(call({.kind = Kind::allgather}, until, std::move(message)));
  }
  seastar::future<std::vector<Buffer>> gather(int root, Buffer message, Until until = {}) {
    return all(call({.kind = Kind::gather, .rank = root}, until, std::move(message)));
  }
  // `parts` of all but the root are ignored.
  seastar::future<Buffer> scatter(int root, std::vector<Buffer> parts, Until until = {}) {
    return one(call({.kind = Kind::scatter, .rank = root}, until, std::move(parts)));
  }
  seastar::future<std::vector<Buffer>> alltoall(std::vector<Buffer> parts, Until until = {}) {
    return all(call({.kind = Kind::alltoall}, until, std::move(parts)));
  }
  seastar::future<> barrier(Until until = {}) { return done(call({.kind = Kind::barrier}, until)); }
  // Of these ranks alone, this one among them.
  seastar::future<> barrier(std::vector<int> ranks, Until until = {});

  // ---- Communicators of some of the ranks: stop() them before the job.

  // Of color kNoColor valid() is false.
  seastar::future<SeastarBootstrap> split(int color, int key = 0, Until until = {}) {
    return made(call({.kind = Kind::split, .color = color, .order = key}, until));
  }
  seastar::future<SeastarBootstrap> duplicate(Until until = {}) { return split(0, rank(), until); }
  seastar::future<SeastarBootstrap> group(const std::vector<int>& ranks) {
    return made(call({.kind = Kind::group, .ranks = &ranks}, {}));
  }
  bool valid() const noexcept { return implementation_ != nullptr; }

  // ---- Reductions. The elements are copied before the call returns.

  template <typename Element>
  seastar::future<std::vector<Element>> reduce(int root, const std::vector<Element>& elements, Reduction reduction,
                                               Until until = {}) {
    return elements_of<Element>(call(reduction_call(Kind::reduce, root, elements, reduction), until));
  }
  template <typename Element>
  seastar::future<std::vector<Element>> allreduce(const std::vector<Element>& elements, Reduction reduction,
                                                  Until until = {}) {
    return elements_of<Element>(call(reduction_call(Kind::allreduce, -1, elements, reduction), until));
  }
  // One number.
  template <typename Element>
  requires std::is_arithmetic_v<Element> seastar::future<Element> allreduce(Element element, Reduction reduction,
                                                                            Until until = {}) {
    return value_of<Element>(
        call(reduction_call(Kind::allreduce, -1, std::vector<Element>{element}, reduction), until));
  }
  template <typename Element>
  seastar::future<std::vector<Element>> reduce_scatter(const std::vector<Element>& elements, Reduction reduction,
                                                       Until until = {}) {
    return elements_of<Element>(call(reduction_call(Kind::reduce_scatter, -1, elements, reduction), until));
  }
  template <typename Element>
  seastar::future<std::vector<Element>> reduce_scatter(const std::vector<Element>& elements,
                                                       const std::vector<std::size_t>& counts, Reduction reduction,
                                                       Until until = {}) {
    detail::Call made = reduction_call(Kind::reduce_scatter, -1, elements, reduction);
    made.counts = &counts;
    return elements_of<Element>(call(made, until));
  }
  template <typename Element>
  seastar::future<std::vector<Element>> scan(const std::vector<Element>& elements, Reduction reduction,
                                             Until until = {}) {
    return elements_of<Element>(call(reduction_call(Kind::scan, -1, elements, reduction), until));
  }
  template <typename Element>
  seastar::future<std::vector<Element>> exclusive_scan(const std::vector<Element>& elements, Reduction reduction,
                                                       Until until = {}) {
    return elements_of<Element>(call(reduction_call(Kind::exclusive_scan, -1, elements, reduction), until));
  }

  // ---- Messages between two ranks

  seastar::future<> send(int target, Buffer message, std::uint32_t tag = 0, Until until = {}) {
    return done(call({.kind = Kind::send, .rank = target, .tag = tag}, until, std::move(message)));
  }
  seastar::future<Buffer> recv(int source, std::uint32_t tag = 0, Until until = {}) {
    return one(call({.kind = Kind::recv, .rank = source, .tag = tag}, until));
  }
  seastar::future<std::pair<int, Buffer>> recv_any(std::uint32_t tag = 0, Until until = {}) {
    return call({.kind = Kind::recv_any, .tag = tag}, until).then([](Result result) {
      return std::pair<int, Buffer>(result.source, std::move(result.messages.front()));
    });
  }
  seastar::future<std::optional<MessageInfo>> probe(int source, std::uint32_t tag = 0) {
    return found(call({.kind = Kind::probe, .rank = source, .tag = tag}, {}), tag);
  }
  seastar::future<std::optional<MessageInfo>> probe_any(std::uint32_t tag = 0) {
    return found(call({.kind = Kind::probe_any, .tag = tag}, {}), tag);
  }
  seastar::future<Buffer> sendrecv(int target, Buffer message, int source, std::uint32_t tag = 0, Until until = {});
  seastar::future<> connect(int peer, Until until = {}) {
    return done(call({.kind = Kind::connect, .rank = peer}, until));
  }

  // ---- A store of keys and values. Keys and values are copied before the call returns.

  seastar::future<> put(std::string_view key, MessageView value, Until until = {}) {
    return done(call({.kind = Kind::put, .message = value, .key = key}, until));
  }
  seastar::future<Buffer> get(std::string_view key, Until until = {}) {
    return one(call({.kind = Kind::get, .key = key}, until));
  }
  seastar::future<std::optional<Buffer>> find(std::string_view key, Until until = {}) {
    return call({.kind = Kind::find, .key = key}, until).then([](Result result) { return message_at(result, 0); });
  }
  seastar::future<std::int64_t> add(std::string_view key, std::int64_t delta, Until until = {}) {
    return value_of<std::int64_t>(call({.kind = Kind::add, .key = key, .delta = delta}, until));
  }
  seastar::future<Exchanged<Buffer>> compare_set(std::string_view key, std::optional<MessageView> expected,
                                                 MessageView desired, Until until = {}) {
    return call(
               {.kind = Kind::compare_set, .message = desired, .key = key, .expected = expected ? &*expected : nullptr},
               until)
        .then([](Result result) {
          return Exchanged<Buffer>{from_bytes<bool>(result.messages.front()), message_at(result, 1)};
        });
  }
  seastar::future<bool> remove(std::string_view key, Until until = {}) {
    return value_of<bool>(call({.kind = Kind::remove, .key = key}, until));
  }

  // ---- The same for values (trivially copyable objects)

  template <typename Value>
  seastar::future<Value> broadcast_value(int root, const Value& value, Until until = {}) {
    return value_of<Value>(call({.kind = Kind::broadcast, .rank = root, .message = MessageView::of(value)}, until));
  }
  template <typename Value>
  seastar::future<std::vector<Value>> allgather_value(const Value& value, Until until = {}) {
    return values_of<Value>(call({.kind = Kind::allgather, .message = MessageView::of(value)}, until));
  }
  template <typename Value>
  seastar::future<std::vector<Value>> gather_value(int root, const Value& value, Until until = {}) {
    return values_of<Value>(call({.kind = Kind::gather, .rank = root, .message = MessageView::of(value)}, until));
  }
  template <typename Value>
  seastar::future<Value> scatter_value(int root, const std::vector<Value>& values, Until until = {}) {
    const auto views = detail::value_views_of(values);
    return value_of<Value>(call({.kind = Kind::scatter, .rank = root, .parts = &views}, until));
  }
  template <typename Value>
  seastar::future<std::vector<Value>> alltoall_value(const std::vector<Value>& values, Until until = {}) {
    const auto views = detail::value_views_of(values);
    return values_of<Value>(call({.kind = Kind::alltoall, .parts = &views}, until));
  }
  template <typename Value>
  seastar::future<> send_value(int target, const Value& value, std::uint32_t tag = 0, Until until = {}) {
    return done(call({.kind = Kind::send, .rank = target, .message = MessageView::of(value), .tag = tag}, until));
  }
  template <typename Value>
  seastar::future<Value> recv_value(int source, std::uint32_t tag = 0, Until until = {}) {
    return value_of<Value>(call({.kind = Kind::recv, .rank = source, .tag = tag}, until));
  }
  template <typename Value>
  seastar::future<> put_value(std::string_view key, const Value& value, Until until = {}) {
    return put(key, MessageView::of(value), until);
  }
  template <typename Value>
  seastar::future<Value> get_value(std::string_view key, Until until = {}) {
    return value_of<Value>(call({.kind = Kind::get, .key = key}, until));
  }

 private:
  using Kind = detail::Call::Kind;
  class Implementation;

  struct Result {
    std::vector<Buffer> messages;
    int source = -1;
    std::shared_ptr<Implementation> communicator;  // of a split or group
  };

  explicit SeastarBootstrap(std::shared_ptr<Implementation> implementation);

  // The bytes of the call are copied, or are those of the buffers.
  seastar::future<Result> call(detail::Call call, Until until);
  seastar::future<Result> call(detail::Call call, Until until, Buffer message);
  seastar::future<Result> call(detail::Call call, Until until, std::vector<Buffer> parts);

  static seastar::future<> done(seastar::future<Result> result) { return result.discard_result(); }
  static seastar::future<Buffer> one(seastar::future<Result> result) {
    return result.then([](Result done) { return std::move(done.messages.front()); });
  }
  static seastar::future<std::vector<Buffer>> all(seastar::future<Result> result) {
    return result.then([](Result done) { return std::move(done.messages); });
  }
  static seastar::future<SeastarBootstrap> made(seastar::future<Result> result) {
    return result.then([](Result done) { return SeastarBootstrap(std::move(done.communicator)); });
  }
  static std::optional<Buffer> message_at(Result& result, std::size_t index) {
    if (result.messages.size() <= index) return std::nullopt;
    return std::move(result.messages[index]);
  }
  // Throws Error (mismatch) when the sizes differ: all ranks must use the same type.
  static void expect_size(std::size_t actual, std::size_t expected);
  template <typename Value>
  static Value from_bytes(const Buffer& message) {
    static_assert(std::is_trivially_copyable_v<Value>);
    expect_size(message.size(), sizeof(Value));
    Value value;
    std::memcpy(&value, message.get(), sizeof(Value));
    return value;
  }
  template <typename Value>
  static seastar::future<Value> value_of(seastar::future<Result> result) {
    return result.then([](Result done) { return from_bytes<Value>(done.messages.front()); });
  }
  template <typename Value>
  static seastar::future<std::vector<Value>> values_of(seastar::future<Result> result) {
    return result.then([](Result done) {
      std::vector<Value> values;
      values.reserve(done.messages.size());
      for (const Buffer& message : done.messages) values.push_back(from_bytes<Value>(message));
      return values;
    });
  }
  template <typename Element>
  static seastar::future<std::vector<Element>> elements_of(seastar::future<Result> result) {
    return result.then([](Result done) {
      const Buffer& bytes = done.messages.front();
      std::vector<Element> elements(bytes.size() / sizeof(Element));
      if (!elements.empty()) std::memcpy(elements.data(), bytes.get(), elements.size() * sizeof(Element));
      return elements;
    });
  }
  static seastar::future<std::optional<MessageInfo>> found(seastar::future<Result> result, std::uint32_t tag) {
    return result.then([tag](Result done) -> std::optional<MessageInfo> {
      if (done.messages.empty() || done.messages.front().empty()) return std::nullopt;
      return MessageInfo{done.source, tag, static_cast<std::size_t>(from_bytes<std::uint64_t>(done.messages.front()))};
    });
  }
  template <typename Element>
  static detail::Call reduction_call(Kind kind, int root, const std::vector<Element>& elements, Reduction reduction) {
    return {.kind = kind,
            .rank = root,
            .message = MessageView(elements.data(), elements.size() * sizeof(Element)),
            .reduction = reduction,
            .element = detail::element_type<Element>(),
            .count = elements.size()};
  }

  std::shared_ptr<Implementation> implementation_;
};

}  // namespace banyan
