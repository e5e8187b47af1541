// The log: lines to standard error, for the people who run the job. Nothing is set up before the first line.
#pragma once

#include <string_view>

#include <banyan/options.hpp>

#include "api/failures.hh"

namespace banyan::api {

// What one bootstrap says, under its own prefix and from its own level on. Any thread.
class Log {
 public:
  // Where a line goes, its prefix included. Any thread.
  using Sink = void (*)(LogLevel level, std::string_view line);

  Log() = default;
  // To standard error, or to the sink.
  Log(LogLevel level, Speaker speaker, Sink sink = nullptr)
      : level_(level), speaker_(std::move(speaker)), sink_(sink) {}

  bool wants(LogLevel level) const { return level >= level_ && level < LogLevel::off; }
  void say(LogLevel level, std::string_view text) const;

 private:
  LogLevel level_ = LogLevel::warning;
  Speaker speaker_;
  Sink sink_ = nullptr;
};

// Whether rank 0 should warn of it.
bool lacks_secret(const Options& options);
// Says, once in the life of the process, that `rendezvous` is open to everyone.
void warn_of_missing_secret(const Log& log, std::string_view rendezvous);

}  // namespace banyan::api
