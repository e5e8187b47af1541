#include "sim/scenario_file.hh"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <functional>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <utility>
#include <variant>

#include "base/limits.hh"
#include "sim/costs_file.hh"

namespace banyan::sim {
namespace {

// --- words ---------------------------------------------------------------------------------------------------------

struct Unit {
  const char* name;
  Duration length;
};
constexpr std::array kUnits{Unit{"s", std::chrono::seconds(1)}, Unit{"ms", std::chrono::milliseconds(1)},
                            Unit{"us", std::chrono::microseconds(1)}, Unit{"ns", std::chrono::nanoseconds(1)}};

// In the greatest unit that loses nothing.
std::string time_text(Duration time) {
  const auto exact = [&](const Unit& unit) { return time.count() % unit.length.count() == 0; };
  const Unit& unit = time == Duration{} ? kUnits[2] : *std::find_if(kUnits.begin(), kUnits.end(), exact);
  return std::to_string(time / unit.length) + unit.name;
}

// The number that the word begins with, and what stands behind it.
std::optional<std::pair<std::uint64_t, std::string>> split_number(const std::string& word) {
  std::uint64_t value = 0;
  const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{}) return std::nullopt;
  return std::pair(value, word.substr(static_cast<std::size_t>(stop - word.data())));
}

std::uint64_t number_of(const std::string& word, std::uint64_t least, std::uint64_t greatest) {
  const auto split = split_number(word);
  if (!split || !split->second.empty() || split->first < least || split->first > greatest) {
    throw std::runtime_error("expected a whole number from " + std::to_string(least) + " to " +
                             std::to_string(greatest) + ", not '" + word + "'");
  }
  return split->first;
}

Duration time_of(const std::string& word) {
  if (const auto split = split_number(word)) {
    for (const Unit& unit : kUnits) {
      const auto most = static_cast<std::uint64_t>(kLongestFaultTime / unit.length);
      if (split->second == unit.name && split->first <= most) {
        return unit.length * static_cast<std::int64_t>(split->first);
      }
    }
  }
  throw std::runtime_error("expected a time of up to " + time_text(kLongestFaultTime) +
                           ", as in 200us, 20ms or 1s, not '" + word + "'");
}

bool yes_or_no(const std::string& word) {
  if (word != "yes" && word != "no") throw std::runtime_error("expected yes or no, not '" + word + "'");
  return word == "yes";
}

// --- settings ------------------------------------------------------------------------------------------------------

using Field = std::variant<std::uint32_t*, std::uint64_t*, Duration*, bool*, Costs*>;

struct Setting {
  const char* name;
  Field (*field)(Scenario& scenario);
  std::uint64_t least = 0;  // of a number
  std::uint64_t greatest = UINT32_MAX;
};

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 40;
constexpr const char* kNoCosts = "none";

constexpr std::array kSettings{
    Setting{"seed", [](Scenario& s) -> Field { return &s.seed; }, 0, UINT64_MAX},
    Setting{"ranks", [](Scenario& s) -> Field { return &s.job.ranks; }, 1, kMaxWorldSize},
    Setting{"ranks-per-host", [](Scenario& s) -> Field { return &s.job.ranks_per_host; }, 1, kMaxWorldSize},
    Setting{"fan-out", [](Scenario& s) -> Field { return &s.job.fan_out; }, kMinFanOut, kMaxFanOut},
    Setting{"listed-hosts", [](Scenario& s) -> Field { return &s.job.listed_hosts; }},
    Setting{"secret", [](Scenario& s) -> Field { return &s.job.secret; }},
    Setting{"blob-bytes", [](Scenario& s) -> Field { return &s.job.blob_bytes; }, 0, kMaxBlobBytes},
    Setting{"lazy-table", [](Scenario& s) -> Field { return &s.job.lazy_table; }},
    Setting{"shared-from-bytes", [](Scenario& s) -> Field { return &s.job.enclose_bytes; }, 1, kMostBytes},
    Setting{"message-window-bytes", [](Scenario& s) -> Field { return &s.job.message_window_bytes; }, kChunkBytes,
            kMostBytes},
    Setting{"direct-links", [](Scenario& s) -> Field { return &s.job.direct_links; }},
    Setting{"direct-messages", [](Scenario& s) -> Field { return &s.job.direct_messages; }, 1},
    Setting{"direct-bytes", [](Scenario& s) -> Field { return &s.job.direct_bytes; }, 1, kMostBytes},
    Setting{"arrival", [](Scenario& s) -> Field { return &s.job.arrival; }},
    // A rank makes all its calls at once.
    Setting{"operations", [](Scenario& s) -> Field { return &s.operations; }, 0, kMaxCollectivesInFlight},
    Setting{"latency", [](Scenario& s) -> Field { return &s.cluster.network.latency; }},
    Setting{"local-latency", [](Scenario& s) -> Field { return &s.cluster.network.local_latency; }},
    Setting{"jitter", [](Scenario& s) -> Field { return &s.cluster.network.jitter; }},
    Setting{"late-one-in", [](Scenario& s) -> Field { return &s.cluster.network.slow_one_in; }},
    Setting{"late-by", [](Scenario& s) -> Field { return &s.cluster.network.slow; }},
    Setting{"bytes-per-second", [](Scenario& s) -> Field { return &s.cluster.network.bytes_per_second; }, 0,
            kMostBytes},
    Setting{"hosts-per-rack", [](Scenario& s) -> Field { return &s.cluster.network.hosts_per_rack; }},
    Setting{"spine-latency", [](Scenario& s) -> Field { return &s.cluster.network.spine_latency; }},
    Setting{"rack-bytes-per-second", [](Scenario& s) -> Field { return &s.cluster.network.rack_bytes_per_second; }, 0,
            kMostBytes},
    Setting{"cores-per-host", [](Scenario& s) -> Field { return &s.cluster.cores_per_host; }},
    Setting{"one-machine", [](Scenario& s) -> Field { return &s.cluster.one_machine; }},
    Setting{"accept-queue", [](Scenario& s) -> Field { return &s.cluster.accept_queue; }, 1},
    Setting{"clock-spread", [](Scenario& s) -> Field { return &s.cluster.clock_spread; }},
    Setting{"socket-buffer", [](Scenario& s) -> Field { return &s.cluster.socket_buffer; }, 0, kMostBytes},
    Setting{"read-bytes", [](Scenario& s) -> Field { return &s.cluster.read_bytes; }, 1, kMostBytes},
    Setting{"small-read-bytes", [](Scenario& s) -> Field { return &s.cluster.small_read; }, 0, kMostBytes},
    // What `banyan calibrate` writes, on one line, or "none".
    Setting{"costs", [](Scenario& s) -> Field { return &s.cluster.costs; }},
};

struct ReadField {
  const Setting& setting;
  const std::string& word;

