#include "scripted_machine.hh"

#include <stdexcept>

#include <gtest/gtest.h>

#include "base/assert.hh"

namespace banyan::driver_test {

void Script::put(engine::Output output) {
  const std::lock_guard lock(mutex_);
  outputs_.push_back(std::move(output));
}

void Script::set_deadline(Time deadline) {
  const std::lock_guard lock(mutex_);
  deadline_ = deadline;
}

void Script::give_up(const std::string& what) {
  ADD_FAILURE() << "the driver did not hand in " << what;
  throw std::runtime_error("no input " + what);
}

std::string Script::expect_bytes(LinkId link, std::size_t count) {
  std::unique_lock lock(mutex_);
  std::string all;
  const bool in_time = changed_.wait_for(lock, kPatience, [&] {
    all.clear();
    for (const auto& [from, bytes] : received_) {
      if (from == link) all += bytes;
    }
    return all.size() >= count;
  });
  if (!in_time) give_up(std::to_string(count) + " bytes, but " + std::to_string(all.size()));
  return all;
}

std::size_t Script::bytes_so_far(LinkId link) {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  for (const auto& [from, bytes] : received_) count += from == link ? bytes.size() : 0;
  return count;
}

void Script::remember(engine::Input input) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto* accepted = std::get_if<engine::input::Accepted>(&input); accepted != nullptr) {
      outputs_.push_back(engine::output::Adopt{accepted->token, LinkId{next_adopted_++}});
    }
  }
  if (on_input) on_input(*this, input);
  const std::lock_guard lock(mutex_);
  if (const auto* bytes = std::get_if<engine::input::BytesReceived>(&input)) {
    std::string text = Payload(bytes->bytes).to_string();
    if (!received_.empty() && received_.back().first == bytes->link) {
      received_.back().second += text;
    } else {
      received_.emplace_back(bytes->link, std::move(text));
    }
  } else {
    inputs_.push_back(std::move(input));
  }
  changed_.notify_all();
}

engine::Output Script::next_output() {
  const std::lock_guard lock(mutex_);
  if (outputs_.empty()) return engine::output::Wait{deadline_};
  engine::Output output = std::move(outputs_.front());
  outputs_.pop_front();
  return output;
}

void ScriptedMachine::handle(Time now, engine::Input input) {
  BANYAN_ASSERT(!inside_.exchange(true));
  BANYAN_ASSERT(polled_dry_);
  BANYAN_ASSERT(now >= last_);
  last_ = now;
  polled_dry_ = false;
  script_->remember(std::move(input));
  inside_ = false;
}

engine::Output ScriptedMachine::poll() {
  BANYAN_ASSERT(!inside_.exchange(true));
  engine::Output output = script_->next_output();
  polled_dry_ = std::holds_alternative<engine::output::Wait>(output);
  inside_ = false;
  return output;
}

driver::RankOptions Rig::default_options() {
  driver::RankOptions options;
  options.config.host_name = "test";
  options.config.host_key = "test";
  return options;
}

Rig::Rig(const DriverKind& kind, driver::RankOptions options,
         std::function<void(Script&, const engine::Input&)> on_input)
    : driver(kind.make()) {
  script->on_input = std::move(on_input);
  script->job = options.config.job;
  rank = driver->open(std::move(options), std::make_unique<ScriptedMachine>(script));
  script->expect<engine::input::Start>();
}

Rig::Rig(Rig& first, driver::RankOptions options) : driver(first.driver) {
  script->job = options.config.job;
  rank = driver->open(std::move(options), std::make_unique<ScriptedMachine>(script));
  script->expect<engine::input::Start>();
}

std::uint16_t Rig::listen(const Endpoint& address) {
  order(node::effect::Listen{node::Listener::network, address, {}});
  return script->expect<engine::input::Listening>().endpoint.port;
}

}  // namespace banyan::driver_test
