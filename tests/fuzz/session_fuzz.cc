// A whole engine among peers that know the job's secret: every handshake succeeds, and what comes after it is up to the
// input. Peers join, register and send the table as they should, or send any frame at any time; links break, time
// passes and the application calls. No assertion may fail, and what goes out stays in proportion to what came in.
//
// Input: 1 byte (which rank this is, and of which kind), 1 (how many hosts are listed, and which this one is), then one
// operation after another: 1 byte (which), and what it needs. An input that ends in the middle of an operation goes on
// with zeros to the end of that one.
#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/assert.hh"
#include "engine/engine.hh"
#include "session/session.hh"
#include "wire/join.hh"
#include "wire/record.hh"
#include "wire/table.hh"

namespace banyan {
namespace {

constexpr std::size_t kMostOperations = 200;
// An input may set free what earlier ones queued, which is why the bound on bytes is one on the whole run: each input
// may be passed on to every link, and every rank's part of a collective to every other.
constexpr std::size_t kMostOutputs = 20'000;
constexpr std::size_t kMostBytesOut = std::size_t{256} * 1024 * 1024;

constexpr std::array kKinds{
    wire::Kind::hello,   wire::Kind::challenge,   wire::Kind::proof,         wire::Kind::reject,
    wire::Kind::join,    wire::Kind::placement,   wire::Kind::welcome,       wire::Kind::records,
    wire::Kind::status,  wire::Kind::table_chunk, wire::Kind::acknowledge,   wire::Kind::report,
    wire::Kind::verdict, wire::Kind::leave,       wire::Kind::collective,    wire::Kind::data,
    wire::Kind::grant,   wire::Kind::accept,      wire::Kind::undeliverable, wire::Kind::direct};

class Choices {
 public:
  explicit Choices(Bytes bytes) : bytes_(bytes) {}
  bool any() const { return !bytes_.empty(); }
  std::uint32_t byte() {
    if (bytes_.empty()) return 0;
    const auto value = std::to_integer<std::uint32_t>(bytes_[0]);
    bytes_ = bytes_.subspan(1);
    return value;
  }
  std::uint32_t below(std::uint32_t bound) { return byte() % bound; }
  Bytes bytes(std::size_t most) {
    const std::size_t wanted = std::size_t{byte()} * 4;
    const Bytes taken = bytes_.first(std::min({bytes_.size(), most, wanted}));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }

 private:
  Bytes bytes_;
};

Endpoint somewhere(std::uint16_t port) {
  Endpoint endpoint{Endpoint::Family::tcp4, port, {}};
  endpoint.address[0] = std::byte{127};
  endpoint.address[3] = std::byte{1};
  return endpoint;
}

class Stage {
 public:
  explicit Stage(Choices& choices) : choices_(choices), config_(chosen_config()), engine_(config_) {
    for (std::uint32_t rank = 0; rank < config_.world_size; ++rank) {
      identities_.push_back({Rank{rank}, config_.world_size, config_.job, Incarnation{100 + rank}, config_.secret});
    }
    feed(engine::input::Start{});
  }

  void play() {
    for (std::size_t i = 0; i < kMostOperations && choices_.any(); ++i) operation();
  }

 private:
  // The peer's end of a link.
  struct Peer {
    session::Session session;
    Rank rank;
  };

  node::Config chosen_config() {
    const std::uint32_t shape = choices_.byte();
    node::Config config;
    config.world_size = 2 + (shape >> 2 & 7);
    config.rank = Rank{(shape & 3) % config.world_size};
    config.job.bytes.fill(std::byte{7});
    config.secret = "the secret of this job";
    config.incarnation = Incarnation{100 + raw(config.rank)};
    config.host_name = config.host_key = "here";
    config.fan_out = 2 + (shape >> 5 & 1);
    config.use_local_links = (shape & 64) != 0;
    config.rendezvous = "rendezvous:1";
    if ((shape & 128) != 0) config.share_memory = [](const Payload& bytes) { return bytes; };
    config.limits.enclose_bytes = 1;
    choose_list(config);
    return config;
  }

  // Every other job has a list, of some hosts or of all, and this host may be one that others ask.
  void choose_list(node::Config& config) {
    const std::uint32_t byte = choices_.byte();
    if ((byte & 1) == 0) return;
    std::vector<std::string> hosts{config.rendezvous};
    for (std::uint32_t host = 0; host < (byte >> 1 & 7); ++host) hosts.push_back("listed:" + std::to_string(host));
    config.hosts = std::move(hosts);
    config.host_index = config.rank == kRootRank ? 0 : byte >> 4;
  }

