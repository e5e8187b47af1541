#include "api/reports.hh"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include <fmt/format.h>

#include "driver/sockets/clock.hh"
#include "wire/table.hh"

namespace banyan::api {

void Reports::follow(driver::RankOptions& rank) const {
  rank.on_notice = [self = *this](const node::effect::Notice& notice) {
    if (notice.progress) self.progress_.line(notice.text);
    const bool warning = notice.level == node::effect::Notice::Level::warning;
    self.log_.say(warning ? LogLevel::warning : LogLevel::info, notice.text);
  };
  // Whoever waits for an operation is told by its error; this is for those who only read the log.
  rank.on_failed = [log = log_](const Failure& failure) {
    log.say(LogLevel::info, fmt::format("{}: {}", to_string(failure.phase), failure.text));
  };
}

void Reports::formed(Time began, const driver::Outcome& outcome) const {
  const auto* table = std::get_if<std::shared_ptr<const wire::Table>>(&outcome);
  if (table == nullptr || !(progress_.wanted() || log_.wants(LogLevel::info))) return;
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(driver::now() - began).count();
  const auto counted = [](std::uint32_t count, const char* what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
  };
  const std::string text = fmt::format("formed {} on {} in {} ms", counted((*table)->world_size(), "rank"),
                                       counted((*table)->hosts(), "host"), milliseconds);
  progress_.line(text);
  log_.say(LogLevel::info, text);
}

}  // namespace banyan::api
