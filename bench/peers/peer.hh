// How a peer's adapter that is a module is found by the benchmark.
#pragma once

#include <memory>

#include "../harness/implementation.hh"

namespace banyan::bench {

using MakePeer = std::unique_ptr<Implementation>();
// The one symbol that a module exports, with C linkage, of type MakePeer.
constexpr const char* kMakePeer = "banyan_bench_make_peer";

}  // namespace banyan::bench
