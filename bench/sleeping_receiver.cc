// What a receiver that does not receive costs everybody, under a launcher: all other ranks send to the last one.
//
//   banyan run -n 65 -- sleeping_receiver --messages 1024 --bytes 16384        of each sender
//
// When no more bytes come to the receiver, every process asks the kernel for the most memory that it has had since the
// first send. By how much it grew, beyond the payloads that it was given to send, is held against what docs/protocol.md
// allows it; exit code 1: it was more. Then the last rank receives and checks everything, and all ask again.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <banyan/hierarchical_bootstrap.hpp>

#include "harness/memory.hh"
#include "harness/payload.hh"

namespace {

using banyan::Handle;
using banyan::HierarchicalBootstrap;
using banyan::Options;
using banyan::Statistics;

// All in MiB, as the figures are. The rules are those of docs/protocol.md.
constexpr double kKiB = 1.0 / 1024;
constexpr double kProcess = 2;                        // the allocator's spare pages, code that runs for the first time
constexpr double kLink = 256 * kKiB;                  // the block that a link is read into
constexpr double kPassedOn = 2 + 2 * kKiB;            // what waits on the way to the receiver
constexpr double kWithDriver = 1 + (256 + 1) * kKiB;  // 256 KiB and a frame
constexpr double kSentMessage = 1 * kKiB;             // a send that waits, with its handle
constexpr double kAnnounced = 16 * 256.0 / 1024 * kKiB;  // P-3: of one sender, without its bytes

struct Settings {
  int messages = 1024;
  std::size_t bytes = 16 * 1024;

  double message_mib() const { return static_cast<double>(bytes) / 1024 * kKiB; }
};

enum class Role : std::uint8_t { receiver, relay, sender };
constexpr std::array<const char*, 3> kRoleNames{"receiver", "relay", "sender"};

// Of one process, in MiB.
struct Figures {
  Role role = Role::sender;
  double asleep = 0;
  double allowed = 0;
  double in_all = 0;  // until everything was received

