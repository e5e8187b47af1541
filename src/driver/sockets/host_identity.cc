#include "driver/sockets/host_identity.hh"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
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

// Says which network namespace this process is in, since Unix names belong to one: the kernel's cookie for it, or,
// where there is none (before Linux 5.14), its inode, which takes ten times as long to look up.
std::string network_id() {
#ifdef SO_NETNS_COOKIE
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::uint64_t cookie = 0;
  socklen_t length = sizeof(cookie);
  const bool known = socket >= 0 && ::getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) == 0;
  if (socket >= 0) ::close(socket);
  if (known) return "n" + std::to_string(cookie);
#endif
  struct stat network {};
  return ::stat("/proc/self/ns/net", &network) == 0 ? std::to_string(network.st_ino) : "-";
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
  return (boot.empty() ? host_name() : boot) + "/" + network_id() + "/" + std::to_string(user_id());
}

std::uint32_t user_id() { return ::geteuid(); }

RandomNumbers random_numbers() {
  RandomNumbers numbers;
  fill_randomly(&numbers, sizeof(numbers));
  if (numbers.incarnation == Incarnation{}) numbers.incarnation = Incarnation{1};
  return numbers;
}

}  // namespace banyan::driver
