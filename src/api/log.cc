#include "api/log.hh"

#include <atomic>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace banyan::api {
namespace {

// Not in spdlog's registry: the application's settings are its own. Never destroyed, since Banyan's thread may still
// have something to say while the process exits.
spdlog::logger& logger() {
  static auto* const instance = [] {
    auto* made = new spdlog::logger("banyan", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_level(spdlog::level::debug);
    made->set_pattern("[%H:%M:%S.%e] [%n] [%l] %v");
    return made;
  }();
  return *instance;
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return spdlog::level::debug;
    case LogLevel::info: return spdlog::level::info;
    case LogLevel::warning: return spdlog::level::warn;
    case LogLevel::error: return spdlog::level::err;
    case LogLevel::off: break;
  }
  return spdlog::level::off;
}

}  // namespace

void Log::say(LogLevel level, std::string_view text) const {
  if (!wants(level)) return;
  const std::string line = fmt::format("{}{}", speaker_.prefix(), text);
  sink_ != nullptr ? sink_(level, line) : logger().log(spdlog_level(level), line);
}

bool lacks_secret(const Options& options) {
  return options.rank == 0 && options.world_size > 1 && options.secret.empty() && !options.allow_no_secret;
}

void warn_of_missing_secret(const Log& log, std::string_view rendezvous) {
  static std::atomic_flag said;
  if (said.test_and_set()) return;
  log.say(LogLevel::warning,
          fmt::format(
              "NO JOB SECRET IS SET: whoever can reach {} can take part in this job or break it. Start it with `banyan "
              "run`, or give all ranks the same BANYAN_SECRET or BANYAN_SECRET_FILE; BANYAN_ALLOW_NO_SECRET=1 says "
              "that it is meant so",
              rendezvous));
}

}  // namespace banyan::api
