#include "results.hh"

#include <sched.h>
#include <sys/utsname.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <optional>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <banyan/version.hpp>

#include "statistics.hh"

namespace banyan::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kColdStart = "cold start";
constexpr const char* kMemory = "memory of the start";
constexpr const char* kFloors[] = {"floor", "floor-tcp"};

std::string after_colon(const std::string& path, const std::string& key) {
  std::ifstream lines(path);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(key, 0) != 0) continue;
    const std::size_t at = line.find_first_not_of(" \t", line.find(':') + 1);
    if (at != std::string::npos) return line.substr(at);
  }
  return "unknown";
}

double rounded(double value) { return std::stod(fmt::format("{:.6g}", value)); }

Json json_of(const Statistics& s) {
  return {{"min", rounded(s.min)},       {"max", rounded(s.max)}, {"mean", rounded(s.mean)},
          {"median", rounded(s.median)}, {"p99", rounded(s.p99)}, {"stddev", rounded(s.stddev)}};
}

// The results of one number of ranks and hosts.
using Block = std::vector<Json>;

std::vector<Block> blocks(const Json& json) {
  std::map<std::pair<int, std::pair<int, int>>, Block> found;  // one host first, then by ranks of each
  for (const Json& result : json.at("results")) {
    const int hosts = result.at("hosts");
    const int ranks = result.at("ranks");
    found[{hosts == 1 ? 0 : ranks / hosts, {ranks, hosts}}].push_back(result);
  }
  std::vector<Block> all;
  for (auto& [shape, block] : found) all.push_back(std::move(block));
  return all;
}

const Json* find(const Block& block, const std::string& implementation, const std::string& metric) {
  for (const Json& result : block) {
    if (result.at("impl") == implementation && result.at("metric") == metric) return &result;
  }
  return nullptr;
}

// Those samples that are first starts, or those that are not.
std::vector<double> select(const std::vector<double>& samples, const std::vector<std::size_t>& firsts, bool first) {
  std::vector<double> selected;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if ((std::ranges::find(firsts, i) != firsts.end()) == first) selected.push_back(samples[i]);
  }
  return selected;
}

// The samples that a column is about: cold starts for "cold start" and memory, whose growth a later start does not
// show; warm ones for all other figures, so that starts of new processes are not set beside starts of old ones.
std::vector<double> samples_of(const Json& result) {
  const std::string metric = result.at("metric");
  const auto samples = result.at("samples").get<std::vector<double>>();
  if (metric == kColdStart) return samples;
  return select(samples, result.at("first").get<std::vector<std::size_t>>(), metric == kMemory);
}

// None: there are none of that kind.
std::optional<Statistics> statistics_of(const Json* result) {
  if (result == nullptr) return std::nullopt;
  std::vector<double> samples = samples_of(*result);
  // What follows a start is the same whether it was a first one.
  if (samples.empty() && result->at("unit") != "ms" && result->at("metric") != kMemory)
    samples = result->at("samples").get<std::vector<double>>();
  if (samples.empty()) return std::nullopt;
  return statistics(std::move(samples));
}

std::string cell(const Block& block, const std::string& implementation, const std::string& metric, const char* form) {
  const auto found = statistics_of(find(block, implementation, metric));
  return found ? fmt::format(fmt::runtime(form), found->median) : "";
}

std::string ratio(const Block& block, const std::string& implementation, const std::string& other,
                  const std::string& metric) {
  const auto found = statistics_of(find(block, implementation, metric));
  const auto base = statistics_of(find(block, other, metric));
  if (!found || !base || implementation == other || base->median <= 0) return "";
  return fmt::format("{:.2f}", found->median / base->median);
}

// In the order of `implementations`, not in that in which they were measured.
std::vector<std::string> names(const Json& json, const Block& block) {
  std::vector<std::string> all;
  for (const auto& [name, description] : json.at("implementations").items()) {
    if (std::ranges::any_of(block, [&](const Json& result) { return result.at("impl") == name; })) all.push_back(name);
  }
  return all;
}

