#include "api/unknown_variables.hh"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <set>
#include <string_view>
#include <utility>

#include "api/log.hh"

namespace banyan::api {
namespace {

constexpr std::string_view kPrefix = "BANYAN_";
// Letters that may be wrong, missing or too many in a name that is still taken for another.
constexpr std::size_t kMostSlips = 2;

// All that is asked for when nothing is set: so the list is that of the code that reads.
std::set<std::string> known_names() {
  std::set<std::string> names;
  options_from(Environment([&](const char* name) -> const char* {
    names.insert(name);
    return nullptr;
  }));
  return names;
}

// Levenshtein's: how many letters to change, add or take away.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({changed, row[j] + 1, row[j + 1] + 1}));
    }
  }
  return row.back();
}

std::string remark_on(const std::string& name, const std::set<std::string>& known) {
  const auto nearest = std::ranges::min_element(known, {}, [&](const std::string& k) { return distance(name, k); });
  const std::string remark = name + " is set, and Banyan knows no such variable";
  return distance(name, *nearest) <= kMostSlips ? remark + ": did you mean " + *nearest + "?" : remark;
}

std::vector<std::string> names_of_process() {
  std::vector<std::string> names;
  for (char** variable = ::environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    names.emplace_back(text.substr(0, text.find('=')));
  }
  return names;
}

}  // namespace

std::vector<std::string> remarks_on(const Environment& environment, const std::vector<std::string>& names) {
  std::vector<std::string> remarks;
  const std::set<std::string> known = known_names();
  for (const std::string& name : names) {
    if (name.starts_with(kPrefix) && !known.contains(name)) remarks.push_back(remark_on(name, known));
  }
  if (environment.has("BANYAN_HOST_INDEX") && !environment.has("BANYAN_HOSTS"))
    remarks.emplace_back("BANYAN_HOST_INDEX is set without BANYAN_HOSTS, and counts for nothing: set both or none");
  return remarks;
}

void warn_of_unknown_variables(LogLevel level) {
  static std::atomic_flag said;
  if (said.test_and_set()) return;
  const Log log(level, Speaker{});
  for (const std::string& remark : remarks_on(Environment::of_process(), names_of_process()))
    log.say(LogLevel::warning, remark);
}

}  // namespace banyan::api
