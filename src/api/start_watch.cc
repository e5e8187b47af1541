#include "api/start_watch.hh"

#include <chrono>
#include <cstdint>
#include <memory>
#include <variant>

#include <fmt/format.h>

#include "driver/asio/clock.hh"
#include "wire/table.hh"

namespace banyan::api {

void StartWatch::on_done(const driver::Outcome& outcome) {
  const auto* table = std::get_if<std::shared_ptr<const wire::Table>>(&outcome);
  if (table != nullptr && (progress_.wanted() || log_.wants(LogLevel::info))) {
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(driver::now() - began_).count();
    const auto counted = [](std::uint32_t count, const char* what) {
      return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
    };
    const std::string text = fmt::format("formed {} on {} in {} ms", counted((*table)->world_size(), "rank"),
                                         counted((*table)->hosts(), "host"), milliseconds);
    progress_.line(text);
    log_.say(LogLevel::info, text);
  }
  std::function<void()> callback;
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
    callback = std::exchange(callback_, nullptr);
  }
  if (callback) callback();
}

void StartWatch::then(std::function<void()> callback) {
  {
    const std::lock_guard lock(mutex_);
    if (!done_) {
      callback_ = std::move(callback);
      return;
    }
  }
  callback();
}

}  // namespace banyan::api
