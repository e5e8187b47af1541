// The program `banyan`: one subcommand per tool. Here is only what belongs to all of them: the command line is parsed,
// the subcommand runs, and whatever goes wrong becomes a sentence and an exit code.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/calibrate_command.hh"
#include "cli/error.hh"
#include "cli/run_command.hh"
#include "cli/run_options.hh"
#include "cli/simulate_command.hh"
#include "cli/version.hh"

namespace banyan::cli {
namespace {

// One sentence, whoever found the mistake.
int bad_input(const std::string& who, const std::string& sentence) {
  fmt::print(stderr, "{}: {} ({} --help says more)\n", who, sentence, who);
  return kExitBadInput;
}

// What the parser calls "Could not convert: --ranks = many".
std::string sentence_of(const CLI::ConversionError& error) {
  const std::string text = error.what();
  const std::size_t colon = text.find(": ");
  return text.substr(colon == std::string::npos ? 0 : colon + 2) + " can't be read: a number is expected";
}

constexpr std::uint32_t kRanksForHugePages = 65'536;

// The memory of a large simulation is read all over: in huge pages it runs a fifth faster. glibc decides on that when a
// process starts.
void start_again_with_huge_pages(char** arguments) {
  constexpr const char* kTunables = "GLIBC_TUNABLES";
  if (std::getenv(kTunables) != nullptr) return;
  ::setenv(kTunables, "glibc.malloc.hugetlb=1", 0);
  ::execv("/proc/self/exe", arguments);  // if it can't, the job is simulated all the same
}

int main_function(int argument_count, char** arguments) {
  CLI::App application("Banyan: bootstrap of collective-communication jobs over a tree", "banyan");
  application.set_version_flag("--version", fmt::format("banyan {}", version_string()));
  application.require_subcommand(1);
  RunOptions run_options;
  CLI::App* run = add_run_command(application, run_options);
  SimulateOptions simulate_options;
  CalibrateOptions calibrate_options;
  const CLI::App* calibrate = add_calibrate_command(application, calibrate_options);
  const CLI::App* simulate = add_simulate_command(application, simulate_options);

  const auto is_asked_for = [&](const CLI::App* subcommand) { return subcommand->get_name() == arguments[1]; };
  if (argument_count > 1 && arguments[1][0] != '-' && application.get_subcommands(is_asked_for).empty()) {
    return bad_input("banyan", fmt::format("unknown subcommand '{}'", arguments[1]));
  }
  // All behind the first `--` is the user's command, to be left exactly as it is.
  int own_count = 1;
  while (own_count < argument_count && std::strcmp(arguments[own_count], "--") != 0) ++own_count;

  const auto who = [&] {
    const std::vector<CLI::App*> asked = application.get_subcommands();
    return asked.empty() ? "banyan" : "banyan " + asked.front()->get_name();
  };
  try {
    application.parse(own_count, arguments);
  } catch (const CLI::ConversionError& error) {
    return bad_input(who(), sentence_of(error));
  } catch (const CLI::ParseError& error) {
    // Help and version are "errors" that exit with 0.
    if (error.get_exit_code() == 0) return application.exit(error);
    return bad_input(who(), error.what());
  }
  if (*calibrate) return calibrate_command(calibrate_options);
  if (*simulate) {
    if (simulate_options.ranks.value_or(0) >= kRanksForHugePages) start_again_with_huge_pages(arguments);
    return simulate_command(simulate_options);
  }
  run_options.command = run->remaining();
  if (!run_options.command.empty()) {
    const std::string& first = run_options.command.front();
    if (first.starts_with('-')) return bad_input("banyan run", fmt::format("unknown option '{}'", first));
    if (own_count < argument_count) run_options.command.emplace_back("--");
  }
  for (int i = own_count + 1; i < argument_count; ++i) run_options.command.emplace_back(arguments[i]);
  return run_command(run_options);
}

}  // namespace
}  // namespace banyan::cli

int main(int argument_count, char** arguments) {
  using namespace banyan::cli;
  try {
    return main_function(argument_count, arguments);
  } catch (const Error& error) {
    fmt::print(stderr, "banyan: {}\n", error.what());
    return error.exit_code();
  } catch (const std::exception& error) {
    fmt::print(stderr, "banyan: {}\n", error.what());
    return kExitOwnFailure;
  }
}
