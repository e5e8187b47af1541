#include "cli/command.hh"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

#include "base/assert.hh"
#include "cli/error.hh"

namespace banyan::cli {
namespace {

// What PATH is when it is not set, as execvp has it.
constexpr const char* kDefaultSearchPath = "/bin:/usr/bin";

// 0, or why this file can't be executed.
int why_not_executable(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return errno;
  if (S_ISDIR(status.st_mode)) return EISDIR;
  return ::access(path.c_str(), X_OK) == 0 ? 0 : errno;
}

std::string search(const std::string& name) {
  const char* variable = std::getenv("PATH");
  std::string_view directories = variable != nullptr ? variable : kDefaultSearchPath;
  bool found_unusable = false;
  while (true) {
    const std::size_t colon = directories.find(':');
    const std::string_view directory = directories.substr(0, colon);
    std::string path = fmt::format("{}/{}", directory.empty() ? "." : directory, name);
    const int error = why_not_executable(path);
    if (error == 0) return path;
    found_unusable = found_unusable || error == EACCES;
    if (colon == std::string_view::npos) break;
    directories.remove_prefix(colon + 1);
  }
  if (found_unusable) throw Error(kExitNotExecutable, fmt::format("cannot run '{}': it is not executable", name));
  throw Error(kExitNotFound, fmt::format("command not found: '{}'", name));
}

}  // namespace

Command::Command(std::vector<std::string> words) : words_(std::move(words)) {
  BANYAN_ASSERT(!words_.empty());
  if (name().empty()) throw Error(kExitNotFound, "command not found: ''");
  path_ = name();
  if (name().find('/') == std::string::npos) {
    path_ = search(name());
  } else if (const int error = why_not_executable(path_); error != 0) {
    const bool missing = error == ENOENT || error == ENOTDIR;
    throw Error(missing ? kExitNotFound : kExitNotExecutable,
                fmt::format("cannot run '{}': {}", name(), std::strerror(error)));
  }
  make_arguments();
}

void Command::run_by_shell() {
  words_.front() = path_;
  words_.insert(words_.begin(), "sh");
  path_ = "/bin/sh";
  make_arguments();
}

void Command::make_arguments() {
  arguments_.clear();
  for (std::string& word : words_) arguments_.push_back(word.data());
  arguments_.push_back(nullptr);
}

}  // namespace banyan::cli
