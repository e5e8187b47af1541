#include "cli/outcomes.hh"

#include <sys/wait.h>

#include <fmt/format.h>

#include "cli/error.hh"
#include "cli/signals.hh"

namespace banyan::cli {
namespace {

// "exited with code 3", "was killed by signal 9 (Killed)"
std::string describe(int wait_status, bool plural) {
  if (WIFSIGNALED(wait_status)) {
    return fmt::format("{} killed by {}{}", plural ? "were" : "was", describe_signal(WTERMSIG(wait_status)),
                       WCOREDUMP(wait_status) ? ", core dumped" : "");
  }
  return fmt::format("exited with code {}", WEXITSTATUS(wait_status));
}

}  // namespace

void Outcomes::record_end(Rank rank, int wait_status) {
  running_.erase(rank);
  ++ended_;
  if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) {
    if (!first_failure_) well_before_failure_.insert(rank);
    return;
  }
  if (first_failure_) {
    failed_by_status_[wait_status].insert(rank);
  } else {
    first_failure_ = {rank, wait_status};
  }
}

int Outcomes::exit_code() const {
  if (!first_failure_) return 0;
  const int status = first_failure_->wait_status;
  return WIFSIGNALED(status) ? kExitSignalBase + WTERMSIG(status) : WEXITSTATUS(status);
}

std::string Outcomes::first_failure() const {
  return fmt::format("rank {} {}", raw(first_failure_->rank), describe(first_failure_->wait_status, false));
}

std::vector<std::string> Outcomes::summary() const {
  const std::uint32_t others = ended_ - 1;
  const std::uint64_t not_started = world_size_ - ended_ - running_.count();
  std::string first = first_failure();
  if (others > 0) first += fmt::format("; {} other{} ended", others, others == 1 ? "" : "s");
  if (not_started > 0) first += fmt::format("; {} had not been started", not_started);

  std::vector<std::string> lines{std::move(first)};
  // Perhaps just those that the others have missed.
  if (const RankSet& ranks = well_before_failure_; !ranks.empty())
    lines.push_back(
        fmt::format("rank{} {} had ended with code 0 before", ranks.count() > 1 ? "s" : "", ranks.to_string()));
  for (const auto& [status, ranks] : failed_by_status_) {
    const bool plural = ranks.count() > 1;
    lines.push_back(fmt::format("then rank{} {} {}", plural ? "s" : "", ranks.to_string(), describe(status, plural)));
  }
  if (!running_.empty()) lines.push_back(fmt::format("could not end rank {}", running_.to_string()));
  return lines;
}

}  // namespace banyan::cli
