#include "driver_under_test.hh"

#include <stdexcept>

#include "driver/asio/runtime.hh"

namespace banyan::driver_test {
namespace {

class AsioRank final : public RankUnderTest {
 public:
  explicit AsioRank(std::unique_ptr<driver::RankHandle> handle)
      : handle_(std::move(handle)), start_(handle_->start()) {}
  void poke() override { handle_->submit({}); }
  node::Statistics statistics() override { return handle_->statistics(); }

 private:
  std::unique_ptr<driver::RankHandle> handle_;
  std::shared_ptr<driver::Operation> start_;
};

class AsioDriver final : public DriverUnderTest {
 public:
  AsioDriver() {
    if (const auto failure = runtime_->run_in_background()) throw std::runtime_error(failure->text);
  }
  std::unique_ptr<RankUnderTest> open(driver::RankOptions options, std::unique_ptr<engine::Machine> machine) override {
    auto opened = runtime_->open(std::move(options), [&machine](const node::Config&) { return std::move(machine); });
    if (const auto* failure = std::get_if<Failure>(&opened)) throw std::runtime_error(failure->text);
    return std::make_unique<AsioRank>(std::get<std::unique_ptr<driver::RankHandle>>(std::move(opened)));
  }

 private:
  std::shared_ptr<driver::Runtime> runtime_ = driver::Runtime::make();
};

std::vector<DriverKind>& kinds() {
  static std::vector<DriverKind> kinds;
  return kinds;
}

const bool registered =
    register_driver({"asio", []() -> std::unique_ptr<DriverUnderTest> { return std::make_unique<AsioDriver>(); }});

}  // namespace

const std::vector<DriverKind>& all_drivers() { return kinds(); }

bool register_driver(DriverKind kind) {
  kinds().push_back(std::move(kind));
  return true;
}

}  // namespace banyan::driver_test
