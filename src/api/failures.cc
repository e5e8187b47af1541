#include "api/failures.hh"

namespace banyan::api {
namespace {

// Enough for any report; a list of more missing ranks helps nobody, and what() has them as ranges.
constexpr std::size_t kMaxRanksInError = 65'536;

}  // namespace

std::string Speaker::prefix() const {
  if (rank < 0) return "banyan: ";
  const std::string place = communicator_rank < 0 ? ""
                                                  : " (rank " + std::to_string(communicator_rank) + " of " +
                                                        std::to_string(communicator_size) + " in a communicator)";
  return "rank " + std::to_string(rank) + (host.empty() ? "" : " on " + host) + place + ": ";
}

Error to_error(const Failure& failure, const Speaker& speaker) {
  const auto phase = static_cast<ErrorPhase>(failure.phase);
  return {static_cast<ErrorCode>(failure.code), phase, speaker.prefix() + to_string(phase) + ": " + failure.text,
          failure.ranks.to_vector(kMaxRanksInError), failure.host};
}

void throw_misuse(const Speaker& speaker, ErrorPhase phase, const std::string& text) {
  throw Error(ErrorCode::misuse, phase, speaker.prefix() + "misuse: " + text);
}

void throw_misuse(const std::string& text) { throw Error(ErrorCode::misuse, ErrorPhase::setup, "banyan: " + text); }

}  // namespace banyan::api
