// Starts one process fast: the child borrows the parent's memory until it executes, so that a thousand ranks cost
// a thousand execs and no copied page tables. posix_spawn does the same but can't tie a child's life to its parent's.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <csignal>
#include <span>

#include "cli/descriptor.hh"

namespace banyan::cli {

struct ProcessRequest {
  const char* path;        // resolved: PATH is not searched
  char* const* arguments;  // both null-terminated
  char* const* environment;
  int standard_input;
  int standard_output;
  int standard_error;
  std::span<const int> inherited;  // further descriptors that stay open across exec
  sigset_t signal_mask;
  rlimit descriptor_limit;
};

struct StartedProcess {
  pid_t pid = -1;         // -1: not started
  int error = 0;          // errno of what failed, exec included
  Descriptor exit_event;  // readable once the process ended; absent on kernels before 5.2
};

// The process leads a group of its own and is killed when the calling thread ends. Signals must be blocked.
StartedProcess start_process(const ProcessRequest& request);

}  // namespace banyan::cli
