// One operation that was begun and is done or not yet: what stands under the blocking calls and the futures. It is for
// callers that poll (a progress loop) or wait for many things at once (poll, epoll, io_uring).
//
//   banyan::Handle handle = bootstrap->begin_allgather("my address");
//   while (!handle.test()) do_something_else();
//   std::vector<std::string> everyone = handle.messages();   // or, in place: handle.view(0), handle.view(1), ...
//
// Copies speak of the same operation. Any thread may use a handle. A handle may be dropped at any time; the operation
// goes on without it. It may outlive its bootstrap: close() ends every operation with ErrorCode::closed. In a child of
// fork() an operation that was not done is refused with Error (misuse).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include <banyan/message.hpp>
#include <banyan/timeout.hpp>

namespace banyan {

class Handle {
 public:
  // Speaks of no operation, as one that was moved from: only valid(), assignment and destruction may be used.
  Handle() noexcept;
  ~Handle();
  Handle(const Handle&) noexcept;
  Handle(Handle&&) noexcept;
  Handle& operator=(const Handle&) noexcept;
  Handle& operator=(Handle&&) noexcept;
  bool valid() const noexcept { return implementation_ != nullptr; }

  // True when the operation is done, well or badly. Never blocks, makes no system call.
  bool test() const noexcept;
  // Blocks until it is done. Throws Error if it failed. The operation has its own deadline, so this needs none.
  void wait() const;
  // The same for a limited time: false when it is still going on then. Timeout{} and Timeout::none() wait for ever.
  bool wait_for(Timeout timeout) const;
  // A descriptor that becomes readable when the operation is done. Owned by the operation: don't read or close it.
  // Throws Error (resources) when the system has none left.
  int fd() const;
  // Calls `callback` once when the operation is done: at once here if it is already, else later in the thread that
  // carries Banyan's work on just then: its own, or any thread of yours that waits in Banyan. So it must not block, not
  // throw, and not lock what such a thread holds. It may begin operations, ask the bootstrap, and drop it (which then
  // closes without waiting for the others); what would wait throws Error (misuse) in it. At most one callback per
  // operation (futures use it as well).
  void on_done(std::function<void()> callback) const;

  // The result. Each of these waits first if need be, and throws Error if the operation failed.
  // How many messages it brought: allgather, alltoall, and gather at the root bring one per rank; gather elsewhere
  // none; find one or none, compare_set one or two; every other operation one, which is empty where there is nothing to
  // bring (barrier, send, reduce away from the root).
  std::size_t message_count() const;
  std::size_t size(std::size_t index = 0) const;
  // Copies message `index` to `to`, which has room for size(index) bytes.
  void copy(void* to, std::size_t index = 0) const;
  // Message `index` where it lies, to be read in place. The bytes belong to the operation: they stay where they are and
  // as they are while this handle or a copy of it lives, though the bootstrap be closed; they may be shared with other
  // processes, and must not be written to. Every view of a message has the same address. Nothing is copied where the
  // bytes lie in one piece, as large results that the ranks of a host share do; else the first view puts them together,
  // and the operation keeps that copy as well. Any threads may ask for views, and read them, at the same time.
  MessageView view(std::size_t index = 0) const;

  template <typename Message = std::string>
  Message message(std::size_t index = 0) const {
    static_assert(is_message<Message>,
                  "a message is a std::string or a std::vector of std::byte, char or unsigned char");
    const std::vector<MessageView> pieces = this->pieces(index);
    Message message;
    message.reserve(size(index));
    for (const MessageView& piece : pieces) {
      const auto* first = reinterpret_cast<const typename Message::value_type*>(piece.data());
      message.insert(message.end(), first, first + piece.size());
    }
    return message;
  }
  template <typename Message = std::string>
  std::vector<Message> messages() const {
    const std::size_t count = message_count();
    std::vector<Message> all;
    all.reserve(count);
    for (std::size_t i = 0; i < count; ++i) all.push_back(message<Message>(i));
    return all;
  }
  // The rank that sent the message, of a recv or recv_any; -1 of every other operation, and in a communicator where the
  // sender is not in it.
  int source() const;
  // Message `index` as the one value it holds; Error (mismatch) when it has another size.
  template <typename Value>
  Value value(std::size_t index = 0) const {
    static_assert(std::is_trivially_copyable_v<Value> && std::is_default_constructible_v<Value>);
    expect_size(index, sizeof(Value));
    Value value{};
    copy(&value, index);
    return value;
  }
  template <typename Value>
  std::vector<Value> values() const {
    const std::size_t count = message_count();
    std::vector<Value> all;
    all.reserve(count);
    for (std::size_t i = 0; i < count; ++i) all.push_back(value<Value>(i));
    return all;
  }
  // Message 0 as the elements that a reduction brought.
  template <typename Element>
  std::vector<Element> elements() const {
    const std::size_t count = size() / sizeof(Element);
    expect_size(0, count * sizeof(Element));
    const std::vector<MessageView> pieces = this->pieces(0);
    // In one piece, and where elements may lie: they need not be made first to be overwritten then.
    if (pieces.size() == 1 && reinterpret_cast<std::uintptr_t>(pieces[0].data()) % alignof(Element) == 0) {
      const auto* first = reinterpret_cast<const Element*>(pieces[0].data());
      return std::vector<Element>(first, first + count);
    }
    std::vector<Element> all(count);
    copy(all.data());
    return all;
  }

 private:
  friend class HierarchicalBootstrap;
  class Implementation;
  explicit Handle(std::shared_ptr<Implementation> implementation) noexcept;
  void expect_size(std::size_t index, std::size_t size) const;
  // Message `index` as it lies: pieces that make it up in this order, none of them empty.
  std::vector<MessageView> pieces(std::size_t index) const;

  std::shared_ptr<Implementation> implementation_;
};

}  // namespace banyan
