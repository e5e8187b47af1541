#include "sim/trace_file.hh"

#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

namespace banyan::sim {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

// On one line, and valid whatever bytes a sentence has.
std::string line_of(const nlohmann::ordered_json& event) {
  return event.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

[[noreturn]] void complain(const std::string& path) {
  throw std::runtime_error("can't write the trace file " + path + ": " + std::generic_category().message(errno));
}

}  // namespace

TraceFile::TraceFile(const std::string& path) : path_(path), file_(path, std::ios::binary | std::ios::trunc) {
  if (!file_) complain(path_);
  waiting_ = "{\"traceEvents\":[\n";
}

void TraceFile::add(const nlohmann::ordered_json& event) {
  if (!std::exchange(first_, false)) waiting_ += ",\n";
  waiting_ += line_of(event);
  if (waiting_.size() >= kPieceBytes) flush();
}

void TraceFile::finish(const nlohmann::ordered_json& about) {
  waiting_ += "\n],\"displayTimeUnit\":\"ms\",\"otherData\":" + line_of(about) + "}\n";
  flush();
  file_.close();
  if (!file_) complain(path_);
}

void TraceFile::flush() {
  file_.write(waiting_.data(), static_cast<std::streamsize>(waiting_.size()));
  if (!file_) complain(path_);
  waiting_.clear();
}

}  // namespace banyan::sim
