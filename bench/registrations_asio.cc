// A root of the Asio driver that takes many registrations: see registrations.hh.
#include <memory>
#include <string>

#include <banyan/hierarchical_bootstrap.hpp>

#include "registrations.hh"

namespace {

class AsioRoot final : public banyan::bench::Root {
 public:
  std::string driver() const override { return "asio"; }
  void begin(const banyan::Options& options) override {
    job_.init(options);
    started_ = job_.begin_start();
  }
  void wait() override { started_.wait(); }

 private:
  banyan::HierarchicalBootstrap job_;
  banyan::Handle started_;
};

}  // namespace

int main(int argument_count, char** arguments) {
  AsioRoot root;
  std::_Exit(banyan::bench::measure_registrations(argument_count, arguments, root));
}
