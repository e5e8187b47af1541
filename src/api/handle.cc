#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <banyan/handle.hpp>

#include "api/handle_implementation.hh"
#include "driver/asio/runtime.hh"

namespace banyan {

Handle::Handle() noexcept = default;
Handle::~Handle() = default;
Handle::Handle(const Handle&) noexcept = default;
Handle::Handle(Handle&&) noexcept = default;
Handle& Handle::operator=(const Handle&) noexcept = default;
Handle& Handle::operator=(Handle&&) noexcept = default;
Handle::Handle(std::shared_ptr<Implementation> implementation) noexcept : implementation_(std::move(implementation)) {}

void Handle::Implementation::expect_own_process() const {
  if (!operation_->forked() || operation_->done()) return;
  api::throw_misuse(*speaker_, ErrorPhase::running,
                    "the operation belongs to the parent process; in a child of fork() it will never be done");
}

bool Handle::Implementation::wait_until(Time deadline) const {
  expect_own_process();
  if (!operation_->done() && driver::Runtime::in_callback()) {
    api::throw_misuse(*speaker_, ErrorPhase::running,
                      "waiting in a callback of Banyan would never end: go on in the operation's own callback");
  }
  return operation_->wait_until(deadline);
}

const driver::Outcome& Handle::Implementation::result() const {
  const driver::Outcome& outcome = operation_->outcome();
  if (const auto* failure = std::get_if<Failure>(&outcome)) throw api::to_error(*failure, *speaker_);
  return outcome;
}

const Payload& Handle::Implementation::message(std::size_t index) const {
  wait_until(kNever);
  const driver::Outcome& outcome = result();
  if (const auto* payload = std::get_if<Payload>(&outcome); payload != nullptr && index == 0) return *payload;
  if (const auto* payloads = std::get_if<std::vector<Payload>>(&outcome);
      payloads != nullptr && index < payloads->size()) {
    return (*payloads)[index];
  }
  api::throw_misuse(*speaker_, ErrorPhase::running, "the operation brought no message " + std::to_string(index));
}

Bytes Handle::Implementation::view(std::size_t index) const {
  const Payload& whole = message(index);
  if (whole.empty()) return {};
  if (whole.slice_count() == 1) return whole.slice(0).bytes();
  const std::lock_guard lock(mutex_);
  Slice& flattened = flattened_[index];
  if (flattened.empty()) flattened = whole.flatten();
  return flattened.bytes();
}

int Handle::Implementation::source() const {
  const Rank source = operation_->source();
  if (source == kNoRank) return -1;
  const int job_rank = static_cast<int>(raw(source));
  return group_ ? group_->rank_of(job_rank) : job_rank;
}

void Handle::Implementation::on_done(std::function<void()> callback) const {
  expect_own_process();
  if (operation_->forked()) {
    callback();
  } else if (watch_) {
    watch_->then(std::move(callback));
  } else {
    operation_->on_done([callback = std::move(callback)](const driver::Outcome&) { callback(); });
  }
}

bool Handle::test() const noexcept { return implementation_->operation().done(); }

void Handle::wait() const {
  implementation_->wait_until(kNever);
  implementation_->result();
}

bool Handle::wait_for(Timeout timeout) const {
  const bool forever = timeout.is_default() || timeout.is_none();
  const Time deadline = forever ? kNever : after(driver::now(), timeout.duration());
  if (!implementation_->wait_until(deadline)) return false;
  implementation_->result();
  return true;
}

int Handle::fd() const {
  implementation_->expect_own_process();
  const int descriptor = implementation_->operation().descriptor();
  if (descriptor < 0) {
    throw Error(ErrorCode::resources, ErrorPhase::running,
                "banyan: no descriptor left to signal an operation with: raise the limit (ulimit -n)");
  }
  return descriptor;
}

void Handle::on_done(std::function<void()> callback) const { implementation_->on_done(std::move(callback)); }

std::size_t Handle::message_count() const {
  wait();
  const driver::Outcome& outcome = implementation_->operation().outcome();
  if (const auto* payloads = std::get_if<std::vector<Payload>>(&outcome)) return payloads->size();
  return std::holds_alternative<Payload>(outcome) ? 1 : 0;
}

int Handle::source() const {
  wait();
  return implementation_->source();
}

std::size_t Handle::size(std::size_t index) const { return implementation_->message(index).size(); }

void Handle::copy(void* to, std::size_t index) const {
  implementation_->message(index).copy_to(static_cast<std::byte*>(to));
}

MessageView Handle::view(std::size_t index) const {
  const Bytes bytes = implementation_->view(index);
  return {bytes.data(), bytes.size()};
}

std::vector<MessageView> Handle::pieces(std::size_t index) const {
  const Payload& message = implementation_->message(index);
  std::vector<MessageView> pieces;
  pieces.reserve(message.slice_count());
  for (std::size_t i = 0; i < message.slice_count(); ++i)
    pieces.emplace_back(message.slice(i).data(), message.slice(i).size());
  return pieces;
}

void Handle::expect_size(std::size_t index, std::size_t size) const {
  const std::size_t actual = this->size(index);
  if (actual == size) return;
  const std::string text = "message " + std::to_string(index) + " has " + std::to_string(actual) +
                           " bytes, and the caller expects a value of " + std::to_string(size) +
                           ": all ranks must use the same type";
  throw api::to_error({FailureCode::mismatch, Phase::running, {}, {}, text}, implementation_->speaker());
}

}  // namespace banyan
