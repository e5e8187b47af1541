// The process that the user started and the shell waits for. It passes signals and keys on to the supervisor, which
// is its child and the parent of the ranks. The two watch each other, so that whichever of them is killed, even by
// SIGKILL, the other ends everything that was started.
#pragma once

#include <sys/types.h>

#include "cli/descriptor.hh"

namespace banyan::cli {

// Returns the exit code of the whole. Orphans are adopted and signals blocked before the supervisor is forked.
// `keyboard` is the write end of rank 0's input, when that is a terminal.
int stay_in_foreground(pid_t supervisor, Descriptor keyboard);

}  // namespace banyan::cli
