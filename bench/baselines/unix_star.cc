// The floor under every start on one machine: N client processes and one server process with epoll, bare sockets,
// nothing else. Each client connects, sends its 128 bytes, and has the table of all N when N x 128 bytes came back.
//
//   unix_star -n 64 --runs 20          Unix sockets (abstract names); --tcp: TCP over loopback
//
// The server listens before the clients set out; nobody authenticates, checks or retries anything. The processes are
// forked before the first run and make all runs. Run 0 is the cold one: it touches memory and code for the first time.
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "../shared_run.hh"

namespace {

using banyan::bench::checked;
using banyan::bench::kBlobBytes;
using banyan::bench::kPatience;
using banyan::bench::SharedRun;

struct Settings {
  int clients = 8;
  int runs = 20;
  bool tcp = false;
};

// The first bytes say which rank it is, the others can be told from it.
using Blob = std::array<char, kBlobBytes>;

Blob blob_of(int rank) {
  Blob blob;
  blob.fill(static_cast<char>('a' + rank % 26));
  std::memcpy(blob.data(), &rank, sizeof(rank));
  return blob;
}

struct Address {
  sockaddr_storage bytes{};
  socklen_t length = 0;

  sockaddr* generic() { return reinterpret_cast<sockaddr*>(&bytes); }
};

Address address_to_listen_on(bool tcp) {
  Address address;
  if (tcp) {
    auto* const in = reinterpret_cast<sockaddr_in*>(&address.bytes);
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.length = sizeof(*in);
  } else {
    auto* const un = reinterpret_cast<sockaddr_un*>(&address.bytes);
    un->sun_family = AF_UNIX;
    const std::string name = "banyan floor " + std::to_string(::getpid());
    std::memcpy(un->sun_path + 1, name.data(), name.size());  // a 0 in front makes it abstract
    address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  }
  return address;
}

void send_without_delay(int descriptor, bool tcp) {
  const int on = 1;
  if (tcp) checked(::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), "TCP_NODELAY");
}

