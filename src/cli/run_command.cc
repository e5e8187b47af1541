#include "cli/run_command.hh"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <utility>

#include <fmt/format.h>

#include "cli/command.hh"
#include "cli/descendants.hh"
#include "cli/descriptor.hh"
#include "cli/error.hh"
#include "cli/foreground.hh"
#include "cli/signals.hh"
#include "cli/supervisor.hh"

namespace banyan::cli {
namespace {

constexpr Duration kSweepPatience = std::chrono::seconds(5);

int supervise(const RunOptions& options, Command command, Inheritance inheritance, Descriptor foreground_alive) {
  int exit_code = kExitOwnFailure;
  try {
    // A group of its own: the terminal's signals reach the foreground process, which passes them on, and come once.
    ::setpgid(0, 0);
    adopt_orphans();
    exit_code = Supervisor(options, std::move(command), std::move(inheritance), std::move(foreground_alive)).run();
  } catch (const std::exception& error) {
    fmt::print(stderr, "banyan run: {}\n", error.what());
    kill_descendants(kSweepPatience);
  }
  return exit_code;
}

int start(const RunOptions& options) {
  check(options);
  Command command(options.command);
  ensure_standard_descriptors();

  Inheritance inheritance;
  inheritance.descriptor_limit = raise_descriptor_limit();
  inheritance.signal_mask = block_signals();
  Pipe keyboard;
  if (::isatty(STDIN_FILENO) == 1) keyboard = make_pipe();
  Pipe alive = make_pipe();
  adopt_orphans();

  const pid_t supervisor = ::fork();
  if (supervisor < 0) throw system_error("start the supervisor of the ranks");
  if (supervisor == 0) {
    alive.write_end.reset();
    keyboard.write_end.reset();
    inheritance.keyboard = std::move(keyboard.read_end);
    return supervise(options, std::move(command), std::move(inheritance), std::move(alive.read_end));
  }
  alive.read_end.reset();
  keyboard.read_end.reset();
  return stay_in_foreground(supervisor, std::move(keyboard.write_end));
}

}  // namespace

int run_command(const RunOptions& options) {
  try {
    return start(options);
  } catch (const Error& error) {
    const bool says_more = error.exit_code() == kExitBadInput;
    fmt::print(stderr, "banyan run: {}{}\n", error.what(), says_more ? " (banyan run --help says more)" : "");
    return error.exit_code();
  }
}

}  // namespace banyan::cli
