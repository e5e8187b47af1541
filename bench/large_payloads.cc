// Allgather and broadcast of large payloads by Banyan, under a launcher; bench/peers/large_payloads.cc is the same by
// MPI.
//
//   banyan run -n 64 -- large_payloads --operation allgather --bytes 1048576
//
// Two forms: with a *handle* each message is read where it lies; as *strings* all are copied out, into new memory, as
// the blocking calls do.
#include "large_payloads.hh"

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <banyan/hierarchical_bootstrap.hpp>

namespace {

using banyan::Handle;
using banyan::HierarchicalBootstrap;
using banyan::Options;
using banyan::bench::PayloadFigures;
using banyan::bench::PayloadSettings;

class BanyanJob {
 public:
  BanyanJob(HierarchicalBootstrap& job, const PayloadSettings& settings) : job_(job), settings_(settings) {}

  int rank() const { return job_.rank(); }
  int ranks() const { return job_.world_size(); }
  void barrier() { job_.barrier(); }
  std::vector<PayloadFigures> gather(const PayloadFigures& own) { return job_.gather_value(0, own); }

  void call(std::string& own) {
    own_ = &own;
    if (settings_.form == "handle") {
      handle_ = settings_.broadcast() ? job_.begin_broadcast(0, own) : job_.begin_allgather(own);
      handle_.wait();
    } else if (settings_.broadcast()) {
      job_.broadcast(0, rank() == 0 ? own : strings_.emplace_back());
    } else {
      strings_ = job_.allgather(own);
    }
  }

  template <typename Reader>
  void read(const Reader& reader) {
    if (settings_.broadcast() && rank() == 0) {
      reader(0, own_->data(), own_->size());
    } else if (settings_.form == "strings") {
      for (std::size_t i = 0; i < strings_.size(); ++i)
        reader(static_cast<int>(i), strings_[i].data(), strings_[i].size());
    } else {
      for (std::size_t i = 0; i < handle_.message_count(); ++i) {
        const banyan::MessageView view = handle_.view(i);
        reader(static_cast<int>(i), reinterpret_cast<const char*>(view.data()), view.size());
      }
    }
  }

  void let_go() {
    handle_ = {};
    strings_.clear();
  }

 private:
  HierarchicalBootstrap& job_;
  const PayloadSettings& settings_;
  const std::string* own_ = nullptr;
  Handle handle_;
  std::vector<std::string> strings_;
};

}  // namespace

int main(int argument_count, char** arguments) {
  PayloadSettings settings;
  if (!banyan::bench::parse(argument_count, arguments, {"handle", "strings"}, settings)) return EXIT_FAILURE;
  try {
    HierarchicalBootstrap job;
    job.init(Options::from_environment());
    job.start();
    BanyanJob measured(job, settings);
    banyan::bench::measure_payloads(measured, settings);
    job.close();
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return EXIT_FAILURE;
  }
}
