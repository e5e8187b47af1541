// What was measured, as JSON, as CSV and as tables. The JSON is
//
//   {"machine": {...}, "settings": {...}, "implementations": {NAME: {"what", "version"}},
//    "gaps": [{"impl", "ranks", "hosts", "reason"}],      why there are no figures, or fewer than asked for
//    "results": [{"impl", "ranks", "hosts", "metric", "unit", "min", "max", "mean", "median", "p99", "stddev",
//                 "samples": [...], "first": [...], "without_first": {"min", ..., "stddev"}}]}
//
// `first` are the places in `samples` of each process's first start of that implementation, `without_first` leaves them
// out, and "cold start" is those alone. Where a launcher starts the ranks, every start is a first one.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include <nlohmann/json.hpp>

#include "group.hh"

namespace banyan::bench {

class Results {
 public:
  explicit Results(nlohmann::ordered_json machine, nlohmann::ordered_json settings);

  void describe(const Implementation& implementation);
  // `first`: of this implementation in these processes.
  void add(const Implementation& implementation, const Shape& shape, const std::vector<Found>& found, bool first);
  // ranks 0: whatever their number.
  void gap(const std::string& implementation, int ranks, int hosts, const std::string& reason);

  nlohmann::ordered_json json() const;

 private:
  struct Series {
    std::string unit;
    std::vector<double> samples;
    std::vector<std::size_t> first;  // places in samples
  };
  using Key = std::tuple<std::string, int, int, std::string>;  // implementation, ranks, hosts, metric

  void add(const Key& key, const std::string& unit, double value, bool first);

  nlohmann::ordered_json head_;
  std::vector<Key> order_;
  std::map<Key, Series> series_;
};

// Nothing in it names the machine.
nlohmann::ordered_json machine();

// The results as lines with a head of names.
std::string csv(const nlohmann::ordered_json& json);
// For people; `floor` and "banyan" are compared with, where they were measured.
std::string tables(const nlohmann::ordered_json& json);
// One result a line, so that two files can be compared with diff.
std::string text(const nlohmann::ordered_json& json);

}  // namespace banyan::bench
