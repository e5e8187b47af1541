// The job secret from a file.
#pragma once

#include <string>

namespace banyan::api {

// The file's bytes without a line break at the end. Error (misuse) when others than its owner may read it or it is
// empty or too long, Error (resources) when it can't be read. No error ever shows what is in the file.
std::string read_secret_file(const std::string& path);

}  // namespace banyan::api
