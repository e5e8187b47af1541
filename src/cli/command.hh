// The command that every rank runs: found once, so that a mistake is reported once and 1,024 ranks don't each search.
#pragma once

#include <string>
#include <vector>

namespace banyan::cli {

class Command {
 public:
  // Finds the first word along PATH unless it contains a slash. Throws Error with 127 or 126, as a shell would exit.
  explicit Command(std::vector<std::string> words);

  const char* path() const { return path_.c_str(); }
  char* const* arguments() { return arguments_.data(); }
  const std::string& name() const { return words_.front(); }

  // For a script without a `#!` line, which only a shell can run: the command becomes `/bin/sh script ...`.
  void run_by_shell();

 private:
  void make_arguments();

  std::vector<std::string> words_;
  std::string path_;
  std::vector<char*> arguments_;
};

}  // namespace banyan::cli
