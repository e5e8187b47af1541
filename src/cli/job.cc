#include "cli/job.hh"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "cli/error.hh"

namespace banyan::cli {
namespace {

// Identity: stale values, from a job that runs this launcher, must not reach the ranks. All other BANYAN_* variables
// are the user's options and pass through.
constexpr std::array<std::string_view, 12> kIdentity = {
    "BANYAN_RANK",       "BANYAN_WORLD_SIZE", "BANYAN_LOCAL_RANK",    "BANYAN_LOCAL_SIZE",
    "BANYAN_RENDEZVOUS", "BANYAN_JOB_ID",     "BANYAN_SECRET",        "BANYAN_SECRET_FILE",
    "BANYAN_HOSTS",      "BANYAN_HOST_INDEX", "BANYAN_RENDEZVOUS_FD", "BANYAN_PROGRESS_FD"};

std::string_view name_of(const char* variable) {
  const std::string_view text = variable;
  return text.substr(0, text.find('='));
}

}  // namespace

std::uint32_t Job::local_size(Rank rank) const {
  return std::min(host_size(), world_size - host_of(rank) * host_size());
}

std::string random_hex(std::size_t bytes) {
  std::vector<unsigned char> random(bytes);
  for (std::size_t filled = 0; filled < bytes;) {
    const ssize_t got = ::getrandom(random.data() + filled, bytes - filled, 0);
    if (got < 0) throw system_error("get random bytes for the job's secret");
    filled += static_cast<std::size_t>(got);
  }
  return fmt::format("{:02x}", fmt::join(random, ""));
}

RankEnvironments::RankEnvironments(const Job& job)
    : job_(job), all_hosts_(fmt::format("{}", fmt::join(job.host_addresses, ","))) {
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view name = name_of(*variable);
    const bool replaced = std::ranges::find(kIdentity, name) != kIdentity.end() ||
                          (name == "BANYAN_HOST_ID" && job.ranks_per_host) ||
                          (name == "BANYAN_TIMEOUT" && job.timeout) || (name == "BANYAN_FAN_OUT" && job.fan_out);
    if (!replaced) inherited_.push_back(*variable);
  }
}

char* const* RankEnvironments::block_of(Rank rank) {
  add("BANYAN_RANK", std::to_string(raw(rank)));
  add("BANYAN_WORLD_SIZE", std::to_string(job_.world_size));
  add("BANYAN_LOCAL_RANK", std::to_string(job_.local_rank(rank)));
  add("BANYAN_LOCAL_SIZE", std::to_string(job_.local_size(rank)));
  add("BANYAN_RENDEZVOUS", job_.rendezvous);
  add("BANYAN_JOB_ID", job_.id);
  add("BANYAN_SECRET", job_.secret);
  if (job_.ranks_per_host) add("BANYAN_HOST_ID", fmt::format("host-{}", job_.host_of(rank)));
  if (job_.timeout) add("BANYAN_TIMEOUT", *job_.timeout);
  if (job_.fan_out) add("BANYAN_FAN_OUT", std::to_string(*job_.fan_out));
  if (!all_hosts_.empty()) {
    add("BANYAN_HOSTS", all_hosts_);
    add("BANYAN_HOST_INDEX", std::to_string(job_.host_of(rank)));
  }

  block_ = inherited_;
  kept_.swap(own_);
  own_.clear();
  for (std::string& variable : kept_) block_.push_back(variable.data());
  block_.push_back(nullptr);
  return block_.data();
}

}  // namespace banyan::cli