  void operation() {
    switch (choices_.below(14)) {
      case 0: return connect_to_engine();
      case 1: return any_frame();
      case 2: return join();
      case 3: return records();
      case 4: return welcome();
      case 5: return table();
      case 6: return collective();
      case 7: return send_or_receive();
      case 8: return pass_time();
      case 9: return break_link();
      case 10: return drain();
      case 11: return any_bytes();
      case 12: return call(node::Close{});
      case 13: return enclose();
    }
  }

  void connect_to_engine() {
    const auto role = static_cast<wire::Role>(1 + choices_.below(4));
    const Rank rank{choices_.below(config_.world_size)};
    const auto listener = role == wire::Role::local ? node::Listener::local : node::Listener::network;
    adopted_ = kNoLink;
    const bool local = role == wire::Role::local && choices_.below(8) != 0;
    feed(engine::input::Accepted{token_ = next(token_), listener, local ? Endpoint{} : somewhere(1), somewhere(2)});
    if (adopted_ == kNoLink) return;
    peers_.emplace(adopted_,
                   Peer{session::Session::initiate(identities_[raw(rank)], role, config_.rank, nonce()), rank});
    exchange();
  }
  void any_frame() {
    const LinkId link = chosen_link();
    const wire::Kind kind = kKinds[choices_.below(kKinds.size())];
    const Epoch epoch = choices_.below(4) == 0 ? Epoch{choices_.byte(), choices_.byte()} : epoch_;
    const Bytes body = choices_.bytes(1024);
    Writer writer;
    writer.number(static_cast<std::uint32_t>(body.size()));
    writer.number(kind);
    writer.number(choices_.below(8) == 0 ? wire::kEnclosesFlag : std::uint8_t{0});
    writer.number(std::uint16_t{0});
    writer.number(epoch.term);
    writer.number(epoch.number);
    writer.raw_bytes(std::array<std::byte, 16>{});
    Payload frame(std::move(writer).finish());
    frame.append(Slice::copy(body));
    say(link, frame);
  }
  // Memory that is shared, mostly before a frame that should have it.
  void enclose() {
    feed(engine::input::Enclosed{chosen_link(), Payload::copy(choices_.bytes(1024))});
    if (choices_.below(2) == 0) any_frame();
  }
  void any_bytes() { say(chosen_link(), Payload::copy(choices_.bytes(1024))); }

  void join() {
    wire::Join join;
    join.position = choices_.below(2) == 0 ? kNoPosition : Position{choices_.below(16)};
    join.attachment = Attachment{choices_.byte()};
    join.endpoint = somewhere(static_cast<std::uint16_t>(1000 + choices_.byte()));
    join.host = "there";
    say(chosen_link(), wire::encode(join, Epoch{}));
  }
  wire::Record record_of(Rank rank) {
    wire::Record record;
    record.rank = record.leader = rank;
    record.incarnation = identities_[raw(rank)].incarnation;
    record.attachment = Attachment{1};
    record.position = Position{raw(rank)};
    record.endpoint = somewhere(static_cast<std::uint16_t>(1000 + raw(rank)));
    record.host = "there";
    record.host_id = raw(rank);
    return record;
  }
  // Of the peer alone, as it is asked first of each; or of everybody from it on.
  void records() {
    const LinkId link = chosen_link();
    const auto at = peers_.find(link);
    if (at == peers_.end()) return;
    wire::Records records;
    const std::uint32_t first = raw(at->second.rank);
    const std::uint32_t last = choices_.below(2) == 0 ? first + 1 : config_.world_size;
    for (std::uint32_t rank = first; rank < last; ++rank) {
      wire::Record record = record_of(Rank{rank});
      if (const std::uint32_t change = choices_.byte(); change != 0) {
        record.attachment = Attachment{change & 3};
        record.position = Position{change >> 2 & 15};
        if ((change & 64) != 0) record.leader = Rank{choices_.below(config_.world_size)};
      }
      records.records.push_back(std::move(record));
    }
    say(link, wire::encode(records, Epoch{}));
  }
  void welcome() {
    const LinkId link = chosen_link();
    const Position position{choices_.below(16)};
    if (choices_.below(2) == 0) {
      say(link, wire::encode(wire::Welcome{position, config_.fan_out, "above"}, Epoch{}));
    } else {
      wire::Placement placement;
      placement.position = position;
      placement.fan_out = config_.fan_out;
      placement.parent = Rank{choices_.below(config_.world_size)};
      placement.endpoint = somewhere(7);
      placement.host = "above";
      say(link, wire::encode(placement, Epoch{}));
    }
  }
  void table() {
    std::vector<wire::Record> records;
    for (const session::Identity& identity : identities_) records.push_back(record_of(identity.rank));
    const wire::Table::Facts facts{config_.fan_out, 1, Epoch{1, 1}, config_.job};
    const auto table = wire::Table::build(records, facts);
    const wire::TableChunk head{table->digest(), 0, table->total_bytes()};
    say(chosen_link(), wire::encode(head, facts.epoch, table->chunk(0)));
  }