std::string starts_table(const Json& json, const Block& block) {
  std::string floor = kFloors[0];
  if (find(block, floor, "start") == nullptr) floor = kFloors[1];
  std::string table = fmt::format(
      "| | start, ms: median | quartiles | min - max | x {0} | x banyan | cold, ms | x {0} | x banyan | CPU us per "
      "rank | "
      "busiest process, us | TCP | Unix | MiB |\n|---|{1}\n",
      floor, "---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
  for (const std::string& name : names(json, block)) {
    const auto start = statistics_of(find(block, name, "start"));
    const std::string times = start ? fmt::format("{:.2f} | {:.2f} - {:.2f} | {:.2f} - {:.2f}", start->median,
                                                  start->lower_quartile, start->upper_quartile, start->min, start->max)
                                    : " | | ";
    table += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n", name, times,
                         ratio(block, name, floor, "start"), ratio(block, name, "banyan", "start"),
                         cell(block, name, kColdStart, "{:.2f}"), ratio(block, name, floor, kColdStart),
                         ratio(block, name, "banyan", kColdStart), cell(block, name, "start CPU per rank", "{:.0f}"),
                         cell(block, name, "start CPU, busiest process", "{:.0f}"),
                         cell(block, name, "TCP connections", "{:.0f}"),
                         cell(block, name, "Unix connections", "{:.0f}"), cell(block, name, kMemory, "{:.1f}"));
  }
  return table;
}

std::string calls_table(const Json& json, const Block& block) {
  std::vector<std::string> metrics;
  for (const Json& result : block) {
    const std::string metric = result.at("metric");
    const bool is_call = result.at("unit") == "us" && metric.find("CPU") == std::string::npos;
    if (is_call && std::ranges::find(metrics, metric) == metrics.end()) metrics.push_back(metric);
  }
  if (metrics.empty()) return {};
  std::string table = "| us, median |";
  std::string line = "|---|";
  for (const std::string& metric : metrics) {
    table += " " + metric + " |";
    line += "---:|";
  }
  table += "\n" + line + "\n";
  for (const std::string& name : names(json, block)) {
    std::string row = "| " + name + " |";
    bool any = false;
    for (const std::string& metric : metrics) {
      const std::string one = cell(block, name, metric, "{:.1f}");
      any = any || !one.empty();
      row += " " + one + " |";
    }
    if (any) table += row + "\n";
  }
  return table;
}

}  // namespace

Results::Results(Json machine, Json settings)
    : head_{{"machine", std::move(machine)},
            {"settings", std::move(settings)},
            {"implementations", Json::object()},
            {"gaps", Json::array()}} {}

void Results::describe(const Implementation& implementation) {
  head_["implementations"][implementation.name()] = {{"what", implementation.what()},
                                                     {"version", implementation.version()}};
}

void Results::gap(const std::string& implementation, int ranks, int hosts, const std::string& reason) {
  head_["gaps"].push_back({{"impl", implementation}, {"ranks", ranks}, {"hosts", hosts}, {"reason", reason}});
}

void Results::add(const Key& key, const std::string& unit, double value, bool first) {
  const auto [at, is_new] = series_.try_emplace(key);
  if (is_new) {
    order_.push_back(key);
    at->second.unit = unit;
  }
  if (first) at->second.first.push_back(at->second.samples.size());
  at->second.samples.push_back(rounded(value));
}

void Results::add(const Implementation& implementation, const Shape& shape, const std::vector<Found>& found,
                  bool first) {
  const auto put = [&](const std::string& metric, const std::string& unit, double value) {
    add({implementation.name(), shape.ranks, shape.host_count(), metric}, unit, value, first);
  };
  for (const Found& one : found) {
    if (!one.offered) continue;
    if (one.phase.kind != Phase::Kind::start) {
      const double calls = one.phase.kind == Phase::Kind::send_and_receive ? 2.0 * one.phase.times : one.phase.times;
      put(one.phase.name(), "us", one.slowest_ms * 1e3 / calls);
      put(one.phase.name() + ", CPU per rank", "us", one.cpu_us / calls / shape.ranks);
      continue;
    }
    put("start", "ms", one.slowest_ms);
    if (first) put(kColdStart, "ms", one.slowest_ms);
    put("start CPU per rank", "us", one.cpu_us / shape.ranks);
    put("start CPU, busiest process", "us", one.cpu_us_busiest);
    put(kMemory, "MiB", static_cast<double>(one.memory_kib) / 1024);
    put("TCP connections", "connections", static_cast<double>(one.counted.tcp_connections));
    put("Unix connections", "connections", static_cast<double>(one.counted.unix_connections));
    double rest = one.slowest_ms;
    for (std::size_t step = 0; step < implementation.steps().size(); ++step) {
      put("step: " + implementation.steps()[step], "ms", one.steps_ms.at(step));
      rest -= one.steps_ms.at(step);
    }
    if (!implementation.steps().empty()) put("step: rest", "ms", std::max(0.0, rest));
    put("IP bytes", "bytes", static_cast<double>(one.counted.ip_bytes));
  }
}

