// A root on Seastar that takes many registrations: see ../registrations.hh.
#include <cstdlib>
#include <future>
#include <optional>
#include <string>

#include <banyan/seastar_bootstrap.hpp>

#include "../registrations.hh"
#include "driver/seastar/seastar_thread.hh"

namespace {

using banyan::driver::SeastarThread;

class SeastarRoot final : public banyan::bench::Root {
 public:
  std::string driver() const override {
    const char* const said = std::getenv("BANYAN_SEASTAR_ARGUMENTS");
    return std::string("seastar ") + said;
  }
  void begin(const banyan::Options& options) override {
    SeastarThread::instance().run([&] {
      job_.emplace();
      job_->init(options);
      started_ = job_->start();
      return seastar::make_ready_future<>();
    });
  }
  void wait() override {
    SeastarThread::instance().run([this] { return std::move(*started_); });
  }

 private:
  std::optional<banyan::SeastarBootstrap> job_;
  std::optional<seastar::future<>> started_;
};

}  // namespace

int main(int argument_count, char** arguments) {
  ::setenv("BANYAN_SEASTAR_ARGUMENTS", "--smp 1 --memory 2G", 0);
  SeastarRoot root;
  std::_Exit(banyan::bench::measure_registrations(argument_count, arguments, root));
}
