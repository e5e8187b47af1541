// Job ids as text, and how one is made from what a launcher or a person says.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "base/ids.hh"

namespace banyan::api {

// 32 hexadecimal digits as they are; any other text hashed; empty text: unknown.
JobId parse_job_id(std::string_view text);
// The same id for the same parts, on every host: 32 hexadecimal digits.
std::string hashed_job_id(std::initializer_list<std::string_view> parts);
std::string to_string(const JobId& job);

// The port at which a job meets when nobody named one: in 20000-29999, so below the ports that Linux gives to clients.
int port_of(const JobId& job);

}  // namespace banyan::api
