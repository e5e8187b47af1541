#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <deque>
#include <thread>
#include <unordered_map>

#include "../harness/key_value_job.hh"
#include "../harness/sockets.hh"
#include "../harness/system.hh"
#include "baselines.hh"

namespace banyan::bench {
namespace {

enum class Request : std::uint32_t { set, get, add };

// Followed by key and value.
struct Head {
  Request request;
  std::uint32_t key_bytes;
  std::uint64_t value_bytes;
};

// One thread and one event loop. Who asks for a key that nobody has set waits for it.
class StoreServer {
 public:
  StoreServer(Socket listener, int clients) : listener_(std::move(listener)), clients_left_(clients) {
    epoll_ = Socket(checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1"));
    checked(::fcntl(listener_.descriptor(), F_SETFL, O_NONBLOCK), "O_NONBLOCK");
    watch(EPOLL_CTL_ADD, listener_.descriptor(), EPOLLIN);
  }

  // Until the last client has left.
  void run() {
    std::array<epoll_event, 256> events{};
    while (clients_left_ > 0) {
      const int count = checked(::epoll_wait(epoll_.descriptor(), events.data(), events.size(), -1), "epoll_wait");
      for (int i = 0; i < count; ++i) {
        const int descriptor = events[static_cast<std::size_t>(i)].data.fd;
        if (descriptor == listener_.descriptor()) {
          accept_all();
        } else if ((events[static_cast<std::size_t>(i)].events & EPOLLIN) != 0) {
          read(descriptor);
        } else {
          write(descriptor);
        }
      }
    }
  }

 private:
  struct Client {
    Socket socket;
    std::string received;
    std::deque<std::string> asked;  // keys
    std::deque<std::shared_ptr<const std::string>> to_send;
    std::size_t sent = 0;  // of the first
    bool waits_for_room = false;
  };

  void watch(int operation, int descriptor, std::uint32_t what) {
    epoll_event event{};
    event.events = what;
    event.data.fd = descriptor;
    checked(::epoll_ctl(epoll_.descriptor(), operation, descriptor, &event), "epoll_ctl");
  }
  void accept_all() {
    for (;;) {
      const int descriptor = ::accept4(listener_.descriptor(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (descriptor < 0 && errno == EAGAIN) return;
      clients_[checked(descriptor, "accept4")].socket = Socket(descriptor);
      send_without_delay(descriptor);
      watch(EPOLL_CTL_ADD, descriptor, EPOLLIN);
    }
  }
  void read(int descriptor) {
    Client& client = clients_.at(descriptor);
    for (;;) {
      const ssize_t size = ::recv(descriptor, buffer_.data(), buffer_.size(), 0);
      if (size < 0 && errno == EAGAIN) return;
      if (size <= 0) {
        clients_.erase(descriptor);
        --clients_left_;
        return;
      }
      client.received.append(buffer_.data(), static_cast<std::size_t>(size));
      std::size_t used = 0;
      while (const std::size_t one = take(descriptor, std::string_view(client.received).substr(used))) used += one;
      client.received.erase(0, used);
      if (static_cast<std::size_t>(size) < buffer_.size()) return;
    }
  }
  // How many bytes the first request has; 0: it is not complete.
  std::size_t take(int descriptor, std::string_view bytes) {
    Head head;
    if (bytes.size() < sizeof(head)) return 0;
    std::memcpy(&head, bytes.data(), sizeof(head));
    const std::size_t size = sizeof(head) + head.key_bytes + head.value_bytes;
    if (bytes.size() < size) return 0;
    const std::string key(bytes.substr(sizeof(head), head.key_bytes));
    const std::string_view value = bytes.substr(sizeof(head) + head.key_bytes, head.value_bytes);
    switch (head.request) {
      case Request::set: set(key, std::string(value)); break;
      case Request::get: get(descriptor, key); break;
      case Request::add: answer(descriptor, std::make_shared<std::string>(std::to_string(++counts_[key]))); break;
    }
    return size;
  }
  void set(const std::string& key, std::string value) {
    values_[key] = std::make_shared<const std::string>(std::move(value));
    if (auto waiting = waiting_.extract(key)) {
      for (const int descriptor : waiting.mapped()) answer_gets(descriptor);
    }
  }
  void get(int descriptor, const std::string& key) {
    auto& asked = clients_.at(descriptor).asked;
    asked.push_back(key);
    if (asked.size() == 1) answer_gets(descriptor);
  }
  // In the order in which they came, so that a client may ask for the next key before it has the first.
  void answer_gets(int descriptor) {
    auto& asked = clients_.at(descriptor).asked;
    for (; !asked.empty(); asked.pop_front()) {
      const auto at = values_.find(asked.front());
      if (at == values_.end()) return waiting_[asked.front()].push_back(descriptor);
      answer(descriptor, at->second);
    }
  }
  void answer(int descriptor, const std::shared_ptr<const std::string>& value) {
    Client& client = clients_.at(descriptor);
    const std::uint64_t size = value->size();
    client.to_send.push_back(std::make_shared<const std::string>(reinterpret_cast<const char*>(&size), sizeof(size)));
    client.to_send.push_back(value);
    if (!client.waits_for_room) write(descriptor);
  }
  void write(int descriptor) {
    Client& client = clients_.at(descriptor);
    while (!client.to_send.empty()) {
      const std::string& first = *client.to_send.front();
      const int more = client.to_send.size() > 1 ? MSG_MORE : 0;
      const ssize_t size =
          ::send(descriptor, first.data() + client.sent, first.size() - client.sent, MSG_NOSIGNAL | more);
      if (size < 0 && errno == EAGAIN) break;
      checked(size, "send");
      client.sent += static_cast<std::size_t>(size);
      if (client.sent < first.size()) continue;
      client.to_send.pop_front();
      client.sent = 0;
    }
    if (client.waits_for_room != !client.to_send.empty()) {
      client.waits_for_room = !client.waits_for_room;
      watch(EPOLL_CTL_MOD, descriptor, client.waits_for_room ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
  }

  Socket listener_;
  Socket epoll_;
  int clients_left_;
  std::array<char, std::size_t{64} * 1024> buffer_{};
  std::unordered_map<int, Client> clients_;
  std::unordered_map<std::string, std::shared_ptr<const std::string>> values_;
  std::unordered_map<std::string, std::int64_t> counts_;
  std::unordered_map<std::string, std::vector<int>> waiting_;
};

class StoreJob : public KeyValueJob {
 public:
  explicit StoreJob(const Place& place) : KeyValueJob(place), listener_(place.listener) {}
  ~StoreJob() override {
    client_.close();
    if (server_thread_.joinable()) server_thread_.join();
  }

 protected:
  void connect() override {
    if (place_.rank == 0) {
      server_thread_ = std::thread([this] { StoreServer(std::move(listener_), place_.ranks).run(); });
    }
    client_ = connect_to(address_of(place_.root_address(), place_.port));
  }
  void set(const std::string& key, const std::string& value) override { ask(Request::set, key, value); }
  std::string get(const std::string& key) override {
    ask(Request::get, key, {});
    return answer();
  }
  // All questions before the first answer.
  std::vector<std::string> get_all(const std::vector<std::string>& keys) override {
    for (const std::string& key : keys) ask(Request::get, key, {});
    std::vector<std::string> values;
    for (std::size_t i = 0; i < keys.size(); ++i) values.push_back(answer());
    return values;
  }
  std::int64_t add(const std::string& key) override {
    ask(Request::add, key, {});
    return std::stoll(answer());
  }

 private:
  void ask(Request request, const std::string& key, std::string_view value) {
    const Head head{request, static_cast<std::uint32_t>(key.size()), value.size()};
    std::string bytes(reinterpret_cast<const char*>(&head), sizeof(head));
    bytes.append(key).append(value);
    client_.send(bytes.data(), bytes.size());
  }
  std::string answer() {
    std::string bytes(client_.receive<std::uint64_t>(), '\0');
    client_.receive(bytes.data(), bytes.size());
    return bytes;
  }

  Socket listener_;
  std::thread server_thread_;
  Socket client_;
};

class StoreImplementation : public Implementation {
 public:
  std::string name() const override { return "central-store"; }
  std::string what() const override {
    return "a server of keys and values in rank 0's process; rank 0 puts all blobs together (the scheme of TCPStore)";
  }
  std::unique_ptr<Job> join(const Place& place) const override { return std::make_unique<StoreJob>(place); }
};

}  // namespace

std::unique_ptr<Implementation> central_store() { return std::make_unique<StoreImplementation>(); }

}  // namespace banyan::bench