  double fullness() const { return asleep / allowed; }
};

int receiver_of(const HierarchicalBootstrap& job) { return job.world_size() - 1; }
bool receives(const HierarchicalBootstrap& job) { return job.rank() == receiver_of(job); }

double allowed_to(const HierarchicalBootstrap& job, const Settings& settings, const Options& options) {
  const Statistics now = job.statistics();
  double allowed = kProcess + kLink * (now.tree_links + now.local_links + now.direct_links);
  if (now.tree_links > 0 || now.local_links > 1) allowed += kPassedOn + kWithDriver;
  if (!receives(job)) return allowed + kSentMessage * settings.messages;
  return allowed + static_cast<double>(options.unexpected_bytes) / 1024 * kKiB + kAnnounced * (job.world_size() - 1);
}

Role role_of(const HierarchicalBootstrap& job) {
  if (receives(job)) return Role::receiver;
  const Statistics now = job.statistics();
  return now.tree_links > 0 || now.local_links > 1 ? Role::relay : Role::sender;
}

// The library copies what it is given, so the sender's own bytes may change at once.
std::vector<Handle> send_all(HierarchicalBootstrap& job, const Settings& settings, std::string& payload) {
  std::vector<Handle> sends;
  for (int i = 0; i < settings.messages; ++i) {
    banyan::bench::fill(payload, job.rank(), i);
    sends.push_back(job.begin_send(receiver_of(job), payload));
  }
  if (job.add("senders", 1) == job.world_size() - 1) job.put("all have sent", "");
  return sends;
}

// Looks until nothing has come for the time that is called still. What is here then.
std::uint64_t wait_until_still(const HierarchicalBootstrap& job) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::seconds kStill{2};
  std::uint64_t bytes = std::numeric_limits<std::uint64_t>::max();
  for (auto since = Clock::now(); Clock::now() - since < kStill;) {
    if (const std::uint64_t now = job.statistics().unexpected_bytes; now != bytes) {
      bytes = now;
      since = Clock::now();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return bytes;
}

void receive_all(HierarchicalBootstrap& job, const Settings& settings) {
  for (int source = 0; source < receiver_of(job); ++source) {
    for (int i = 0; i < settings.messages; ++i) {
      const std::string message = job.recv(source);
      if (message.size() == settings.bytes && banyan::bench::holds(message.data(), message.size(), source, i)) continue;
      throw std::runtime_error(fmt::format("message {} of rank {} has come with other bytes", i, source));
    }
  }
}

Figures run(HierarchicalBootstrap& job, const Settings& settings, const Options& options) {
  std::string payload(settings.bytes, '\0');
  job.barrier();
  banyan::bench::forget_peak();
  const double before = banyan::bench::resident_mib();
  std::vector<Handle> sends;
  double given = 0;
  std::uint64_t held = 0;
  if (receives(job)) {
    job.get("all have sent");
    held = wait_until_still(job);
    job.put("still", "");
  } else {
    sends = send_all(job, settings, payload);
    given = settings.messages * settings.message_mib();
    job.get("still");
  }
  Figures figures;
  figures.role = role_of(job);
  figures.asleep = banyan::bench::peak_mib() - before - given;
  figures.allowed = allowed_to(job, settings, options);
  job.barrier();
  if (receives(job)) receive_all(job, settings);
  for (const Handle& send : sends) send.wait();
  job.barrier();
  figures.in_all = banyan::bench::peak_mib() - before - given;
  if (receives(job)) job.send_value(0, held);
  return figures;
}

// Of each role the process that comes nearest to its limit. False: one is beyond it.
bool report(const std::vector<Figures>& all) {
  fmt::print("{:10} {:>9} {:>22} {:>9} {:>16}\n", "", "processes", "grew asleep by, MiB", "allowed", "grew in all by");
  bool within = true;
  for (const Role role : {Role::receiver, Role::relay, Role::sender}) {
    int processes = 0;
    Figures fullest;
    for (const Figures& one : all) {
      if (one.role != role) continue;
      if (processes++ == 0 || one.fullness() > fullest.fullness()) fullest = one;
    }
    if (processes == 0) continue;
    fmt::print("{:10} {:>9} {:>22.1f} {:>9.1f} {:>16.1f}\n", kRoleNames[static_cast<std::size_t>(role)], processes,
               fullest.asleep, fullest.allowed, fullest.in_all);
    within = within && fullest.fullness() <= 1;
  }
  return within;
}

void explain(const Settings& settings, const Options& options) {
  fmt::print(
      "Allowed: {} MiB for the process and {} MiB for each link's block; a relay {:.2f} MiB that wait to be passed on "
      "(Q-3,\n"
      "Q-2), a sender {} KiB for each message beside the {:.1f} MiB that it sends, the receiver {:.1f} MiB of "
      "unexpected\n"
      "bytes (P-5) and {} KiB for what each sender has announced (P-3).\n",
      kProcess, kLink, kPassedOn + kWithDriver, kSentMessage / kKiB, settings.messages * settings.message_mib(),
      static_cast<double>(options.unexpected_bytes) / 1024 * kKiB, kAnnounced / kKiB);
}

bool measure(const Options& options, const Settings& settings) {
  HierarchicalBootstrap job;
  job.init(options);
  job.start();
  if (job.world_size() < 2) throw std::runtime_error("sleeping_receiver needs two ranks at least: banyan run -n 65");
  const std::vector<Figures> all = job.gather_value(0, run(job, settings, options));
  bool within = true;
  if (job.rank() == 0) {
    const auto held = job.recv_value<std::uint64_t>(receiver_of(job));
    fmt::print(
        "{} ranks on {} {} have sent {} of {} bytes each, {}, to one that sleeps; {} of these bytes lie there.\n\n",
        job.world_size() - 1, job.statistics().hosts, job.statistics().hosts == 1 ? "host" : "hosts",
        settings.messages == 1 ? "a message" : fmt::format("{} messages", settings.messages), settings.bytes,
        options.direct_links == 0 ? "all routed" : "with direct links", held);
    within = report(all);
    explain(settings, options);
  }
  job.close();
  return within;
}

}  // namespace

int main(int argument_count, char** arguments) {
  Settings settings;
  CLI::App app{"Measures the memory of every process while all ranks send to one that does not receive."};
  app.add_option("--messages", settings.messages, "of each sender")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--bytes", settings.bytes, "of each message, in eights")
      ->check(CLI::Range(std::size_t{8}, std::size_t{1} << 30))
      ->capture_default_str();
  CLI11_PARSE(app, argument_count, arguments);
  settings.bytes -= settings.bytes % sizeof(std::uint64_t);
  try {
    return measure(Options::from_environment(), settings) ? EXIT_SUCCESS : EXIT_FAILURE;
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return EXIT_FAILURE;
  }
}