class Server {
 public:
  explicit Server(const Settings& settings) : settings_(settings), address_(address_to_listen_on(settings.tcp)) {
    listener_ = checked(::socket(address_.bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket");
    checked(::bind(listener_, address_.generic(), address_.length), "bind");
    checked(::listen(listener_, SOMAXCONN), "listen");
    checked(::getsockname(listener_, address_.generic(), &address_.length), "getsockname");
    epoll_ = checked(::epoll_create1(0), "epoll_create1");
    watch(EPOLL_CTL_ADD, listener_, EPOLLIN, kListener);
    peers_.reserve(static_cast<std::size_t>(settings.clients));
    table_.resize(static_cast<std::size_t>(settings.clients));
  }

  const Address& address() const { return address_; }

  // Takes N blobs and gives N tables.
  void serve() {
    std::size_t served = 0;
    std::size_t came = 0;
    std::array<epoll_event, 256> events{};
    while (served < table_.size()) {
      const int patience_ms = static_cast<int>(kPatience.count()) * 1000;
      const int count = checked(::epoll_wait(epoll_, events.data(), events.size(), patience_ms), "epoll_wait");
      if (count == 0) throw std::runtime_error("clients did not come");
      for (int i = 0; i < count; ++i) {
        const std::uint32_t id = events[static_cast<std::size_t>(i)].data.u32;
        if (id == kListener) {
          accept_all();
        } else if (came < table_.size()) {
          if (read_from(peers_[id]) && ++came == table_.size()) {
            for (Peer& peer : peers_) served += write_to(peer) ? 1 : 0;
          }
        } else {
          served += write_to(peers_[id]) ? 1 : 0;
        }
      }
    }
  }

  void hang_up() {
    for (const Peer& peer : peers_) ::close(peer.descriptor);
    peers_.clear();
  }

 private:
  static constexpr std::uint32_t kListener = UINT32_MAX;

  struct Peer {
    int descriptor;
    std::uint32_t id;
    std::size_t received = 0;
    std::size_t sent = 0;
    bool waits_for_room = false;
    Blob blob{};
  };

  void watch(int operation, int descriptor, std::uint32_t what, std::uint32_t id) {
    epoll_event event{};
    event.events = what;
    event.data.u32 = id;
    checked(::epoll_ctl(epoll_, operation, descriptor, &event), "epoll_ctl");
  }

  void accept_all() {
    for (;;) {
      const int descriptor = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
      if (descriptor < 0 && errno == EAGAIN) return;
      checked(descriptor, "accept4");
      send_without_delay(descriptor, settings_.tcp);
      const auto id = static_cast<std::uint32_t>(peers_.size());
      peers_.push_back({descriptor, id});
      watch(EPOLL_CTL_ADD, descriptor, EPOLLIN, id);
    }
  }

  // True when the blob has become complete.
  bool read_from(Peer& peer) {
    const ssize_t size = ::recv(peer.descriptor, peer.blob.data() + peer.received, kBlobBytes - peer.received, 0);
    if (size < 0 && errno == EAGAIN) return false;
    if (checked(static_cast<int>(size), "recv") == 0) throw std::runtime_error("a client left");
    peer.received += static_cast<std::size_t>(size);
    if (peer.received < kBlobBytes) return false;
    int rank = 0;
    std::memcpy(&rank, peer.blob.data(), sizeof(rank));
    table_.at(static_cast<std::size_t>(rank)) = peer.blob;
    return true;
  }

  // True when the whole table is on its way.
  bool write_to(Peer& peer) {
    const std::size_t total = table_.size() * kBlobBytes;
    const auto* const bytes = reinterpret_cast<const char*>(table_.data());
    const ssize_t size = ::send(peer.descriptor, bytes + peer.sent, total - peer.sent, MSG_NOSIGNAL);
    if (size < 0 && errno != EAGAIN) checked(-1, "send");
    if (size > 0) peer.sent += static_cast<std::size_t>(size);
    if (peer.sent < total && !peer.waits_for_room) {
      watch(EPOLL_CTL_MOD, peer.descriptor, EPOLLOUT, peer.id);
      peer.waits_for_room = true;
    }
    return peer.sent == total;
  }

  Settings settings_;
  Address address_;
  int listener_ = -1;
  int epoll_ = -1;
  std::vector<Peer> peers_;
  std::vector<Blob> table_;
};

class Client {
 public:
  Client(const Settings& settings, const Address& server, int rank)
      : tcp_(settings.tcp), server_(server), blob_(blob_of(rank)), table_(static_cast<std::size_t>(settings.clients)) {}

  void exchange() {
    descriptor_ = checked(::socket(server_.bytes.ss_family, SOCK_STREAM, 0), "socket");
    send_without_delay(descriptor_, tcp_);
    checked(::connect(descriptor_, server_.generic(), server_.length), "connect");
    checked(static_cast<int>(::send(descriptor_, blob_.data(), blob_.size(), MSG_NOSIGNAL)), "send");
    auto* const bytes = reinterpret_cast<char*>(table_.data());
    const std::size_t total = table_.size() * kBlobBytes;
    for (std::size_t received = 0; received < total;) {
      const ssize_t size = ::recv(descriptor_, bytes + received, total - received, MSG_WAITALL);
      if (checked(static_cast<int>(size), "recv") == 0) throw std::runtime_error("the server left");
      received += static_cast<std::size_t>(size);
    }
  }

  // Whether the table is right; it is wiped, so that the next run can't profit from it.
  bool check_and_hang_up() {
    ::close(descriptor_);
    bool ok = true;
    for (std::size_t rank = 0; rank < table_.size(); ++rank) {
      ok = ok && table_[rank] == blob_of(static_cast<int>(rank));
      table_[rank].fill(0);
    }
    return ok;
  }

 private:
  bool tcp_;
  Address server_;
  Blob blob_;
  std::vector<Blob> table_;
  int descriptor_ = -1;
};

void run_client(SharedRun& shared, const Settings& settings, const Address& server, int rank) {
  Client client(settings, server, rank);
  for (int run = 0; run < settings.runs; ++run) {
    shared.measure(rank, [&] { client.exchange(); });
    shared.sample(rank).ok = client.check_and_hang_up();
    shared.barrier();
  }
}

void run_server(SharedRun& shared, const Settings& settings, Server& server) {
  for (int run = 0; run < settings.runs; ++run) {
    shared.measure(settings.clients, [&] { server.serve(); });
    server.hang_up();
    shared.barrier();
    shared.print(settings.tcp ? "tcp_star" : "unix_star", settings.clients, run);
  }
}

Settings parse(int argument_count, char** arguments) {
  Settings settings;
  const option options[] = {{"ranks", required_argument, nullptr, 'n'},
                            {"runs", required_argument, nullptr, 'r'},
                            {"tcp", no_argument, nullptr, 't'},
                            {nullptr, 0, nullptr, 0}};
  for (int letter = 0; (letter = ::getopt_long(argument_count, arguments, "n:", options, nullptr)) != -1;) {
    if (letter == 'n') settings.clients = std::atoi(optarg);
    if (letter == 'r') settings.runs = std::atoi(optarg);
    if (letter == 't') settings.tcp = true;
    if (letter == '?') std::exit(2);
  }
  if (settings.clients < 1 || settings.runs < 1) {
    std::cerr << "usage: unix_star [-n CLIENTS] [--runs RUNS] [--tcp]\n";
    std::exit(2);
  }
  return settings;
}

}  // namespace

int main(int argument_count, char** arguments) {
  try {
    const Settings settings = parse(argument_count, arguments);
    SharedRun shared(settings.clients + 1);
    Server server(settings);
    // A client that fails takes the whole program down, and the end of the program takes the clients down.
    std::signal(SIGCHLD, [](int) {
      int status = 0;
      while (::waitpid(-1, &status, WNOHANG) > 0) {
        if (status != 0) ::_exit(EXIT_FAILURE);
      }
    });
    for (int rank = 0; rank < settings.clients; ++rank) {
      if (checked(::fork(), "fork") != 0) continue;
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      run_client(shared, settings, server.address(), rank);
      ::_exit(EXIT_SUCCESS);
    }
    run_server(shared, settings, server);
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::cerr << "unix_star: " << error.what() << std::endl;
    ::_exit(EXIT_FAILURE);
  }
}
