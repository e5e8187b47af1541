// Reading what people write into variables. Each function takes the whole text or fails; none knows which variable it
// reads, so that the caller can name it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace banyan::api {

std::optional<std::int64_t> parse_number(std::string_view text);  // decimal
std::optional<bool> parse_flag(std::string_view text);            // 1/0, yes/no, true/false, on/off
// "30" and "30s" are seconds, "500ms", "2m", "1h"; fractions are allowed; "none" is nanoseconds::max(). Not negative.
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);
// "4194304", "64K", "4M", "1G" and "8k", "4MiB", "4 MiB": units are powers of 1,024.
std::optional<std::uint64_t> parse_bytes(std::string_view text);
std::optional<std::pair<int, int>> parse_port_range(std::string_view text);  // "5000-5100", "5000"
// The parts between commas, without the spaces around them; empty parts are left out.
std::vector<std::string> split_list(std::string_view text);

// The first host of a Slurm node list: "n1" of "n1,n2", "rack02n07" of "rack[02-04]n[07,09],gpu1".
std::optional<std::string> first_slurm_host(std::string_view list);

}  // namespace banyan::api
