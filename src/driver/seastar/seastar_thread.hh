// For tests and benchmarks: Seastar in a thread of a program that is not made for it. Begun at the first use, ended
// with the program; there can be one in a process.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <future>
#include <seastar/core/alien.hh>
#include <seastar/core/app-template.hh>
#include <seastar/core/coroutine.hh>
#include <seastar/core/future.hh>
#include <seastar/core/reactor.hh>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace banyan::driver {

class SeastarThread {
 public:
  static SeastarThread& instance() {
    static SeastarThread thread;
    return thread;
  }
  // Runs `work`, which returns a future, on a shard, and waits for it. What `work` captures lives that long.
  template <typename Work>
  auto run(Work work, unsigned shard = 0) {
    return seastar::alien::submit_to(*alien_, shard, [&work] { return seastar::futurize_invoke(work); }).get();
  }

 private:
  // BANYAN_SEASTAR_ARGUMENTS: other options of Seastar's than these, separated by spaces.
  static std::vector<std::string> words() {
    std::vector<std::string> words{"banyan", "--overprovisioned", "--default-log-level", "error"};
    const char* const said = std::getenv("BANYAN_SEASTAR_ARGUMENTS");
    const std::string more = said != nullptr ? said : "--smp 2 --memory 512M";
    for (std::size_t begin = 0, end = 0; begin < more.size(); begin = end + 1) {
      end = std::min(more.find(' ', begin), more.size());
      if (end > begin) words.push_back(more.substr(begin, end - begin));
    }
    return words;
  }

  SeastarThread() {
    std::promise<seastar::alien::instance*> running;
    thread_ = std::thread([this, &running] {
      seastar::app_template::config config;
      config.auto_handle_sigint_sigterm = false;
      seastar::app_template app(std::move(config));
      std::vector<std::string> said = words();
      std::vector<char*> arguments;
      for (std::string& word : said) arguments.push_back(word.data());
      app.run(static_cast<int>(arguments.size()), arguments.data(), [this, &app, &running]() -> seastar::future<> {
        seastar::future<> end = end_.get_future();
        running.set_value(&app.alien());
        co_await std::move(end);
      });
    });
    alien_ = running.get_future().get();
  }
  ~SeastarThread() {
    seastar::alien::run_on(*alien_, 0, [this]() noexcept { end_.set_value(); });
    thread_.join();
  }

  seastar::promise<> end_;
  seastar::alien::instance* alien_ = nullptr;
  std::thread thread_;
};

}  // namespace banyan::driver
