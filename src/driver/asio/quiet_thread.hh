// A thread that takes no signals: the host program's handlers are not for a library's threads.
#pragma once

#include <pthread.h>

#include <csignal>
#include <thread>
#include <utility>

namespace banyan::driver {

// Throws std::system_error when the system makes no thread.
template <typename Work>
std::thread quiet_thread(Work work) {
  struct Masked {
    Masked() {
      sigset_t all;
      sigfillset(&all);
      pthread_sigmask(SIG_SETMASK, &all, &before);
    }
    ~Masked() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
    sigset_t before;
  };
  const Masked masked;
  return std::thread(std::move(work));
}

}  // namespace banyan::driver
