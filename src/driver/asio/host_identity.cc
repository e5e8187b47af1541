#include "driver/asio/host_identity.hh"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "base/assert.hh"
#include "base/limits.hh"

namespace banyan::driver {
namespace {

std::string boot_id() {
  const int file = ::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  std::array<char, 64> text{};
  const ssize_t count = ::read(file, text.data(), text.size());
  ::close(file);
  std::string_view id(text.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  return std::string(id.substr(0, id.find('\n')));
}

void fill_randomly(void* bytes, std::size_t count) {
  ssize_t filled = 0;
  // Early in a boot it can be interrupted while it waits for the first entropy; small requests are never cut short.
  do {
    filled = ::getrandom(bytes, count, 0);
  } while (filled < 0 && errno == EINTR);
  BANYAN_ASSERT(filled == static_cast<ssize_t>(count));
}

}  // namespace

std::string host_name() {
  utsname name{};
  if (::uname(&name) != 0) return "unknown";
  return std::string(name.nodename).substr(0, kMaxHostNameBytes);
}

std::string host_key() {
  // Without /proc the name has to do: hosts with equal names would then be taken for one, find no common leader, and
  // fall back to TCP.
  std::string boot = boot_id();
  struct stat network {};
  const bool known = ::stat("/proc/self/ns/net", &network) == 0;
  return (boot.empty() ? host_name() : boot) + "/" + (known ? std::to_string(network.st_ino) : "-") + "/" +
         std::to_string(user_id());
}

std::uint32_t user_id() { return ::geteuid(); }

RandomNumbers random_numbers() {
  RandomNumbers numbers;
  fill_randomly(&numbers, sizeof(numbers));
  if (numbers.incarnation == Incarnation{}) numbers.incarnation = Incarnation{1};
  return numbers;
}

}  // namespace banyan::driver
