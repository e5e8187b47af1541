#include "api/configure.hh"

#include <string>

#include "api/job_id.hh"
#include "api/parse.hh"

namespace banyan::api {
namespace {

// A job of one meets nobody.
constexpr const char* kNoRendezvous = "127.0.0.1:0";

node::Config config_of(const Options& options) {
  const Options defaults;
  node::Config config;
  config.rank = static_cast<Rank>(options.rank);
  config.world_size = static_cast<std::uint32_t>(options.world_size);
  config.job = parse_job_id(options.job_id);
  config.secret = options.secret;
  config.host_name = options.host_name;
  config.host_key = options.host_id;
  config.local_size = static_cast<std::uint32_t>(options.local_size);
  config.use_local_links = options.transport != Transport::tcp;
  config.fan_out = static_cast<std::uint32_t>(options.fan_out);
  config.lazy_table = options.table == Table::lazy;
  config.rendezvous = options.rendezvous.empty() ? kNoRendezvous : options.rendezvous;
  config.hosts = options.hosts;
  config.host_index = options.hosts.empty() ? 0 : static_cast<std::uint32_t>(options.host_index);
  config.blob = Slice::copy(options.blob);
  config.start_timeout = duration_of(options.start_timeout, defaults.start_timeout);
  config.close_timeout = duration_of(options.close_timeout, defaults.close_timeout);
  config.limits.unexpected_bytes = options.unexpected_bytes;
  config.limits.store_bytes = options.store_bytes;
  config.limits.direct_links = static_cast<std::uint32_t>(options.direct_links);
  config.limits.direct_bytes = options.direct_bytes;
  config.limits.direct_messages = static_cast<std::uint32_t>(options.direct_messages);
  return config;
}

}  // namespace

Duration duration_of(const Timeout& timeout, const Timeout& otherwise) {
  return timeout.is_default() ? otherwise.duration() : timeout.duration();
}

driver::RankOptions configure(const Options& options) {
  driver::RankOptions rank;
  rank.config = config_of(options);
  for (const std::string& address : split_list(rank.config.rendezvous)) {
    rank.rendezvous.push_back(*driver::HostAndPort::parse(address));
  }
  if (options.rank == 0 && options.rendezvous_fd >= 0) rank.rendezvous_fd = options.rendezvous_fd;
  rank.interface = options.interface;
  rank.ports = {static_cast<std::uint16_t>(options.first_port), static_cast<std::uint16_t>(options.last_port)};
  return rank;
}

}  // namespace banyan::api
