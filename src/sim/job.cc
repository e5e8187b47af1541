#include "sim/job.hh"

#include <algorithm>
#include <string>

namespace banyan::sim {
namespace {

// In a driver's shared memory the same bytes stand in another place; here too, unless that would take a machine's
// memory.
constexpr std::uint32_t kMostRanksThatCopy = 1024;
Payload copy(const Payload& bytes) { return Payload(Slice::copy(bytes.flatten().bytes())); }
Payload same(const Payload& bytes) { return bytes; }

}  // namespace

Endpoint machine(std::uint32_t host) {
  Endpoint endpoint{Endpoint::Family::tcp4, 0, {}};
  endpoint.address[0] = std::byte{10};
  for (std::size_t i = 1; i < 4; ++i) endpoint.address[i] = static_cast<std::byte>(host >> (8 * (3 - i)));
  return endpoint;
}

Slice blob_of(const JobOptions& options, std::uint32_t rank) {
  return Slice::adopt(std::string(options.blob_bytes, static_cast<char>('a' + rank % 26)));
}

node::HostList hosts_of(const JobOptions& options) {
  std::vector<std::string> hosts;
  for (std::uint32_t h = 0; options.has_list() && h < std::min(options.listed_hosts, options.hosts()); ++h) {
    hosts.push_back("host-" + std::to_string(h) + ":4242");
  }
  return hosts;
}

node::Config config_of(const JobOptions& options, std::uint32_t rank, const node::HostList& hosts, Random& random) {
  const std::uint32_t host = rank / options.ranks_per_host;
  node::Config config;
  config.rank = Rank{rank};
  config.world_size = options.ranks;
  config.job.bytes.fill(std::byte{7});
  if (options.secret) config.secret = "the job's secret";
  config.incarnation = Incarnation{(random.next() << 8) | 1};
  for (std::byte& byte : config.entropy) byte = static_cast<std::byte>(random.below(256));
  config.seed = random.next();
  config.host_name = config.host_key = "host-" + std::to_string(host);
  config.local_size = std::min(options.ranks_per_host, options.ranks - host * options.ranks_per_host);
  const bool many_bytes = options.ranks > kMostRanksThatCopy || options.payload_bytes > 0;
  config.share_memory = many_bytes ? same : copy;
  config.limits.enclose_bytes = options.enclose_bytes;
  config.limits.message_window_bytes = options.message_window_bytes;
  config.limits.direct_links = options.direct_links;
  config.limits.direct_messages = options.direct_messages;
  config.limits.direct_bytes = options.direct_bytes;
  config.fan_out = options.fan_out;
  config.rendezvous = "host-0:4242";
  config.hosts = hosts;
  config.host_index = options.has_list() ? host : 0;
  config.blob = blob_of(options, rank);
  config.lazy_table = options.lazy_table;
  config.start_timeout = options.start_timeout;
  return config;
}

void add_job(Cluster& cluster, const JobOptions& options) {
  const node::HostList hosts = hosts_of(options);
  const auto tables = std::make_shared<node::TableStore>();
  for (std::uint32_t rank = 0; rank < options.ranks; ++rank) {
    Duration wait{};
    if (options.arrival > Duration{}) {
      wait = Duration(
          static_cast<Duration::rep>(cluster.random().below(static_cast<std::uint64_t>(options.arrival.count()))));
    }
    node::Config config = config_of(options, rank, hosts, cluster.random());
    config.tables = tables;
    cluster.add(std::move(config), machine(rank / options.ranks_per_host), wait);
  }
}

}  // namespace banyan::sim
