// How patient the launcher is once a rank has failed: the others may first end by themselves, since Banyan tells each
// of them what happened; then they are asked to end, then made to. Pure: time comes in, the signal that is due goes
// out.
#pragma once

#include <optional>

#include "base/time.hh"

namespace banyan::cli {

class Escalation {
 public:
  // `grace` passes between the failure and SIGTERM, and again between SIGTERM and SIGKILL.
  explicit Escalation(Duration grace) : grace_(grace) {}

  // The first failure. Later ones change nothing.
  void begin(Time now);
  // No grace at all: SIGKILL is due.
  void hurry(Time now);

  // When advance() has something to do.
  Time deadline() const { return deadline_; }
  // The signal to send now, if any; call again until there is none.
  std::optional<int> advance(Time now);
  bool begun() const { return stage_ != Stage::calm; }
  // SIGKILL was sent long ago and a rank still lives: it is stuck in the kernel.
  bool given_up() const { return stage_ == Stage::given_up; }

 private:
  enum class Stage { calm, waiting, terminating, killing, given_up };

  Duration grace_;
  Stage stage_ = Stage::calm;
  Time deadline_ = kNever;
};

}  // namespace banyan::cli
