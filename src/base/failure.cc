#include "base/failure.hh"

namespace banyan {

bool known(FailureCode code) { return code >= FailureCode::timed_out && code <= FailureCode::resources; }

const char* to_string(FailureCode code) {
  switch (code) {
    case FailureCode::timed_out: return "timed_out";
    case FailureCode::rank_lost: return "rank_lost";
    case FailureCode::rank_left: return "rank_left";
    case FailureCode::duplicate_rank: return "duplicate_rank";
    case FailureCode::wrong_world_size: return "wrong_world_size";
    case FailureCode::wrong_job: return "wrong_job";
    case FailureCode::wrong_secret: return "wrong_secret";
    case FailureCode::wrong_version: return "wrong_version";
    case FailureCode::unreachable: return "unreachable";
    case FailureCode::address_in_use: return "address_in_use";
    case FailureCode::bad_address: return "bad_address";
    case FailureCode::mismatch: return "mismatch";
    case FailureCode::misuse: return "misuse";
    case FailureCode::too_large: return "too_large";
    case FailureCode::closed: return "closed";
    case FailureCode::protocol: return "protocol";
    case FailureCode::resources: return "resources";
  }
  return "unknown";
}

const char* to_string(Phase phase) {
  switch (phase) {
    case Phase::setup: return "setup";
    case Phase::join: return "join";
    case Phase::registration: return "registration";
    case Phase::commit: return "commit";
    case Phase::running: return "running";
    case Phase::closing: return "closing";
  }
  return "unknown";
}

}  // namespace banyan
