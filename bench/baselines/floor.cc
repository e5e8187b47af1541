#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>

#include "../harness/sockets.hh"
#include "../harness/system.hh"
#include "baselines.hh"

namespace banyan::bench {
namespace {

constexpr int kGlanceMs = 100;

struct SystemAddress {
  sockaddr_storage bytes{};
  socklen_t length = 0;
  const sockaddr* generic() const { return reinterpret_cast<const sockaddr*>(&bytes); }
};

SystemAddress address_of_server(const Place& place, bool tcp) {
  SystemAddress address;
  if (tcp) {
    auto* const in = reinterpret_cast<sockaddr_in*>(&address.bytes);
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = bench::address_of(place.root_address(), place.port).ip;
    in->sin_port = htons(static_cast<std::uint16_t>(place.port));
    address.length = sizeof(*in);
  } else {
    auto* const un = reinterpret_cast<sockaddr_un*>(&address.bytes);
    un->sun_family = AF_UNIX;
    const std::string name = "banyan floor " + place.id;
    std::memcpy(un->sun_path + 1, name.data(), std::min(name.size(), sizeof(un->sun_path) - 1));
    address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  }
  return address;
}

// A client says its rank and its blob.
class FloorServer : public Server {
 public:
  FloorServer(const Place& place, bool tcp)
      : tcp_(tcp), ranks_(static_cast<std::size_t>(place.ranks)), blob_bytes_(place.blob_bytes) {
    table_.resize(ranks_ * blob_bytes_);
    if (tcp) {
      listener_ = Socket(place.listener);
      checked(::fcntl(place.listener, F_SETFL, O_NONBLOCK), "O_NONBLOCK");
    } else {
      const SystemAddress address = address_of_server(place, tcp);
      listener_ = Socket(checked(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket"));
      checked(::bind(listener_.descriptor(), address.generic(), address.length), "bind");
      checked(::listen(listener_.descriptor(), SOMAXCONN), "listen");
    }
    epoll_ = Socket(checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1"));
    watch(EPOLL_CTL_ADD, listener_, EPOLLIN, kListener);
    peers_.reserve(ranks_);
  }

  // Takes N blobs and gives N tables.
  void serve(const std::function<void()>& look_after) override {
    std::size_t served = 0;
    std::size_t came = 0;
    std::array<epoll_event, 256> events{};
    while (served < ranks_) {
      const int count = ::epoll_wait(epoll_.descriptor(), events.data(), events.size(), kGlanceMs);
      if (count < 0 && errno != EINTR) checked(count, "epoll_wait");
      if (count <= 0) look_after();
      for (int i = 0; i < count; ++i) {
        const std::uint32_t id = events[static_cast<std::size_t>(i)].data.u32;
        if (id == kListener) {
          accept_all();
        } else if (came < ranks_) {
          if (!read_from(peers_[id]) || ++came < ranks_) continue;
          for (Peer& peer : peers_) served += write_to(peer) ? 1 : 0;
        } else {
          served += write_to(peers_[id]) ? 1 : 0;
        }
      }
    }
  }

 private:
  static constexpr std::uint32_t kListener = UINT32_MAX;

  struct Peer {
    Socket socket;
    std::uint32_t id = 0;
    std::string received;
    std::size_t sent = 0;
    bool waits_for_room = false;
  };

  void watch(int operation, const Socket& socket, std::uint32_t what, std::uint32_t id) {
    epoll_event event{};
    event.events = what;
    event.data.u32 = id;
    checked(::epoll_ctl(epoll_.descriptor(), operation, socket.descriptor(), &event), "epoll_ctl");
  }

  void accept_all() {
    for (;;) {
      const int descriptor = ::accept4(listener_.descriptor(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (descriptor < 0 && errno == EAGAIN) return;
      checked(descriptor, "accept4");
      if (tcp_) send_without_delay(descriptor);
      const auto id = static_cast<std::uint32_t>(peers_.size());
      peers_.emplace_back();
      peers_.back().socket = Socket(descriptor);
      peers_.back().id = id;
      watch(EPOLL_CTL_ADD, peers_.back().socket, EPOLLIN, id);
    }
  }

  // True when the blob has become complete.
  bool read_from(Peer& peer) {
    const ssize_t size = ::recv(peer.socket.descriptor(), buffer_.data(), buffer_.size(), 0);
    if (size < 0 && errno == EAGAIN) return false;
    if (checked(size, "recv") == 0) throw std::runtime_error("a client left");
    peer.received.append(buffer_.data(), static_cast<std::size_t>(size));
    std::uint32_t rank = 0;
    if (peer.received.size() < sizeof(rank) + blob_bytes_) return false;
    std::memcpy(&rank, peer.received.data(), sizeof(rank));
    std::memcpy(table_.data() + rank * blob_bytes_, peer.received.data() + sizeof(rank), blob_bytes_);
    return true;
  }

  // True when the whole table is on its way.
  bool write_to(Peer& peer) {
    const ssize_t size =
        ::send(peer.socket.descriptor(), table_.data() + peer.sent, table_.size() - peer.sent, MSG_NOSIGNAL);
    if (size < 0 && errno != EAGAIN) checked(size, "send");
    if (size > 0) peer.sent += static_cast<std::size_t>(size);
    if (peer.sent < table_.size() && !peer.waits_for_room) {
      watch(EPOLL_CTL_MOD, peer.socket, EPOLLOUT, peer.id);
      peer.waits_for_room = true;
    }
    return peer.sent == table_.size();
  }

  bool tcp_;
  std::size_t ranks_;
  std::size_t blob_bytes_;
  Socket listener_;
  Socket epoll_;
  std::vector<Peer> peers_;
  std::string table_;
  std::array<char, std::size_t{64} * 1024> buffer_{};
};

class FloorJob : public TableJob {
 public:
  FloorJob(const Place& place, bool tcp) : TableJob(place), tcp_(tcp) {}

  void start(const std::string& blob) override {
    const SystemAddress address = address_of_server(place_, tcp_);
    socket_ = Socket(checked(::socket(address.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    if (tcp_) send_without_delay(socket_.descriptor());
    checked(::connect(socket_.descriptor(), address.generic(), address.length), "connect");
    std::string bytes(sizeof(std::uint32_t), '\0');
    std::memcpy(bytes.data(), &place_.rank, sizeof(std::uint32_t));
    bytes += blob;
    socket_.send(bytes.data(), bytes.size());
    table_.resize(blob.size() * static_cast<std::size_t>(place_.ranks));
    socket_.receive(table_.data(), table_.size());
  }

 private:
  bool tcp_;
  Socket socket_;
};

class FloorImplementation : public Implementation {
 public:
  explicit FloorImplementation(bool tcp) : tcp_(tcp) {}
  std::string name() const override { return tcp_ ? "floor-tcp" : "floor"; }
  std::string what() const override {
    return std::string("what the kernel charges: ") + (tcp_ ? "TCP" : "Unix") +
           " connections to one server, bytes up, table down, and nothing else";
  }
  Listens listens() const override { return tcp_ ? Listens::coordinator : Listens::nobody; }
  bool crosses_hosts() const override { return tcp_; }
  std::unique_ptr<Server> serve(const Place& place) const override {
    return std::make_unique<FloorServer>(place, tcp_);
  }
  std::unique_ptr<Job> join(const Place& place) const override { return std::make_unique<FloorJob>(place, tcp_); }

 private:
  bool tcp_;
};

}  // namespace

std::unique_ptr<Implementation> floor(bool tcp) { return std::make_unique<FloorImplementation>(tcp); }

}  // namespace banyan::bench
