// Distance on one machine: makes network namespaces that stand for hosts, and is the network between them. What one
// host sends comes out at the other after a fixed time, in order, but for what is lost.
//
//   delaying_relay --hosts 8 --latency-us 1000      as root; ends when its input ends, or on SIGTERM or SIGINT
//
// Each namespace has a TUN device, whose packets the relay reads, keeps until they are due, and writes into the device
// of the host that they are addressed to. The first line of output names the hosts: {"hosts": [{"namespace":
// "/proc/1/fd/5", "address": "10.77.0.1"}, ...]}, so `nsenter --net=/proc/1/fd/5 COMMAND` runs a command on the first.
// Each line of input is answered by what the relay has carried since the last one; "cut 3" cuts host 3 off from all
// others before. Namespaces are held by open files
// alone, devices too, so nothing is left behind however the relay ends.
#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <iostream>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/system.hh"

namespace {

using banyan::bench::checked;
using banyan::bench::cpu_ns;
using Clock = std::chrono::steady_clock;

// Two descriptors each, and some milliseconds of the kernel's time.
constexpr std::uint32_t kMaxHosts = 1024;
// Further away than any two places on earth; memory for what is under way has its own limit.
constexpr int kMaxLatencyUs = 1'000'000;
// Beyond it packets are dropped, as a router does whose queue is full. Each connection has some megabytes under way.
constexpr std::size_t kMaxBytesUnderWay = std::size_t{1} << 30;
// Packets of one host that are read before others have their turn.
constexpr int kBurst = 16;
// Like Ethernet, so that a connection's first window is as large as between real hosts.
constexpr int kDefaultMtu = 1500;
constexpr int kMinMtu = 576;
// Addresses are 10.77.0.1, 10.77.0.2, ...
constexpr std::uint32_t kNetwork = 10u << 24 | 77u << 16;
constexpr std::uint32_t kNetmask = 0xffff'0000;
// The kernel hands over segments of one connection as one large packet with this header before it (as to a virtual
// machine's network card); passed on as it is, it spares the relay both cutting packets up and summing them.
constexpr std::size_t kHeaderBytes = 10;  // sizeof(virtio_net_hdr), whose header is not C++
constexpr std::size_t kMaxPacketBytes = kHeaderBytes + IP_MAXPACKET;

struct Settings {
  std::uint32_t hosts = 2;
  Clock::duration latency{};
  std::uint32_t loss_of_10000 = 0;  // packets, which are as large as the kernel hands them over: up to 64 KiB
  std::uint64_t seed = 1;
  int mtu = kDefaultMtu;
};

// As `checked`, but says what to do.
int required(int result, const char* what, const char* remedy) {
  if (result >= 0) return result;
  throw std::runtime_error(std::string(what) + ": " + std::strerror(errno) + "; " + remedy);
}

int open_namespace() {
  return checked(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), "/proc/thread-self/ns/net");
}

ifreq request_for(std::string_view interface) {
  ifreq request{};
  interface.copy(request.ifr_name, IFNAMSIZ - 1);
  return request;
}

// Asked through any socket of the namespace.
void bring_up(int socket, ifreq request) {
  request.ifr_flags = IFF_UP;
  checked(::ioctl(socket, SIOCSIFFLAGS, &request), "bring an interface up");
}

void set_address(int socket, ifreq request, unsigned long what, std::uint32_t address) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(address);
  std::memcpy(&request.ifr_addr, &in, sizeof(in));
  checked(::ioctl(socket, what, &request), "give an interface its address");
}

struct Host {
  int network_namespace = -1;
  int device = -1;
  std::uint32_t address = 0;
  bool cut_off = false;
};

