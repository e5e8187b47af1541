#include "cli/error.hh"

#include <cerrno>
#include <cstring>

namespace banyan::cli {

Error system_error(const std::string& what) {
  return Error(kExitOwnFailure, "cannot " + what + ": " + std::strerror(errno));
}

}  // namespace banyan::cli
