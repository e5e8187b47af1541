#include "cli/version.hh"

#include <banyan/version.hpp>

namespace banyan::cli {

const char* version_string() { return BANYAN_VERSION_STRING; }

}  // namespace banyan::cli
