// BANYAN_* variables: one line for each, in the order of options.hpp.
#include "api/environment.hh"

#include <initializer_list>
#include <limits>
#include <string_view>
#include <tuple>

#include "api/failures.hh"
#include "api/job_id.hh"
#include "api/launcher.hh"
#include "api/parse.hh"
#include "api/secret.hh"
#include "api/unknown_variables.hh"
#include "base/limits.hh"
#include "driver/sockets/rank_options.hh"

namespace banyan::api {
namespace {

constexpr int kMaxInt = std::numeric_limits<int>::max();
constexpr int kMaxRanks = static_cast<int>(kMaxWorldSize);

// Sets `option` to what the variable says, if it is set.
void read(const Environment& environment, const char* name, std::string& option) {
  if (auto text = environment.get(name)) option = *std::move(text);
}
void read(const Environment& environment, const char* name, int& option, int low, int high) {
  if (const auto number = environment.number(name, low, high)) option = *number;
}
void read(const Environment& environment, const char* name, Timeout& option) {
  const auto text = environment.get(name);
  if (!text) return;
  const auto duration = parse_duration(*text);
  if (!duration) throw_unreadable(name, *text, "a duration like 30, 500ms, 2m or none");
  option = *duration;
}
void read(const Environment& environment, const char* name, std::size_t& option) {
  const auto text = environment.get(name);
  if (!text) return;
  const auto bytes = parse_bytes(*text);
  if (!bytes) throw_unreadable(name, *text, "a number of bytes like 4194304, 4M or 4MiB");
  option = *bytes;
}
// One of a few words.
template <typename Value>
void read(const Environment& environment, const char* name, Value& option,
          std::initializer_list<std::pair<std::string_view, Value>> words) {
  const auto text = environment.get(name);
  if (!text) return;
  std::string expected;
  for (const auto& [word, value] : words) {
    if (*text == word) {
      option = value;
      return;
    }
    expected += (expected.empty() ? "" : ", ") + std::string(word);
  }
  throw_unreadable(name, *text, "one of " + expected);
}

void read_secret(const Environment& environment, Options& options) {
  read(environment, "BANYAN_SECRET", options.secret);
  if (const auto path = environment.get("BANYAN_SECRET_FILE")) {
    if (!options.secret.empty()) {
      throw_misuse("BANYAN_SECRET and BANYAN_SECRET_FILE are both set: unset one, so that it is clear which counts");
    }
    options.secret = read_secret_file(*path);
  }
  if (const auto text = environment.get("BANYAN_ALLOW_NO_SECRET")) {
    const auto flag = parse_flag(*text);
    if (!flag) throw_unreadable("BANYAN_ALLOW_NO_SECRET", *text, "1 or 0");
    options.allow_no_secret = *flag;
  }
}

void read_process(const Environment& environment, Options& options) {
  read_secret(environment, options);
  read(environment, "BANYAN_HOST_NAME", options.host_name);
  read(environment, "BANYAN_HOST_ID", options.host_id);
  read(environment, "BANYAN_FAN_OUT", options.fan_out, static_cast<int>(kMinFanOut), static_cast<int>(kMaxFanOut));
  read(environment, "BANYAN_INTERFACE", options.interface);
  if (const auto text = environment.get("BANYAN_PORT_RANGE")) {
    const auto range = parse_port_range(*text);
    if (!range) throw_unreadable("BANYAN_PORT_RANGE", *text, "a range of ports like 5000-5100");
    std::tie(options.first_port, options.last_port) = *range;
  }
  read(environment, "BANYAN_TRANSPORT", options.transport, {{"auto", Transport::automatic}, {"tcp", Transport::tcp}});
  read(environment, "BANYAN_TABLE", options.table, {{"eager", Table::eager}, {"lazy", Table::lazy}});
  read(environment, "BANYAN_TIMEOUT", options.start_timeout);
  read(environment, "BANYAN_CALL_TIMEOUT", options.call_timeout);
  read(environment, "BANYAN_CLOSE_TIMEOUT", options.close_timeout);
  read(environment, "BANYAN_UNEXPECTED_BYTES", options.unexpected_bytes);
  read(environment, "BANYAN_STORE_BYTES", options.store_bytes);
  read(environment, "BANYAN_DIRECT_LINKS", options.direct_links, 0, kMostDirectLinks);
  read(environment, "BANYAN_DIRECT_BYTES", options.direct_bytes);
  read(environment, "BANYAN_DIRECT_MESSAGES", options.direct_messages, 1, kMaxInt);
  read(environment, "BANYAN_LOG", options.log_level,
       {{"debug", LogLevel::debug},
        {"info", LogLevel::info},
        {"warn", LogLevel::warning},
        {"warning", LogLevel::warning},
        {"error", LogLevel::error},
        {"off", LogLevel::off}});
}

void read_job(const Environment& environment, Options& options) {
  read(environment, "BANYAN_RANK", options.rank, 0, kMaxRanks - 1);
  read(environment, "BANYAN_WORLD_SIZE", options.world_size, 1, kMaxRanks);
  read(environment, "BANYAN_RENDEZVOUS", options.rendezvous);
  read(environment, "BANYAN_JOB_ID", options.job_id);
  read(environment, "BANYAN_LOCAL_RANK", options.local_rank, 0, kMaxRanks - 1);
  read(environment, "BANYAN_LOCAL_SIZE", options.local_size, 1, kMaxRanks);
  if (const auto list = environment.get("BANYAN_HOSTS")) options.hosts = split_list(*list);
  read(environment, "BANYAN_HOST_INDEX", options.host_index, 0, kMaxRanks - 1);
  read(environment, "BANYAN_BLOB", options.blob);
  read(environment, "BANYAN_RENDEZVOUS_FD", options.rendezvous_fd, 0, kMaxInt);
  read(environment, "BANYAN_PROGRESS_FD", options.progress_fd, 0, kMaxInt);
}

// What the launcher says, for all that BANYAN_* leaves open.
void read_launcher(const Environment& environment, Options& options) {
  if (options.rank >= 0) return;
  const std::optional<Launcher> launcher = find_launcher(environment);
  if (!launcher) return;
  options.launcher = launcher->name;
  options.rank = launcher->rank;
  if (options.world_size == 0) options.world_size = launcher->world_size;
  if (options.local_rank < 0) options.local_rank = launcher->local_rank;
  if (options.local_size == 0) options.local_size = launcher->local_size;
  if (options.host_index < 0) options.host_index = launcher->host_index;
  if (options.job_id.empty()) options.job_id = launcher->job_id;
  if (options.rendezvous.empty() && !launcher->root_host.empty() && !options.job_id.empty()) {
    options.rendezvous = driver::join_host_and_port(launcher->root_host, port_of(parse_job_id(options.job_id)));
  }
}

}  // namespace

void throw_unreadable(const char* name, const std::string& value, const std::string& expected) {
  throw_misuse(std::string(name) + " is \"" + value + "\", which is not " + expected + ": correct it or unset it");
}

std::optional<int> Environment::number(const char* name, int low, int high) const {
  const auto text = get(name);
  if (!text) return std::nullopt;
  const auto number = parse_number(*text);
  if (!number || *number < low || *number > high) {
    const std::string range = high == kMaxInt
                                  ? "a whole number from " + std::to_string(low) + " on"
                                  : "a whole number from " + std::to_string(low) + " to " + std::to_string(high);
    throw_unreadable(name, *text, range);
  }
  return static_cast<int>(*number);
}

Options options_from(const Environment& environment) {
  Options options;
  read_process(environment, options);
  read_job(environment, options);
  read_launcher(environment, options);
  return options;
}

Options process_options_from(const Environment& environment) {
  Options options;
  read_process(environment, options);
  return options;
}

}  // namespace banyan::api

namespace banyan {

Options Options::from_environment() {
  Options options = api::options_from(api::Environment::of_process());
  api::warn_of_unknown_variables(options.log_level);
  return options;
}

}  // namespace banyan
