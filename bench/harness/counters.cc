#include "counters.hh"

#include <fstream>
#include <sstream>
#include <string>

namespace banyan::bench {
namespace {

// Such files have pairs of lines: "Tcp: names", "Tcp: values".
std::int64_t counter(const std::string& file, const std::string& group, const std::string& name) {
  std::ifstream lines(file);
  std::string names_line;
  std::string values_line;
  while (std::getline(lines, names_line) && std::getline(lines, values_line)) {
    std::istringstream names(names_line);
    std::istringstream values(values_line);
    std::string one_name;
    std::string one_value;
    names >> one_name;
    values >> one_value;
    if (one_name != group + ":") continue;
    while (names >> one_name && values >> one_value) {
      if (one_name == name) return std::stoll(one_value);
    }
  }
  return 0;
}

// Both ends of a connection stand in the list, in the state that has the number 3.
std::int64_t unix_connections(const std::string& file) {
  std::ifstream lines(file);
  std::string line;
  std::int64_t ends = 0;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string word;
    for (int i = 0; i < 6; ++i) words >> word;  // Num RefCount Protocol Flags Type St
    ends += word == "03" ? 1 : 0;
  }
  return ends / 2;
}

}  // namespace

Counters counters(const std::vector<pid_t>& processes) {
  Counters sum;
  for (const pid_t process : processes) {
    const std::string folder = "/proc/" + std::to_string(process) + "/net/";
    sum.tcp_connections += counter(folder + "snmp", "Tcp", "ActiveOpens");
    sum.tcp_established += counter(folder + "snmp", "Tcp", "CurrEstab") / 2;
    sum.ip_bytes += counter(folder + "netstat", "IpExt", "OutOctets");
    sum.unix_connections += unix_connections(folder + "unix");
  }
  return sum;
}

Counters operator-(const Counters& after, const Counters& before) {
  return {after.tcp_connections - before.tcp_connections, after.tcp_established - before.tcp_established,
          after.unix_connections - before.unix_connections, after.ip_bytes - before.ip_bytes};
}

}  // namespace banyan::bench
