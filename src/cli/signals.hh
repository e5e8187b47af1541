// Which signals `banyan run` passes on to its ranks, and how its two processes read them: blocked, from a descriptor.
// Blocking rather than handling them leaves every disposition as it was found, so ranks start with the user's own.
#pragma once

#include <csignal>
#include <string>

#include "cli/descriptor.hh"

namespace banyan::cli {

// Blocks all that signal_descriptor() reads, and SIGPIPE and the terminal's SIGTTIN and SIGTTOU, whose meaning the
// failing call tells as well. Returns the mask as it was before.
sigset_t block_signals();
// Yields SIGCHLD and the signals to pass on. One that the user had ignored (nohup, a shell's `&`) stays ignored.
Descriptor signal_descriptor();
// The next signal that waits in the descriptor, or 0.
int next_signal(const Descriptor& signals);

// Whether the signal asks a job to end.
bool asks_to_end(int signal);
// "signal 9 (Killed)"
std::string describe_signal(int signal);

}  // namespace banyan::cli