Json Results::json() const {
  Json json = head_;
  json["results"] = Json::array();
  for (const Key& key : order_) {
    const auto& [implementation, ranks, hosts, metric] = key;
    const Series& series = series_.at(key);
    Json result{
        {"impl", implementation}, {"ranks", ranks}, {"hosts", hosts}, {"metric", metric}, {"unit", series.unit}};
    result.update(json_of(statistics(series.samples)));
    result["samples"] = series.samples;
    if (metric != kColdStart) result["first"] = series.first;
    if (const std::vector<double> warm = select(series.samples, series.first, false); !warm.empty()) {
      result["without_first"] = json_of(statistics(warm));
    }
    json["results"].push_back(std::move(result));
  }
  return json;
}

Json machine() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  ::sched_getaffinity(0, sizeof(cores), &cores);
  utsname system{};
  ::uname(&system);
  double load = 0;
  ::getloadavg(&load, 1);
  const double gib = std::strtod(after_colon("/proc/meminfo", "MemTotal").c_str(), nullptr) / (1 << 20);
  return {{"date", fmt::format("{:%F}", fmt::gmtime(std::chrono::system_clock::now()))},
          {"cores", CPU_COUNT(&cores)},
          {"cpu", after_colon("/proc/cpuinfo", "model name")},
          {"memory", fmt::format("{:.0f} GiB", gib)},
          {"kernel", system.release},
          {"compiler", fmt::format("GCC {}", __VERSION__)},
          {"build", BANYAN_BENCH_BUILD_TYPE},
          {"banyan", BANYAN_VERSION_STRING},
          {"load_before", rounded(load)}};
}

std::string text(const Json& json) {
  std::string all = "{\n";
  for (const auto& [key, value] : json.items()) {
    if (key != "results") all += fmt::format(" {}: {},\n", Json(key).dump(), value.dump());
  }
  all += " \"results\": [";
  const char* separator = "\n  ";
  for (const Json& result : json.at("results")) {
    all += separator + result.dump();
    separator = ",\n  ";
  }
  return all + "\n ]\n}\n";
}

std::string csv(const Json& json) {
  std::string all = "impl,ranks,hosts,metric,unit,count,min,max,mean,median,p99,stddev,without_first_median\n";
  for (const Json& r : json.at("results")) {
    all += fmt::format("{},{},{},\"{}\",{},{}", r.at("impl").get<std::string>(), r.at("ranks").get<int>(),
                       r.at("hosts").get<int>(), r.at("metric").get<std::string>(), r.at("unit").get<std::string>(),
                       r.at("samples").size());
    for (const char* const key : {"min", "max", "mean", "median", "p99", "stddev"}) {
      all += fmt::format(",{}", r.at(key).get<double>());
    }
    all += r.contains("without_first") ? fmt::format(",{}\n", r.at("without_first").at("median").get<double>()) : ",\n";
  }
  return all;
}

std::string tables(const Json& json) {
  std::string all;
  for (const auto& [key, value] : json.at("machine").items()) {
    all += fmt::format("{}{}: {}", all.empty() ? "" : "; ", key,
                       value.is_string() ? value.get<std::string>() : value.dump());
  }
  all += "\n";
  for (const Block& block : blocks(json)) {
    const int hosts = block.front().at("hosts");
    all += fmt::format("\n**{} ranks{}**\n\n{}", block.front().at("ranks").get<int>(),
                       hosts == 1 ? "" : fmt::format(" on {} hosts", hosts), starts_table(json, block));
    if (const std::string calls = calls_table(json, block); !calls.empty()) all += "\n" + calls;
  }
  if (!json.at("gaps").empty()) all += "\nNot measured, or not as often as asked for:\n\n";
  for (const Json& gap : json.at("gaps")) {
    const int ranks = gap.at("ranks");
    const int hosts = gap.at("hosts");
    all += fmt::format("- {}{}{}: {}\n", gap.at("impl").get<std::string>(),
                       ranks == 0 ? "" : fmt::format(", {} ranks", ranks),
                       hosts > 1 ? fmt::format(" on {} hosts", hosts) : "", gap.at("reason").get<std::string>());
  }
  return all;
}

}  // namespace banyan::bench
