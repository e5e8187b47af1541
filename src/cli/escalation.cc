#include "cli/escalation.hh"

#include <chrono>
#include <csignal>

namespace banyan::cli {
namespace {

// A process that survives SIGKILL this long waits for a device or a file server that doesn't answer.
constexpr Duration kKillPatience = std::chrono::seconds(10);

}  // namespace

void Escalation::begin(Time now) {
  if (begun()) return;
  stage_ = Stage::waiting;
  deadline_ = after(now, grace_);
}

void Escalation::hurry(Time now) {
  if (stage_ >= Stage::killing) return;
  stage_ = Stage::terminating;
  deadline_ = now;
}

std::optional<int> Escalation::advance(Time now) {
  if (now < deadline_) return std::nullopt;
  switch (stage_) {
    case Stage::waiting:
      stage_ = Stage::terminating;
      deadline_ = after(now, grace_);
      return SIGTERM;
    case Stage::terminating:
      stage_ = Stage::killing;
      deadline_ = after(now, kKillPatience);
      return SIGKILL;
    case Stage::killing:
      stage_ = Stage::given_up;
      deadline_ = kNever;
      return std::nullopt;
    case Stage::calm:
    case Stage::given_up: break;
  }
  return std::nullopt;
}

}  // namespace banyan::cli
