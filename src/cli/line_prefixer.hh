// Turns what one rank writes, in whatever pieces it comes, into whole lines that each name the rank.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace banyan::cli {

// A longer line is broken in pieces of this size: 1,024 ranks with two unfinished lines each hold at most 128 MiB.
inline constexpr std::size_t kMaxLineBytes = 64 * 1024;

class LinePrefixer {
 public:
  explicit LinePrefixer(std::string prefix) : prefix_(std::move(prefix)) {}

  // Appends to `out` every line that `bytes` completes.
  void feed(std::string_view bytes, std::string& out);
  // The end of the stream: a last line without a newline gets one.
  void finish(std::string& out);

 private:
  void emit(std::string& out);

  std::string prefix_;
  std::string partial_;
};

}  // namespace banyan::cli