  template <typename Number>
  void operator()(Number* number) const {
    *number = static_cast<Number>(number_of(word, setting.least, setting.greatest));
  }
  void operator()(Duration* time) const { *time = time_of(word); }
  void operator()(bool* yes) const { *yes = yes_or_no(word); }
  void operator()(Costs* costs) const { *costs = word == kNoCosts ? Costs{} : parse_costs(word, "this"); }
};

struct WriteField {
  template <typename Number>
  std::string operator()(const Number* number) const {
    return std::to_string(*number);
  }
  std::string operator()(const Duration* time) const { return time_text(*time); }
  std::string operator()(const bool* yes) const { return *yes ? "yes" : "no"; }
  std::string operator()(const Costs* costs) const {
    std::string text = to_json(*costs);
    if (text == to_json(Costs{})) return kNoCosts;
    std::erase(text, '\n');
    return text;
  }
};

// --- faults --------------------------------------------------------------------------------------------------------

std::string word_of(FaultKind kind) {
  std::string word(to_string(kind));
  std::replace(word.begin(), word.end(), ' ', '-');
  return word;
}
std::string word_of(JobPhase phase) { return std::string(to_string(phase)); }

template <typename Enum>
std::optional<Enum> find_word(const std::string& word, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    if (word_of(static_cast<Enum>(i)) == word) return static_cast<Enum>(i);
  }
  return std::nullopt;
}
template <typename Enum>
std::string all_words(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += (i == 0 ? "" : ", ") + word_of(static_cast<Enum>(i));
  return text;
}

// The words of a line behind the first, one after the other.
class Words {
 public:
  explicit Words(const std::string& text) : stream_(text) {}
  // Empty: there is none.
  std::string next() {
    std::string word;
    stream_ >> word;
    return word;
  }

 private:
  std::istringstream stream_;
};

Fault parse_fault(FaultKind kind, Words words) {
  Fault fault{.kind = kind};
  if (const std::string word = words.next(); word != "rank") {
    throw std::runtime_error("expected 'rank' after '" + word_of(kind) + "', not '" + word + "'");
  }
  fault.rank = static_cast<std::uint32_t>(number_of(words.next(), 0, kMaxWorldSize - 1));
  const std::string phase = words.next();
  const auto known = find_word<JobPhase>(phase, kJobPhases);
  if (!known) {
    throw std::runtime_error("expected a phase, " + all_words<JobPhase>(kJobPhases) + ", not '" + phase + "'");
  }
  fault.phase = *known;
  std::string word = words.next();
  if (word == "after") {
    fault.wait = time_of(words.next());
    word = words.next();
  }
  if (word == "for") {
    fault.length = time_of(words.next());
    if (!fault.lasts()) throw std::runtime_error("'" + word_of(kind) + "' happens at once: leave out 'for'");
    word = words.next();
  }
  if (!word.empty()) throw std::runtime_error("did not expect '" + word + "': after TIME and for TIME end the line");
  if (fault.lasts() && fault.length == Duration{}) {
    throw std::runtime_error("'" + word_of(kind) + "' lasts: say how long, as in 'for 20ms'");
  }
  return fault;
}