  void collective() {
    node::Collective collective;
    collective.call.kind = static_cast<wire::CollectiveKind>(1 + choices_.below(7));
    const bool reduces = collective.call.kind >= wire::CollectiveKind::reduce;
    const bool rooted = collective.call.kind == wire::CollectiveKind::broadcast ||
                        collective.call.kind == wire::CollectiveKind::gather ||
                        collective.call.kind == wire::CollectiveKind::scatter ||
                        collective.call.kind == wire::CollectiveKind::reduce;
    if (rooted) collective.call.root = Rank{choices_.below(config_.world_size)};
    const std::size_t size = choices_.below(4) == 0 ? std::size_t{100'000} : choices_.byte();
    if (reduces) {
      collective.call.reduction = wire::Reduction::sum;
      collective.call.element = wire::ElementType::int8;
      collective.call.count = size;
    }
    const Payload bytes(Slice::adopt(std::string(size, 'x')));
    if (collective.call.kind == wire::CollectiveKind::scatter) {
      if (collective.call.root == config_.rank) collective.parts.assign(config_.world_size, bytes);
    } else if (collective.call.kind != wire::CollectiveKind::barrier) {
      collective.contribution = bytes;
    }
    call(std::move(collective));
  }
  void send_or_receive() {
    const Rank rank{choices_.below(config_.world_size)};
    const std::uint32_t tag = choices_.below(3);
    if (choices_.below(2) == 0) return call(node::Receive{rank, tag});
    const std::size_t size = choices_.below(4) == 0 ? std::size_t{100'000} : choices_.byte();
    call(node::Send{rank, tag, Payload(Slice::adopt(std::string(size, 'y')))});
  }
  // Calls come only once the job has formed, but for the last.
  void call(decltype(node::Call::operation) operation) {
    if (!formed_ && !std::holds_alternative<node::Close>(operation)) return;
    if (std::holds_alternative<node::Close>(operation) && std::exchange(closing_, true)) return;
    pending_.insert(call_ = next(call_));
    feed(node::Call{call_, after(now_, std::chrono::seconds(10)), std::move(operation)});
  }

  void pass_time() {
    if (deadline_ == kNever) return;
    now_ = std::max(now_, deadline_);
    feed(engine::input::Tick{});
  }
  void break_link() {
    const LinkId link = chosen_link();
    if (open_.erase(link) == 0) return;
    peers_.erase(link);
    queued_.erase(link);
    feed(engine::input::Closed{link, "the other side closed the connection"});
  }
  void drain() {
    const LinkId link = chosen_link();
    if (open_.contains(link)) feed(engine::input::Drained{link, std::exchange(queued_[link], 0)});
  }

  LinkId chosen_link() {
    if (open_.empty()) return kNoLink;
    return *std::next(open_.begin(), choices_.below(static_cast<std::uint32_t>(open_.size())));
  }
  wire::Nonce nonce() {
    wire::Nonce nonce{};
    nonce[0] = static_cast<std::byte>(++nonces_);
    return nonce;
  }
  void say(LinkId link, const Payload& bytes) {
    if (open_.contains(link)) feed(engine::input::BytesReceived{link, bytes.flatten()});
    exchange();
  }
  // Handshakes, until everybody waits.
  void exchange() {
    for (bool more = true; more;) {
      more = false;
      std::vector<std::pair<LinkId, Payload>> spoken;
      for (auto& [link, peer] : peers_) {
        if (Payload bytes = peer.session.take_output(); !bytes.empty()) spoken.emplace_back(link, std::move(bytes));
      }
      for (const auto& [link, bytes] : spoken) {
        if (!open_.contains(link)) continue;
        more = true;
        feed(engine::input::BytesReceived{link, bytes.flatten()});
      }
    }
  }

  void feed(engine::Input input) {
    engine_.handle(now_, std::move(input));
    std::vector<engine::Input> answers;
    for (std::size_t count = 0;; ++count) {
      BANYAN_ASSERT(count < kMostOutputs);
      engine::Output output = engine_.poll();
      if (const auto* wait = std::get_if<engine::output::Wait>(&output)) {
        deadline_ = wait->deadline;
        break;
      }
      std::visit([&](auto& some) { carry_out(some, answers); }, output);
    }
    for (engine::Input& answer : answers) feed(std::move(answer));
  }

  using Answers = std::vector<engine::Input>;
  void carry_out(engine::output::Wait&, Answers&) {}
  void carry_out(engine::output::Adopt& adopt, Answers&) {
    BANYAN_ASSERT(used_.insert(adopt.link).second);
    open_.insert(adopted_ = adopt.link);
  }
  void carry_out(engine::output::Transmit& transmit, Answers&) {
    BANYAN_ASSERT(open_.contains(transmit.link));
    bytes_out_ += transmit.bytes.size();
    BANYAN_ASSERT(bytes_out_ < kMostBytesOut);
    queued_[transmit.link] += transmit.bytes.size();
    const auto at = peers_.find(transmit.link);
    if (at == peers_.end()) return;
    if (transmit.enclosure) at->second.session.enclose(*transmit.enclosure);
    at->second.session.push(transmit.bytes.flatten());
    for (;;) {
      const session::Event event = at->second.session.poll();
      if (std::holds_alternative<std::monostate>(event)) break;
      if (const auto* frame = std::get_if<wire::Frame>(&event)) {
        if (frame->kind == wire::Kind::table_chunk) epoch_ = frame->epoch;
      } else if (const auto* broken = std::get_if<session::event::Broken>(&event)) {
        // An engine may refuse; it may not break the protocol.
        BANYAN_ASSERT(broken->rejected_by_peer || broken->failure.code != FailureCode::protocol);
        break;
      }
    }
  }
  void carry_out(engine::output::Close& close, Answers&) {
    BANYAN_ASSERT(used_.contains(close.link));
    open_.erase(close.link);
    peers_.erase(close.link);
    queued_.erase(close.link);
  }
  void carry_out(node::effect::Connect& connect, Answers& answers) {
    BANYAN_ASSERT(used_.insert(connect.link).second);
    if (choices_.below(8) == 7) {
      answers.emplace_back(engine::input::ConnectFailed{connect.link, "connection refused"});
      return;
    }
    const Rank rank{choices_.below(config_.world_size)};
    open_.insert(connect.link);
    peers_.emplace(connect.link, Peer{session::Session::respond(identities_[raw(rank)], nonce()), rank});
    answers.emplace_back(engine::input::Connected{connect.link, somewhere(3)});
  }
  void carry_out(node::effect::Listen& listen, Answers& answers) {
    if (choices_.below(8) == 7) {
      answers.emplace_back(engine::input::ListenFailed{listen.listener, "address already in use"});
    } else {
      answers.emplace_back(engine::input::Listening{listen.listener, somewhere(4)});
    }
  }
  void carry_out(node::effect::StopListening&, Answers&) {}
  void carry_out(node::effect::PauseReading&, Answers&) {}
  void carry_out(node::effect::ResumeReading&, Answers&) {}
  void carry_out(node::effect::Formed& formed, Answers&) {
    BANYAN_ASSERT(!formed_ && !failed_ && formed.table != nullptr);
    formed_ = true;
    epoch_ = formed.table->epoch();
  }
  void carry_out(node::effect::Failed&, Answers&) { BANYAN_ASSERT(!std::exchange(failed_, true)); }
  void carry_out(node::effect::Notice&, Answers&) {}
  void carry_out(node::Completion& completion, Answers&) { BANYAN_ASSERT(pending_.erase(completion.id) == 1); }

  Choices& choices_;
  node::Config config_;
  engine::Engine engine_;
  std::vector<session::Identity> identities_;
  std::map<LinkId, Peer> peers_;
  std::set<LinkId> open_;
  std::set<LinkId> used_;
  std::map<LinkId, std::size_t> queued_;
  std::set<CallId> pending_;
  Epoch epoch_;
  Time now_{};
  Time deadline_ = kNever;
  LinkId adopted_ = kNoLink;
  AcceptToken token_{};
  CallId call_{};
  std::uint32_t nonces_ = 0;
  std::size_t bytes_out_ = 0;
  bool formed_ = false;
  bool failed_ = false;
  bool closing_ = false;
};

}  // namespace
}  // namespace banyan

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  banyan::Choices choices(std::as_bytes(std::span(data, size)));
  banyan::Stage(choices).play();
  return 0;
}
