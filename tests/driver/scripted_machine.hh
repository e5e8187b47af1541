// A machine in the engine's place that does what a test says and remembers what it was told. It also holds the driver
// to the engine's contract: one thread at a time, `now` never backwards, poll() until Wait after each handle().
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "driver_under_test.hh"
#include "engine/machine.hh"

namespace banyan::driver_test {

// Generous: the machines that run this may be busy. A test that passes never waits for it.
inline constexpr std::chrono::seconds kPatience{20};

// Shared by the machine, which the driver owns, and the test.
class Script {
 public:
  // What the machine answers to an input at once, on the driver's thread; set before the rank is opened.
  std::function<void(Script&, const engine::Input&)> on_input;

  // Puts an output in line; leaves at the next poll. Any thread; poke() the rank afterwards, or be in on_input.
  void put(engine::Output output);
  void set_deadline(Time deadline);

  // Waits until an input of this kind has come for which `fits` holds, takes it out and returns it; fails the test and
  // throws when none comes.
  template <typename Kind>
  Kind expect(std::function<bool(const Kind&)> fits = [](const Kind&) { return true; }) {
    std::unique_lock lock(mutex_);
    std::optional<Kind> found;
    const bool in_time = changed_.wait_for(lock, kPatience, [&] {
      for (auto input = inputs_.begin(); input != inputs_.end(); ++input) {
        const Kind* kind = std::get_if<Kind>(&*input);
        if (kind == nullptr || !fits(*kind)) continue;
        found = std::move(*std::get_if<Kind>(&*input));
        inputs_.erase(input);
        return true;
      }
      return false;
    });
    if (!in_time) give_up(typeid(Kind).name());
    return *std::move(found);
  }
  // True when no input of this kind comes within `time`.
  template <typename Kind>
  bool nothing_comes(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, time, [&] {
      for (const engine::Input& input : inputs_) {
        if (std::holds_alternative<Kind>(input)) return true;
      }
      return false;
    });
  }
  // All bytes that came on a link, once there are `count` of them.
  std::string expect_bytes(LinkId link, std::size_t count);
  std::size_t bytes_so_far(LinkId link);

  // What the machine says that its job is; the options' unless a test sets it before it orders anything.
  JobId job;

 private:
  friend class ScriptedMachine;
  [[noreturn]] void give_up(const std::string& what);
  void remember(engine::Input input);
  engine::Output next_output();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<engine::Input> inputs_;  // but for received bytes:
  std::vector<std::pair<LinkId, std::string>> received_;
  std::deque<engine::Output> outputs_;
  Time deadline_ = kNever;
  std::uint32_t next_adopted_ = 1000;
};

class ScriptedMachine final : public engine::Machine {
 public:
  explicit ScriptedMachine(std::shared_ptr<Script> script) : script_(std::move(script)) {}
  void handle(Time now, engine::Input input) override;
  engine::Output poll() override;
  node::Statistics statistics() const override { return {}; }
  JobId job() const override { return script_->job; }

 private:
  std::shared_ptr<Script> script_;
  std::atomic<bool> inside_{false};
  bool polled_dry_ = true;
  Time last_{};
};

// A driver with one rank whose machine is scripted.
struct Rig {
  explicit Rig(const DriverKind& kind, driver::RankOptions options = default_options(),
               std::function<void(Script&, const engine::Input&)> on_input = nullptr);
  // Another rank in the process of `first`.
  Rig(Rig& first, driver::RankOptions options);

  void order(engine::Output output) {
    script->put(std::move(output));
    rank->poke();
  }
  void order(std::vector<engine::Output> outputs) {
    for (engine::Output& output : outputs) script->put(std::move(output));
    rank->poke();
  }
  // A network listener on this address; its port.
  std::uint16_t listen(const Endpoint& address);

  static driver::RankOptions default_options();

  std::shared_ptr<DriverUnderTest> driver;
  std::shared_ptr<Script> script = std::make_shared<Script>();
  std::unique_ptr<RankUnderTest> rank;
};

}  // namespace banyan::driver_test
