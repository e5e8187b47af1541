// Redis, whose server runs before the time begins. Lists stand for what others wait for: who takes the only entry of
// one puts it back for the next in the same command.
#include <hiredis/hiredis.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "../harness/sockets.hh"
#include "../harness/system.hh"
#include "peer.hh"

namespace banyan::bench {
namespace {

constexpr std::chrono::milliseconds kBetweenTries{5};
constexpr std::chrono::seconds kPatience{10};

struct ContextDeleter {
  void operator()(redisContext* context) const { ::redisFree(context); }
};
using Context = std::unique_ptr<redisContext, ContextDeleter>;

class RedisServer : public Server {
 public:
  explicit RedisServer(const Place& place) {
    Socket(place.listener).close();  // Redis makes its own at this port
    process_ = checked(::fork(), "fork");
    if (process_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const std::string port = std::to_string(place.port);
      ::execlp("redis-server", "redis-server", "--bind", place.root_address().c_str(), "--protected-mode", "no",
               "--port", port.c_str(), "--save", "", "--appendonly", "no", "--logfile", "/dev/null", "--maxclients",
               "10000", nullptr);
      ::_exit(127);
    }
    const auto until = std::chrono::steady_clock::now() + kPatience;
    for (;;) {
      const Context context(::redisConnect(place.root_address().c_str(), place.port));
      if (context != nullptr && context->err == 0) return;
      if (std::chrono::steady_clock::now() > until) throw std::runtime_error("redis-server does not answer");
      std::this_thread::sleep_for(kBetweenTries);
    }
  }
  ~RedisServer() override {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  std::int64_t cpu_ns() override {
    clockid_t clock{};
    return ::clock_getcpuclockid(process_, &clock) == 0 ? bench::cpu_ns(clock) : 0;
  }

 private:
  pid_t process_ = -1;
};

class RedisJob : public TableJob {
 public:
  using TableJob::TableJob;

  void start(const std::string& blob) override {
    context_.reset(::redisConnect(place_.root_address().c_str(), place_.port));
    if (context_ == nullptr || context_->err != 0) throw std::runtime_error("no connection to redis-server");
    table_ = allgather(blob);
  }

  void barrier() override {
    const std::string name = "barrier-" + std::to_string(++barriers_);
    append("INCR %b", name.data(), name.size());
    if (std::stoi(answer()) == place_.ranks) put(name + "-open", "1");
    look(name + "-open");
  }
  std::string allgather(const std::string& bytes) override {
    const std::string name = "allgather-" + std::to_string(++allgathers_);
    if (place_.rank != 0) {
      std::string told(sizeof(int), '\0');
      std::memcpy(told.data(), &place_.rank, sizeof(int));
      put(name, told + bytes);
      return look(name + "-all");
    }
    std::string all(bytes.size() * static_cast<std::size_t>(place_.ranks), '\0');
    all.replace(0, bytes.size(), bytes);
    for (int i = 1; i < place_.ranks; ++i) append("BLPOP %b 0", name.data(), name.size());
    for (int i = 1; i < place_.ranks; ++i) {
      const std::string told = answer();
      int rank = 0;
      std::memcpy(&rank, told.data(), sizeof(rank));
      all.replace(static_cast<std::size_t>(rank) * bytes.size(), bytes.size(), told, sizeof(rank));
    }
    put(name + "-all", all);
    return all;
  }
  void broadcast(std::string& bytes, int root) override {
    const std::string name = "broadcast-" + std::to_string(++broadcasts_);
    if (place_.rank == root) return put(name, bytes);
    bytes = look(name);
  }
  void send(int to, const std::string& bytes) override { put(message_name(place_.rank, to), bytes); }
  void receive(int from, std::string& bytes) override {
    const std::string name = message_name(from, place_.rank);
    append("BLPOP %b 0", name.data(), name.size());
    bytes = answer();
  }

 private:
  static std::string message_name(int from, int to) {
    return "message-" + std::to_string(from) + "-" + std::to_string(to);
  }
  template <typename... Arguments>
  void append(const char* form, Arguments... arguments) {
    if (::redisAppendCommand(context_.get(), form, arguments...) != REDIS_OK)
      throw std::runtime_error(context_->errstr);
  }
  void put(const std::string& key, const std::string& bytes) {
    append("RPUSH %b %b", key.data(), key.size(), bytes.data(), bytes.size());
    answer();
  }
  // The entry stays.
  std::string look(const std::string& key) {
    append("BLMOVE %b %b LEFT LEFT 0", key.data(), key.size(), key.data(), key.size());
    return answer();
  }
  // Of a list taken from: its value.
  std::string answer() {
    void* raw = nullptr;
    if (::redisGetReply(context_.get(), &raw) != REDIS_OK) throw std::runtime_error(context_->errstr);
    const std::unique_ptr<redisReply, decltype(&::freeReplyObject)> reply(static_cast<redisReply*>(raw),
                                                                          &::freeReplyObject);
    if (reply->type == REDIS_REPLY_ERROR) throw std::runtime_error(reply->str);
    if (reply->type == REDIS_REPLY_INTEGER) return std::to_string(reply->integer);
    const redisReply* const value = reply->type == REDIS_REPLY_ARRAY ? reply->element[1] : reply.get();
    return {value->str, static_cast<std::size_t>(value->len)};
  }

  Context context_;
  int barriers_ = 0;
  int allgathers_ = 0;
  int broadcasts_ = 0;
};

class RedisImplementation : public Implementation {
 public:
  std::string name() const override { return "redis"; }
  std::string what() const override { return "Redis, its server running; rank 0 puts all blobs together"; }
  std::string version() const override { return BANYAN_BENCH_PEER_VERSION; }
  Listens listens() const override { return Listens::coordinator; }
  std::unique_ptr<Server> serve(const Place& place) const override { return std::make_unique<RedisServer>(place); }
  std::unique_ptr<Job> join(const Place& place) const override { return std::make_unique<RedisJob>(place); }
};

}  // namespace

extern "C" std::unique_ptr<Implementation> banyan_bench_make_peer() { return std::make_unique<RedisImplementation>(); }

}  // namespace banyan::bench
