// A file in the JSON trace event format, which ui.perfetto.dev and chrome://tracing show: one event a line, written in
// large pieces.
#pragma once

#include <fstream>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace banyan::sim {

class TraceFile {
 public:
  // Makes the file, or empties it. Throws std::runtime_error with a sentence, as all of this does.
  explicit TraceFile(const std::string& path);

  void add(const nlohmann::ordered_json& event);
  // `about` goes beside the events. Nothing is added afterwards.
  void finish(const nlohmann::ordered_json& about);

 private:
  void flush();

  const std::string path_;
  std::ofstream file_;
  std::string waiting_;
  bool first_ = true;
};

}  // namespace banyan::sim
