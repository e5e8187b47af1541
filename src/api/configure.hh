// From what the user says to what the driver and the engine are told.
#pragma once

#include <banyan/options.hpp>

#include "base/time.hh"
#include "driver/sockets/rank_options.hh"

namespace banyan::api {

// `options` are valid. Callbacks are left open.
driver::RankOptions configure(const Options& options);

// `timeout`, or `otherwise` where it says "the default".
Duration duration_of(const Timeout& timeout, const Timeout& otherwise);

}  // namespace banyan::api
