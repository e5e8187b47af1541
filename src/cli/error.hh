// What stops the program itself: one sentence for the user and the exit code that goes with it.
// Thrown anywhere in cli/, caught in main and where a child process takes over from it.
#pragma once

#include <stdexcept>
#include <string>

namespace banyan::cli {

// The codes that timeout, env and the shells use, so that scripts can tell the tool's failures from the ranks'.
inline constexpr int kExitBadInput = 2;
inline constexpr int kExitOwnFailure = 125;
inline constexpr int kExitNotExecutable = 126;
inline constexpr int kExitNotFound = 127;
inline constexpr int kExitSignalBase = 128;

class Error : public std::runtime_error {
 public:
  Error(int exit_code, const std::string& text) : std::runtime_error(text), exit_code_(exit_code) {}
  int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

// "cannot make a pipe: Too many open files", from errno as it is now.
Error system_error(const std::string& what);

}  // namespace banyan::cli
