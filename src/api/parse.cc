#include "api/parse.hh"

#include <array>
#include <charconv>
#include <cmath>

namespace banyan::api {
namespace {

// A number that starts `text`, and what follows it.
template <typename Number>
std::optional<std::pair<Number, std::string_view>> leading_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  return std::pair{number, text.substr(static_cast<std::size_t>(end - text.data()))};
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& letter : lower) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return lower;
}

}  // namespace

std::optional<std::int64_t> parse_number(std::string_view text) {
  const auto number = leading_number<std::int64_t>(text);
  if (!number || !number->second.empty()) return std::nullopt;
  return number->first;
}

std::optional<bool> parse_flag(std::string_view text) {
  if (text == "1" || text == "yes" || text == "true" || text == "on") return true;
  if (text == "0" || text == "no" || text == "false" || text == "off") return false;
  return std::nullopt;
}

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  if (text == "none") return std::chrono::nanoseconds::max();
  const auto number = leading_number<double>(text);
  if (!number || !std::isfinite(number->first) || number->first < 0) return std::nullopt;
  const auto& [value, unit] = *number;
  constexpr std::array<std::pair<std::string_view, double>, 5> kUnits{
      {{"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"m", 60e9}, {"h", 3600e9}}};
  for (const auto& [name, nanoseconds] : kUnits) {
    if (unit != name) continue;
    const double total = value * nanoseconds;
    if (total >= 9.2e18) return std::chrono::nanoseconds::max();
    return std::chrono::nanoseconds(static_cast<std::int64_t>(total));
  }
  return std::nullopt;
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  const auto number = leading_number<std::uint64_t>(text);
  if (!number) return std::nullopt;
  const std::uint64_t value = number->first;
  std::string unit = lower_case(number->second);
  if (unit.size() > 1 && unit.front() == ' ') unit.erase(0, 1);
  constexpr std::array<std::pair<std::string_view, unsigned>, 4> kUnits{{{"", 0}, {"k", 10}, {"m", 20}, {"g", 30}}};
  for (const auto& [letter, shift] : kUnits) {
    if (unit != letter && (letter.empty() || unit != std::string(letter) + "ib")) continue;
    if (value > (UINT64_MAX >> shift)) return std::nullopt;
    return value << shift;
  }
  return std::nullopt;
}

std::optional<std::pair<int, int>> parse_port_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto low = parse_number(text.substr(0, dash));
  const auto high = dash == std::string_view::npos ? low : parse_number(text.substr(dash + 1));
  if (!low || !high || *low < 1 || *high > 65'535 || *low > *high) return std::nullopt;
  return std::pair{static_cast<int>(*low), static_cast<int>(*high)};
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    if (const std::string_view part = trimmed(text.substr(0, comma)); !part.empty()) parts.emplace_back(part);
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  }
  return parts;
}

std::optional<std::string> first_slurm_host(std::string_view list) {
  std::string host;
  for (std::size_t at = 0; at < list.size() && list[at] != ','; ++at) {
    if (list[at] == ']') return std::nullopt;
    if (list[at] != '[') {
      host += list[at];
      continue;
    }
    const std::size_t end = list.find(']', at);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view choices = list.substr(at + 1, end - at - 1);
    const std::string_view first = choices.substr(0, choices.find_first_of(",-"));
    if (first.empty() || first.find('[') != std::string_view::npos) return std::nullopt;
    host += first;
    at = end;
  }
  if (host.empty()) return std::nullopt;
  return host;
}

}  // namespace banyan::api