// --- the file ------------------------------------------------------------------------------------------------------

class Reader {
 public:
  Reader(Scenario scenario, std::string where) : scenario_(std::move(scenario)), where_(std::move(where)) {}

  Scenario read(const std::string& text) {
    std::istringstream lines(text);
    std::string line;
    for (number_ = 1; std::getline(lines, line); ++number_) at_line(number_, [&] { read_line(line); });
    // A job's size may be said behind its faults.
    for (const auto& [fault, number] : fault_lines_) {
      at_line(number, [&, rank = scenario_.faults[fault].rank] {
        if (scenario_.job.ranks > 0 && rank >= scenario_.job.ranks) {
          throw std::runtime_error("there is no rank " + std::to_string(rank) + " in a job of " +
                                   std::to_string(scenario_.job.ranks));
        }
      });
    }
    return std::move(scenario_);
  }

 private:
  void at_line(std::size_t number, const std::function<void()>& act) const {
    try {
      act();
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(where_ + ":" + std::to_string(number) + ": " + error.what());
    }
  }
  void read_line(std::string line) {
    line.erase(std::min(line.find('#'), line.size()));
    const std::size_t begin = std::min(line.find_first_not_of(" \t\r"), line.size());
    const std::size_t end = std::min(line.find_first_of(" \t\r", begin), line.size());
    const std::string first = line.substr(begin, end - begin);
    if (first.empty()) return;
    if (const auto kind = find_word<FaultKind>(first, kFaultKinds)) {
      if (scenario_.faults.size() == kMostFaults) {
        throw std::runtime_error("more than " + std::to_string(kMostFaults) + " faults");
      }
      fault_lines_.emplace_back(scenario_.faults.size(), number_);
      scenario_.faults.push_back(parse_fault(*kind, Words(line.substr(end))));
    } else {
      read_setting(first, line.substr(end));
    }
  }
  void read_setting(const std::string& name, std::string rest) {
    const auto* setting =
        std::find_if(kSettings.begin(), kSettings.end(), [&](const Setting& known) { return name == known.name; });
    if (setting == kSettings.end()) {
      throw std::runtime_error("'" + name + "' is no fault (" + all_words<FaultKind>(kFaultKinds) +
                               ") and no setting of a job");
    }
    if (!said_.insert(name).second) throw std::runtime_error("'" + name + "' has been said before");
    rest.erase(0, std::min(rest.find_first_not_of(" \t"), rest.size()));
    rest.erase(rest.find_last_not_of(" \t\r") + 1);
    try {
      std::visit(ReadField{*setting, rest}, setting->field(scenario_));
    } catch (const std::runtime_error& error) {
      throw std::runtime_error("'" + name + "': " + error.what());
    }
  }

  Scenario scenario_;
  const std::string where_;
  std::size_t number_ = 0;
  std::vector<std::pair<std::size_t, std::size_t>> fault_lines_;  // (index, line)
  std::set<std::string> said_;
};

}  // namespace

Scenario parse_scenario(const std::string& text, const std::string& where, Scenario scenario) {
  return Reader(std::move(scenario), where).read(text);
}

Scenario read_scenario(const std::string& path, Scenario scenario) {
  std::ifstream file(path);
  // A folder opens, and can't be read.
  file.peek();
  if (!file.is_open() || file.bad()) throw std::runtime_error("can't read the faults file " + path);
  return parse_scenario({std::istreambuf_iterator<char>(file), {}}, path, std::move(scenario));
}

std::string to_line(const Fault& fault) {
  std::string text = word_of(fault.kind) + " rank " + std::to_string(fault.rank) + " " + word_of(fault.phase);
  if (fault.wait > Duration{}) text += " after " + time_text(fault.wait);
  if (fault.lasts()) text += " for " + time_text(fault.length);
  return text;
}

std::string to_file(const Scenario& scenario) {
  Scenario fields = scenario;
  std::string text;
  for (const Setting& setting : kSettings) {
    text += std::string(setting.name) + " " + std::visit(WriteField{}, setting.field(fields)) + "\n";
  }
  for (const Fault& fault : scenario.faults) text += to_line(fault) + "\n";
  return text;
}

}  // namespace banyan::sim
