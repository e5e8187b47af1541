#include <utility>

#include <banyan/error.hpp>

#include "base/failure.hh"

namespace banyan {

// The public codes and phases are the core's.
static_assert(static_cast<int>(ErrorCode::timed_out) == static_cast<int>(FailureCode::timed_out));
static_assert(static_cast<int>(ErrorCode::wrong_version) == static_cast<int>(FailureCode::wrong_version));
static_assert(static_cast<int>(ErrorCode::resources) == static_cast<int>(FailureCode::resources));
static_assert(static_cast<int>(ErrorPhase::setup) == static_cast<int>(Phase::setup));
static_assert(static_cast<int>(ErrorPhase::closing) == static_cast<int>(Phase::closing));

const char* to_string(ErrorCode code) noexcept { return to_string(static_cast<FailureCode>(code)); }
const char* to_string(ErrorPhase phase) noexcept { return to_string(static_cast<Phase>(phase)); }

struct Error::Details {
  std::vector<int> ranks;
  std::string host;
};

Error::Error(ErrorCode code, ErrorPhase phase, const std::string& what, std::vector<int> ranks, std::string host)
    : std::runtime_error(what),
      code_(code),
      phase_(phase),
      details_(std::make_shared<const Details>(Details{std::move(ranks), std::move(host)})) {}

Error::~Error() = default;
Error::Error(const Error&) noexcept = default;
Error& Error::operator=(const Error&) noexcept = default;

const std::vector<int>& Error::ranks() const noexcept { return details_->ranks; }
const std::string& Error::host() const noexcept { return details_->host; }

}  // namespace banyan
