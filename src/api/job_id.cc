#include "api/job_id.hh"

#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "base/bytes.hh"
#include "base/digest.hh"

namespace banyan::api {

JobId parse_job_id(std::string_view text) {
  JobId job;
  if (text.empty()) return job;
  bool hexadecimal = text.size() == 2 * job.bytes.size();
  for (std::size_t i = 0; hexadecimal && i < job.bytes.size(); ++i) {
    const char* const digits = text.data() + 2 * i;
    std::uint8_t value = 0;
    const auto [end, error] = std::from_chars(digits, digits + 2, value, 16);
    hexadecimal = error == std::errc{} && end == digits + 2;
    job.bytes[i] = std::byte{value};
  }
  return hexadecimal ? job : JobId{digest_of(Payload::copy(text))};
}

std::string hashed_job_id(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const std::string_view part : parts) all += std::to_string(part.size()) + ":" + std::string(part);
  return to_string(JobId{digest_of(Payload::copy(all))});
}

std::string to_string(const JobId& job) {
  std::string text;
  for (const std::byte byte : job.bytes) text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  return text;
}

int port_of(const JobId& job) {
  constexpr int kFirstPort = 20'000;
  constexpr std::uint64_t kPorts = 10'000;
  std::uint64_t number = 0;
  std::memcpy(&number, job.bytes.data(), sizeof(number));
  return kFirstPort + static_cast<int>(number % kPorts);
}

}  // namespace banyan::api
