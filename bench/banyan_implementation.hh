// Banyan, as the benchmark sees it.
#pragma once

#include "harness/implementation.hh"

namespace banyan::bench {

// `computed`: every host is listed and knows its parent (BANYAN_HOSTS); otherwise all ask at the rendezvous.
std::unique_ptr<Implementation> banyan_implementation(bool computed);

}  // namespace banyan::bench
