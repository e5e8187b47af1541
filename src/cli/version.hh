// The version that `banyan --version` prints, taken from the one header that users see too.
#pragma once

namespace banyan::cli {

const char* version_string();

}  // namespace banyan::cli
