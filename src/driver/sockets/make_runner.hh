// From a rank's options to what runs it.
#pragma once

#include <functional>
#include <memory>
#include <variant>

#include "base/failure.hh"
#include "driver/sockets/rank_options.hh"
#include "engine/machine.hh"

namespace banyan::driver {

class EngineRunner;
struct Process;

// The engine, or what tests put in its place.
using MakeMachine = std::function<std::unique_ptr<engine::Machine>(const node::Config&)>;

// Nothing is sent before it is started. A Failure (bad_address) when the options can't be used. Any thread.
std::variant<std::shared_ptr<EngineRunner>, Failure> make_runner(Process& process, RankOptions options,
                                                                 const MakeMachine& make_machine);
// Raises the process's limit of descriptors, once.
void prepare_process();

}  // namespace banyan::driver
