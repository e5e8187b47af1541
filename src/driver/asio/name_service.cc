#include "driver/asio/name_service.hh"

#include <netdb.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "driver/asio/loop.hh"
#include "driver/asio/quiet_thread.hh"

namespace banyan::driver {
namespace {

Resolved ask_system(const std::string& host) {
  Resolved result;
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &list); error != 0) {
    result.error =
        "can't resolve \"" + host + "\": " + (error == EAI_SYSTEM ? error_text(errno) : ::gai_strerror(error));
    return result;
  }
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    Address& address = result.addresses.emplace_back();
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    address.length = entry->ai_addrlen;
  }
  ::freeaddrinfo(list);
  return result;
}

}  // namespace

NameService::~NameService() {
  const std::lock_guard lock(home_->mutex);
  home_->loop = nullptr;
}

void NameService::look_up(const std::string& host, std::function<void(Resolved)> answer) {
  // Shared, so that what the callback holds is let go of by the loop's thread, or with the loop.
  const auto callback = std::make_shared<std::function<void(Resolved)>>(std::move(answer));
  try {
    quiet_thread([home = home_, host, callback]() mutable {
      Resolved resolved = ask_system(host);
      const std::lock_guard lock(home->mutex);
      if (home->loop == nullptr) return;
      home->loop->post([callback = std::move(callback), resolved = std::move(resolved)]() mutable {
        (*callback)(std::move(resolved));
      });
    }).detach();
  } catch (const std::system_error& error) {
    Resolved refused;
    refused.error = "can't make a thread to resolve \"" + host + "\": " + error.what();
    (*callback)(std::move(refused));
  }
}

}  // namespace banyan::driver
