// What one rank's engine is told when it is made. Nothing in the core reads an environment variable or a clock.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hh"
#include "base/endpoint.hh"
#include "base/ids.hh"
#include "base/limits.hh"
#include "base/time.hh"
#include "node/table_store.hh"
#include "tree/shares.hh"

namespace banyan::node {

// An immutable list of addresses that ranks of one process can share: a large job has as many as hosts.
class HostList {
 public:
  HostList() = default;
  HostList(std::vector<std::string> hosts)  // NOLINT(google-explicit-constructor): it is one
      : list_(hosts.empty() ? nullptr : std::make_shared<const std::vector<std::string>>(std::move(hosts))) {}
  HostList(std::initializer_list<std::string> hosts) : HostList(std::vector<std::string>(hosts)) {}

  bool empty() const { return list_ == nullptr; }
  std::size_t size() const { return list_ ? list_->size() : 0; }
  const std::string& operator[](std::size_t i) const { return (*list_)[i]; }
  const std::string* begin() const { return list_ ? list_->data() : nullptr; }
  const std::string* end() const { return begin() + size(); }

 private:
  std::shared_ptr<const std::vector<std::string>> list_;
};

struct Config {
  Rank rank{};
  std::uint32_t world_size = 1;
  JobId job;           // unknown: rank 0 invents it, the others adopt it
  std::string secret;  // empty: no authentication
  Incarnation incarnation{};
  std::array<std::byte, 32> entropy{};  // fresh random bytes: nonces come from them
  std::uint64_t seed = 0;               // of the jitter in retries

  std::string host_name;  // for people
  std::string host_key;   // ranks with the same key share a leader; see docs/protocol.md, "Host"
  std::uint32_t uid = 0;  // part of the leader's Unix name
  // Ranks that are known to run on this host, 0 if unknown: their records go up in one piece, and those that seem to be
  // on rank 0's host leave it time to lead them.
  std::uint32_t local_size = 0;
  bool use_local_links = true;  // false: every rank is its own leader and uses TCP only
  // The driver's, and the only thing of it that the core calls: the same bytes, where the ranks of this host can be
  // given them without another copy, or as they are if that is not worth it. It must not call back. Null: it can't hand
  // enclosures to them.
  using ShareMemory = Payload (*)(const Payload&);
  ShareMemory share_memory = nullptr;
  std::uint64_t enclose_bytes() const { return share_memory != nullptr ? limits.enclose_bytes : UINT64_MAX; }

  std::uint32_t fan_out = tree::kDefaultFanOut;  // rank 0's value is the job's
  bool lazy_table = false;                       // rank 0's value is the job's
  std::string rendezvous;                        // as the user wrote it, for messages; the driver resolves it
  // Computed parents: the address of each host's leader, in order of position, as the user wrote it; none: parents
  // come from the rendezvous. `host_index` says which of the job's hosts this is: one that is not in the list asks a
  // host that is (tree/shares.hh).
  HostList hosts;
  std::uint32_t host_index = 0;
  tree::Shares shares() const { return {fan_out, static_cast<std::uint32_t>(hosts.size())}; }

  Slice blob;
  // Shared by the ranks of a process that one thread drives.
  std::shared_ptr<TableStore> tables = std::make_shared<TableStore>();
  Duration start_timeout = std::chrono::seconds(30);
  Duration close_timeout = std::chrono::seconds(10);
  Limits limits;
};

}  // namespace banyan::node
