#include "driver/sockets/make_runner.hh"

#include <mutex>

#include "driver/sockets/engine_runner.hh"
#include "driver/sockets/host_identity.hh"
#include "driver/sockets/process.hh"

namespace banyan::driver {
namespace {

Failure bad_address(std::string text) {
  return Failure{FailureCode::bad_address, Phase::setup, {}, {}, std::move(text)};
}

std::optional<Failure> check(const RankOptions& options) {
  const node::Config& config = options.config;
  const bool inherits = inherits_rendezvous(options);
  if (config.world_size > 1 && options.rendezvous.empty() && !inherits && config.hosts.empty()) {
    return bad_address("no rendezvous is known: set BANYAN_RENDEZVOUS to rank 0's host:port");
  }
  for (const HostAndPort& target : options.rendezvous) {
    if (target.host.empty()) return bad_address("the rendezvous address has no host");
    if (target.port == 0 && config.world_size > 1 && !inherits) {
      return bad_address(
          "port 0 as the rendezvous only does for a job of one rank: the others could not know the port");
    }
  }
  if (options.ports.low > options.ports.high || (options.ports.low == 0 && !options.ports.any())) {
    return bad_address("the port range " + std::to_string(options.ports.low) + "-" +
                       std::to_string(options.ports.high) + " is empty or begins with 0");
  }
  for (const std::string& host : config.hosts) {
    if (!HostAndPort::parse(host)) return bad_address("\"" + host + "\" in the list of hosts is not host:port");
  }
  return std::nullopt;
}

void complete_config(RankOptions& options) {
  node::Config& config = options.config;
  if (config.host_name.empty()) config.host_name = host_name();
  if (config.host_key.empty()) config.host_key = host_key();
  const RandomNumbers random = random_numbers();
  if (config.incarnation == Incarnation{}) config.incarnation = random.incarnation;
  if (config.seed == 0) config.seed = random.seed;
  if (config.entropy == decltype(config.entropy){}) config.entropy = random.entropy;
  config.uid = user_id();
  if (!config.rendezvous.empty()) return;
  for (const HostAndPort& target : options.rendezvous) {
    config.rendezvous += (config.rendezvous.empty() ? "" : ",") + target.to_string();
  }
}

}  // namespace

std::variant<std::shared_ptr<EngineRunner>, Failure> make_runner(Process& process, RankOptions options,
                                                                 const MakeMachine& make_machine) {
  if (std::optional<Failure> failure = check(options)) return *std::move(failure);
  InterfaceChoice choice;
  if (!options.interface.empty()) {
    auto chosen = choose_interface(options.interface);
    if (auto* reason = std::get_if<std::string>(&chosen)) return bad_address(std::move(*reason));
    choice = std::move(std::get<InterfaceChoice>(chosen));
  }
  complete_config(options);
  options.config.tables = process.tables;
  options.config.share_memory = can_share_memory() ? share_memory : nullptr;
  std::unique_ptr<engine::Machine> machine = make_machine(options.config);
  return std::make_shared<EngineRunner>(process, std::move(options), std::move(choice), std::move(machine));
}

void prepare_process() {
  static std::once_flag once;
  std::call_once(once, raise_descriptor_limit);
}

}  // namespace banyan::driver