// In the namespace that this thread is in: a device belongs to the one in which it was opened.
int make_interfaces(std::uint32_t address, int mtu) {
  const int device = required(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "/dev/net/tun",
                              "load the module (modprobe tun), or give it to the container (--device /dev/net/tun)");
  ifreq tun = request_for("distance");
  tun.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  checked(::ioctl(device, TUNSETIFF, &tun), "make a TUN device");
  checked(::ioctl(device, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4), "TUNSETOFFLOAD");

  const int socket = checked(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  set_address(socket, tun, SIOCSIFADDR, address);
  set_address(socket, tun, SIOCSIFNETMASK, kNetmask);
  tun.ifr_mtu = mtu;
  checked(::ioctl(socket, SIOCSIFMTU, &tun), "an interface's MTU");
  bring_up(socket, tun);
  bring_up(socket, request_for("lo"));
  ::close(socket);
  return device;
}

std::vector<Host> make_hosts(const Settings& settings) {
  const int home = open_namespace();
  std::vector<Host> hosts(settings.hosts);
  for (std::uint32_t index = 0; index < settings.hosts; ++index) {
    required(::unshare(CLONE_NEWNET), "make a network namespace", "start it as root (with CAP_SYS_ADMIN)");
    const std::uint32_t address = kNetwork + 1 + index;
    hosts[index] = {open_namespace(), make_interfaces(address, settings.mtu), address};
  }
  checked(::setns(home, CLONE_NEWNET), "setns");
  ::close(home);
  return hosts;
}

double microseconds(Clock::duration duration) { return std::chrono::duration<double, std::micro>(duration).count(); }

class Relay {
 public:
  Relay(std::vector<Host> hosts, const Settings& settings)
      : hosts_(std::move(hosts)),
        latency_(settings.latency),
        loss_of_10000_(settings.loss_of_10000),
        random_(settings.seed) {
    epoll_ = checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    for (std::uint32_t index = 0; index < hosts_.size(); ++index) watch(hosts_[index].device, index);
    sigset_t ends{};
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    checked(::sigprocmask(SIG_BLOCK, &ends, nullptr), "sigprocmask");
    watch(checked(::signalfd(-1, &ends, SFD_CLOEXEC), "signalfd"), kSignal);
    watch(STDIN_FILENO, kInput);
  }

  void say_hosts() const {
    std::cout << "{\"hosts\": [";
    const char* comma = "";
    for (const Host& host : hosts_) {
      const in_addr address{htonl(host.address)};
      std::cout << comma << "{\"namespace\": \"/proc/" << ::getpid() << "/fd/" << host.network_namespace
                << "\", \"address\": \"" << ::inet_ntoa(address) << "\"}";
      comma = ", ";
    }
    std::cout << "]}" << std::endl;
  }

  void run() {
    std::array<epoll_event, 64> events{};
    for (;;) {
      const std::optional<timespec> patience = until_next_is_due();
      const int count = ::epoll_pwait2(epoll_, events.data(), events.size(), patience ? &*patience : nullptr, nullptr);
      if (count < 0 && errno != EINTR) checked(count, "epoll_pwait2");
      deliver_what_is_due();
      for (int i = 0; i < count; ++i) {
        const std::uint32_t source = events[static_cast<std::size_t>(i)].data.u32;
        if (source == kSignal || (source == kInput && !answer_input())) return;
        if (source < hosts_.size()) take_from(hosts_[source]);
        deliver_what_is_due();
      }
    }
  }

 private:
  static constexpr std::uint32_t kSignal = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::uint32_t kInput = kSignal - 1;

  struct Packet {
    Clock::time_point due;
    int device;
    std::vector<char> bytes;
  };
  struct Counts {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    std::uint64_t dropped = 0;
    Clock::duration late{};  // of all packets together
    Clock::duration latest{};
  };

  void watch(int descriptor, std::uint32_t source) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = source;
    const int result = ::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event);
    // A plain file or /dev/null as the input can't be waited for, and has nothing to say.
    if (source != kInput || errno != EPERM) checked(result, "epoll_ctl");
  }

  // All packets have the same way to go, so the oldest is the first that is due.
  std::optional<timespec> until_next_is_due() const {
    if (under_way_.empty()) return std::nullopt;
    const auto left = std::max(under_way_.front().due - Clock::now(), Clock::duration::zero());
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
    return timespec{ns / 1'000'000'000, ns % 1'000'000'000};
  }

  void take_from(const Host& host) {
    for (int taken = 0; taken < kBurst; ++taken) {
      const ssize_t size = ::read(host.device, buffer_.data(), buffer_.size());
      if (size < 0 && errno == EAGAIN) return;
      checked(static_cast<int>(size), "read from a TUN device");
      if (!host.cut_off) keep(static_cast<std::size_t>(size));
    }
  }

  void keep(std::size_t size) {
    iphdr ip{};
    if (size < kHeaderBytes + sizeof(ip)) return;
    std::memcpy(&ip, buffer_.data() + kHeaderBytes, sizeof(ip));
    const std::uint32_t index = ntohl(ip.daddr) - kNetwork - 1;
    // What a host says to its neighbourhood when its device comes up (IPv6) is for nobody here.
    if (ip.version != 4 || index >= hosts_.size()) return;
    if (hosts_[index].cut_off) return;
    if (bytes_under_way_ + size > kMaxBytesUnderWay || random_() % 10'000 < loss_of_10000_) {
      ++counts_.dropped;
      return;
    }
    bytes_under_way_ += size;
    under_way_.push_back({Clock::now() + latency_, hosts_[index].device, {buffer_.data(), buffer_.data() + size}});
  }

  void deliver_what_is_due() {
    for (; !under_way_.empty(); under_way_.pop_front()) {
      const Packet& packet = under_way_.front();
      const Clock::duration late = Clock::now() - packet.due;
      if (late < Clock::duration::zero()) return;
      bytes_under_way_ -= packet.bytes.size();
      // The receiver's kernel may be out of memory: then its sender repeats it, as after any loss.
      if (::write(packet.device, packet.bytes.data(), packet.bytes.size()) < 0) {
        ++counts_.dropped;
        continue;
      }
      ++counts_.packets;
      counts_.bytes += packet.bytes.size() - kHeaderBytes;
      counts_.late += late;
      counts_.latest = std::max(counts_.latest, late);
    }
  }

  // False at the end of input.
  bool answer_input() {
    const ssize_t size = ::read(STDIN_FILENO, buffer_.data(), buffer_.size());
    if (size <= 0) return false;
    line_.append(buffer_.data(), static_cast<std::size_t>(size));
    for (std::size_t end = 0; (end = line_.find('\n')) != std::string::npos; line_.erase(0, end + 1)) {
      unsigned host = 0;
      if (std::sscanf(line_.c_str(), "cut %u", &host) == 1 && host < hosts_.size()) hosts_[host].cut_off = true;
      say_counts();
    }
    return true;
  }

  void say_counts() {
    const double packets = static_cast<double>(std::max<std::uint64_t>(counts_.packets, 1));
    const std::int64_t cpu = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
    std::cout << "{\"packets\": " << counts_.packets << ", \"bytes\": " << counts_.bytes
              << ", \"dropped\": " << counts_.dropped << ", \"late_us_mean\": " << microseconds(counts_.late) / packets
              << ", \"late_us_max\": " << microseconds(counts_.latest)
              << ", \"cpu_ms\": " << static_cast<double>(cpu - cpu_before_) / 1e6 << "}" << std::endl;
    counts_ = {};
    cpu_before_ = cpu;
  }

  std::vector<Host> hosts_;
  Clock::duration latency_;
  std::uint32_t loss_of_10000_;
  std::mt19937_64 random_;
  std::string line_;  // of input, up to here
  int epoll_ = -1;
  std::deque<Packet> under_way_;
  std::size_t bytes_under_way_ = 0;
  std::array<char, kMaxPacketBytes> buffer_;
  Counts counts_;
  std::int64_t cpu_before_ = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
};

