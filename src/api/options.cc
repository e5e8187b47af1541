// Whether options can work, before anything is done with them.
#include <string>

#include <banyan/options.hpp>

#include "api/failures.hh"
#include "api/job_id.hh"
#include "api/parse.hh"
#include "base/limits.hh"
#include "driver/sockets/rank_options.hh"

namespace banyan {
namespace {

using api::throw_misuse;

// Less would make every sender wait for every receiver.
constexpr std::size_t kMinUnexpectedBytes = 2 * kEagerMessageBytes;
// Less would not hold the longest value with the longest key.
constexpr std::size_t kMinStoreBytes = 128 * 1024;
static_assert(kMinStoreBytes >= kMaxStoreKeyBytes + kMaxStoreValueBytes + kStoreEntryBytes);

std::string from_to(const char* what, int value, int low, int high) {
  return std::string(what) + " is " + std::to_string(value) + ", which is not in " + std::to_string(low) + " .. " +
         std::to_string(high);
}

void validate_identity(const Options& options) {
  constexpr int kMaxRanks = static_cast<int>(kMaxWorldSize);
  if (options.rank < 0 && options.world_size == 0) {
    throw_misuse(
        "this process does not know its rank: start it with `banyan run`, mpirun, srun or torchrun, or set "
        "BANYAN_RANK, "
        "BANYAN_WORLD_SIZE and BANYAN_RENDEZVOUS");
  }
  if (options.world_size == 0) {
    throw_misuse("the number of ranks is not known: set BANYAN_WORLD_SIZE, the same for all ranks");
  }
  if (options.world_size < 1 || options.world_size > kMaxRanks) {
    throw_misuse(from_to("the number of ranks", options.world_size, 1, kMaxRanks) +
                 ": give all ranks the same number (BANYAN_WORLD_SIZE)");
  }
  if (options.rank == -1) {
    throw_misuse("the rank is not known: set BANYAN_RANK, another for each process, from 0 to " +
                 std::to_string(options.world_size - 1));
  }
  if (options.rank < 0 || options.rank >= options.world_size) {
    throw_misuse(from_to("the rank", options.rank, 0, options.world_size - 1) + ", as a job of " +
                 std::to_string(options.world_size) +
                 " has them: correct the rank (BANYAN_RANK) or the number of ranks");
  }
  if (!options.job_id.empty() && !api::parse_job_id(options.job_id).known()) {
    throw_misuse("a job id of zeros means that there is none: choose another (BANYAN_JOB_ID) or leave it empty");
  }
}

void validate_rendezvous(const Options& options) {
  const std::vector<std::string> addresses = api::split_list(options.rendezvous);
  if (addresses.empty() && options.world_size > 1) {
    if (options.launcher.empty()) {
      throw_misuse(
          "there is no rendezvous: set BANYAN_RENDEZVOUS=host:port, an address of rank 0 that all ranks can reach");
    }
    throw_misuse(options.launcher +
                 " names no address at which all ranks can reach rank 0: set "
                 "BANYAN_RENDEZVOUS=host:port for all ranks, with the host of rank 0 and a port that is free there");
  }
  for (const std::string& address : addresses) {
    const auto parsed = driver::HostAndPort::parse(address);
    if (!parsed) {
      throw_misuse("the rendezvous \"" + address +
                   "\" can't be read: write host:port, or [address]:port for IPv6, with a port from 1 to 65535");
    }
    if (parsed->port == 0 && options.world_size > 1 && options.rendezvous_fd < 0) {
      throw_misuse("the rendezvous \"" + address + "\" has port 0, which tells nobody where to go: name a port");
    }
  }
}

void validate_hosts(const Options& options) {
  if (options.local_size < 0 || options.local_size > options.world_size) {
    throw_misuse(from_to("the number of ranks on this host", options.local_size, 0, options.world_size) +
                 ": correct it (BANYAN_LOCAL_SIZE) or leave it out");
  }
  if (options.local_size > 0 && options.local_rank >= options.local_size) {
    throw_misuse(from_to("the rank on this host", options.local_rank, 0, options.local_size - 1) +
                 ": correct it (BANYAN_LOCAL_RANK) or leave it out");
  }
  if (options.hosts.empty()) return;
  if (options.host_index == -1) {
    throw_misuse(
        "the place of this host in the list of hosts is not known: set BANYAN_HOST_INDEX beside BANYAN_HOSTS, 0 on "
        "rank 0's host");
  }
  if (options.host_index < 0) {
    throw_misuse("which of the job's hosts this is must be a number from 0, not " + std::to_string(options.host_index) +
                 ": set it (BANYAN_HOST_INDEX) beside the list (BANYAN_HOSTS)");
  }
  if (options.rank == 0 && options.host_index != 0) {
    throw_misuse("rank 0 runs on host " + std::to_string(options.host_index) +
                 " of the list (BANYAN_HOSTS): its host must be the first");
  }
  for (const std::string& host : options.hosts) {
    const auto parsed = driver::HostAndPort::parse(host);
    if (!parsed || parsed->port == 0) {
      throw_misuse("the list of hosts (BANYAN_HOSTS) has \"" + host +
                   "\": write host:port for each, [address]:port for IPv6, with a port from 1 to 65535");
    }
  }
}

void validate_timeout(const Timeout& timeout, const char* name, const char* variable) {
  if (timeout.duration() < std::chrono::nanoseconds::zero()) {
    throw_misuse(std::string(name) + " is negative: give a duration or Timeout::none() (" + variable + ")");
  }
}

void validate_limits(const Options& options) {
  constexpr int kLow = static_cast<int>(kMinFanOut);
  constexpr int kHigh = static_cast<int>(kMaxFanOut);
  if (options.fan_out < kLow || options.fan_out > kHigh) {
    throw_misuse(from_to("the fan-out", options.fan_out, kLow, kHigh) + ": correct it (BANYAN_FAN_OUT)");
  }
  const bool any_port = options.first_port == 0 && options.last_port == 0;
  if (!any_port && (options.first_port < 1 || options.last_port > 65'535 || options.first_port > options.last_port)) {
    throw_misuse("the ports " + std::to_string(options.first_port) + "-" + std::to_string(options.last_port) +
                 " are no range in 1-65535: correct them (BANYAN_PORT_RANGE)");
  }
  if (options.blob.size() > kMaxBlobBytes) {
    throw_misuse("the blob has " + std::to_string(options.blob.size()) + " bytes and may have " +
                 std::to_string(kMaxBlobBytes) + ": exchange the rest by allgather");
  }
  if (options.unexpected_bytes < kMinUnexpectedBytes) {
    throw_misuse("the memory for unexpected messages is " + std::to_string(options.unexpected_bytes) +
                 " bytes: give at least " + std::to_string(kMinUnexpectedBytes) + " (BANYAN_UNEXPECTED_BYTES)");
  }
  if (options.store_bytes < kMinStoreBytes) {
    throw_misuse("the memory for the store is " + std::to_string(options.store_bytes) + " bytes: give at least " +
                 std::to_string(kMinStoreBytes) + " (BANYAN_STORE_BYTES)");
  }
  if (options.direct_links < 0 || options.direct_links > kMostDirectLinks) {
    throw_misuse(from_to("the number of direct links", options.direct_links, 0, kMostDirectLinks) +
                 ": correct it (BANYAN_DIRECT_LINKS)");
  }
  if (options.direct_bytes < 1 || options.direct_messages < 1) {
    throw_misuse(
        "a direct link can't be made for less than one byte or one message: correct direct_bytes (BANYAN_DIRECT_BYTES) "
        "and direct_messages (BANYAN_DIRECT_MESSAGES); BANYAN_DIRECT_LINKS=0 switches them off");
  }
  validate_timeout(options.start_timeout, "start_timeout", "BANYAN_TIMEOUT");
  validate_timeout(options.call_timeout, "call_timeout", "BANYAN_CALL_TIMEOUT");
  validate_timeout(options.close_timeout, "close_timeout", "BANYAN_CLOSE_TIMEOUT");
}

}  // namespace

void Options::validate() const {
  validate_identity(*this);
  validate_rendezvous(*this);
  validate_hosts(*this);
  validate_limits(*this);
}

}  // namespace banyan
