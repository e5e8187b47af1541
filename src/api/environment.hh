// Where variables come from: the process's environment, or a test's map. A variable that is set to nothing counts as
// not set, since that is what shells and job scripts mean by it.
#pragma once

#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include <banyan/options.hpp>

namespace banyan::api {

class Environment {
 public:
  // Null for a variable that is not set.
  using Lookup = std::function<const char*(const char* name)>;

  explicit Environment(Lookup lookup) : lookup_(std::move(lookup)) {}
  static Environment of_process() {
    return Environment([](const char* name) { return std::getenv(name); });
  }

  std::optional<std::string> get(const char* name) const {
    const char* const value = lookup_(name);
    return value == nullptr || *value == '\0' ? std::nullopt : std::optional<std::string>(value);
  }
  bool has(const char* name) const { return get(name).has_value(); }
  // A whole number in [low, high], if set; Error (misuse) naming the variable when it is anything else.
  std::optional<int> number(const char* name, int low, int high) const;

 private:
  Lookup lookup_;
};

// Error (misuse): "BANYAN_RANK is "x", which is not <expected>: correct it or unset it".
[[noreturn]] void throw_unreadable(const char* name, const std::string& value, const std::string& expected);

// Options::from_environment() for any environment.
Options options_from(const Environment& environment);
// Only what belongs to the process, not to a job: secret, deadlines, network, log.
Options process_options_from(const Environment& environment);

}  // namespace banyan::api
