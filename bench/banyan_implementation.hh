// Banyan, as the benchmark sees it.
#pragma once

#include <string>

#include <banyan/options.hpp>

#include "harness/implementation.hh"

namespace banyan::bench {

// What a rank says of itself, whichever driver it runs on.
Options options_of(const Place& place, bool computed, const std::string& blob);

// `computed`: every host is listed and knows its parent (BANYAN_HOSTS); otherwise all ask at the rendezvous.
std::unique_ptr<Implementation> banyan_implementation(bool computed);

}  // namespace banyan::bench