// A network does not wait for a core: the relay goes before all that it carries packets for, and wakes up on time.
void go_first() {
  const sched_param priority{1};
  if (::sched_setscheduler(0, SCHED_FIFO, &priority) != 0) {
    std::cerr << "delaying_relay: without real-time priority (" << std::strerror(errno) << ") packets may be late\n";
  }
  ::prctl(PR_SET_TIMERSLACK, 1);
}

void allow_descriptors(std::uint32_t hosts) {
  rlimit limit{};
  checked(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  const rlim_t needed = 2 * hosts + 64;
  if (limit.rlim_cur >= needed) return;
  limit.rlim_cur = needed;
  limit.rlim_max = std::max(limit.rlim_max, needed);
  required(::setrlimit(RLIMIT_NOFILE, &limit), "raise the limit of open files", "start it as root");
}

[[noreturn]] void refuse() {
  std::cerr << "usage: delaying_relay --hosts H --latency-us L [--mtu BYTES] [--loss-of-10000 P [--seed S]]\n"
            << "H is 1 to " << kMaxHosts << "; L, one way, 0 to " << kMaxLatencyUs << "; the MTU " << kMinMtu << " to "
            << IP_MAXPACKET << ", " << kDefaultMtu
            << " if it is not given;\nP of 10,000 packets are lost, chosen by S\n";
  std::exit(2);
}

double number(const char* text, double least, double greatest) {
  char* end = nullptr;
  const double value = std::strtod(text, &end);
  if (end == text || *end != '\0' || !(value >= least && value <= greatest)) refuse();
  return value;
}

Settings parse(int argument_count, char** arguments) {
  Settings settings;
  const option options[] = {
      {"hosts", required_argument, nullptr, 'h'}, {"latency-us", required_argument, nullptr, 'l'},
      {"mtu", required_argument, nullptr, 'm'},   {"loss-of-10000", required_argument, nullptr, 'p'},
      {"seed", required_argument, nullptr, 's'},  {nullptr, 0, nullptr, 0}};
  for (int letter = 0; (letter = ::getopt_long(argument_count, arguments, "", options, nullptr)) != -1;) {
    if (letter == 'h') settings.hosts = static_cast<std::uint32_t>(number(optarg, 1, kMaxHosts));
    if (letter == 'l') {
      const std::chrono::duration<double, std::micro> latency(number(optarg, 0, kMaxLatencyUs));
      settings.latency = std::chrono::duration_cast<Clock::duration>(latency);
    }
    if (letter == 'm') settings.mtu = static_cast<int>(number(optarg, kMinMtu, IP_MAXPACKET));
    if (letter == 'p') settings.loss_of_10000 = static_cast<std::uint32_t>(number(optarg, 0, 10'000));
    if (letter == 's') settings.seed = static_cast<std::uint64_t>(number(optarg, 0, 1e15));
    if (letter == '?') refuse();
  }
  if (::optind != argument_count) refuse();
  return settings;
}

}  // namespace

int main(int argument_count, char** arguments) {
  try {
    const Settings settings = parse(argument_count, arguments);
    allow_descriptors(settings.hosts);
    Relay relay(make_hosts(settings), settings);
    go_first();
    relay.say_hosts();
    relay.run();
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::cerr << "delaying_relay: " << error.what() << std::endl;
    return EXIT_FAILURE;
  }
}
