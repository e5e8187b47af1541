// For tests: a formed job without sessions, sockets or time. N ranks stand in their tree, each with a Topology and
// Effects; the frames they send are delivered one at a time in an order that a seed decides. Every link is a FIFO per
// class in each direction, control frames overtake data frames as they do in a driver, and nothing is lost.
//
//   FormedTree tree({.world_size = 64, .ranks_per_host = 4, .fan_out = 2}, seed);
//   std::vector<Machine> machines = ...;                        // built from tree.topology(rank), tree.effects(rank)
//   machines[3].call(...);
//   tree.run([&](Rank at, LinkId from, const wire::Frame& frame) { return machines[raw(at)].on_frame(...); });
//   tree.completion(Rank{3}, CallId{1});
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/assert.hh"
#include "base/random.hh"
#include "node/effects.hh"
#include "node/topology.hh"
#include "wire/frame.hh"
#include "wire/table.hh"

namespace banyan::node {

struct FormedShape {
  std::uint32_t world_size = 1;
  std::uint32_t ranks_per_host = 1;  // rank r runs on host r / ranks_per_host
  std::uint32_t fan_out = 2;
  bool root_leads = true;  // false: another rank of host 0, if there is one, leads it and is rank 0's child
  bool lazy_table = false;
};

inline Slice formed_blob(std::uint32_t rank) { return Slice::copy("blob of " + std::to_string(rank)); }

class FormedTree {
 public:
  struct Refusal {
    Rank rank{};
    LinkId from{};
    friend bool operator==(const Refusal&, const Refusal&) = default;
  };

  // Which rank leads its host, and which place its leader gets, is the seed's choice too.
  FormedTree(const FormedShape& shape, std::uint64_t seed) : random_(seed) {
    build_table(shape);
    build_links();
    for (std::uint32_t i = 0; i < shape.world_size; ++i) {
      Member& member = members_[i];
      member.topology = std::make_unique<Topology>(Rank{i}, table_, member.parent, member.children);
      member.effects = std::make_unique<Effects>(nullptr);
    }
  }

  std::uint32_t world_size() const { return static_cast<std::uint32_t>(members_.size()); }
  const std::shared_ptr<const wire::Table>& table() const { return table_; }
  Topology& topology(Rank rank) { return *members_[raw(rank)].topology; }
  Effects& effects(Rank rank) { return *members_[raw(rank)].effects; }
  Random& random() { return random_; }

  // The name that `from` has for its link to its neighbour `to`; kNoLink: they are no neighbours.
  LinkId link(Rank from, Rank to) const {
    const auto at = members_[raw(from)].link_to.find(to);
    return at == members_[raw(from)].link_to.end() ? kNoLink : at->second;
  }
  // The rank at the other end of `rank`'s link.
  Rank neighbour(Rank rank, LinkId link) const { return outgoing(rank, link).to; }

  // A link beside the tree, whose names at its two ends the tree does not have; and its end: what is under way is lost,
  // and what is sent on it from now on.
  void open(Rank a, LinkId at_a, Rank b, LinkId at_b) { add_pipes(a, at_a, b, at_b); }
  void cut(Rank rank, LinkId link) {
    const Pipe& pipe = outgoing(rank, link);
    for (const auto& [end, name] : {std::pair(rank, link), std::pair(pipe.to, pipe.to_link)}) {
      const auto at = members_[raw(end)].pipe_of_link.find(name);
      Pipe& way = pipes_[at->second];
      way.control.clear();
      way.data.clear();
      way.bytes = 0;
      update_busy(at->second);
      members_[raw(end)].pipe_of_link.erase(at);
    }
  }
  bool has(Rank rank, LinkId link) const { return members_[raw(rank)].pipe_of_link.contains(link); }
  // The other end of the link: its rank, and the name that it has there.
  std::pair<Rank, LinkId> other_end(Rank rank, LinkId link) const {
    return {outgoing(rank, link).to, outgoing(rank, link).to_link};
  }

  // Nothing that `from` sends to its neighbour `to` is delivered until resume().
  void pause(Rank from, Rank to) { set_paused(from, to, true); }
  void resume(Rank from, Rank to) { set_paused(from, to, false); }
  // Bytes that `from` has sent on the way to `to` and that were not delivered yet; and the most there ever were.
  std::size_t queued_bytes(Rank from, Rank to) const { return pipes_[pipe_index(from, to)].bytes; }
  std::size_t queued_on(Rank rank, LinkId link) const { return outgoing(rank, link).bytes; }
  std::size_t peak_bytes(Rank from, Rank to) const { return pipes_[pipe_index(from, to)].peak_bytes; }
  bool idle() const { return busy_.empty(); }

  // Delivers until nothing is under way (or only on paused links), or `most` frames were delivered; says how many.
  // deliver(Rank at, LinkId from, const wire::Frame&) -> bool; false is noted among refusals().
  template <typename Deliver>
  std::size_t run(Deliver deliver, std::size_t most = SIZE_MAX) {
    collect_all();
    std::size_t delivered = 0;
    for (; delivered < most && !busy_.empty(); ++delivered) {
      const std::size_t index = busy_[random_.below(busy_.size())];
      const wire::Frame frame = take_from(index);
      const Pipe& pipe = pipes_[index];
      if (!deliver(pipe.to, pipe.to_link, frame)) refusals_.push_back({pipe.to, pipe.to_link});
      collect(pipe.to);
      collect(pipe.from);
    }
    return delivered;
  }

  // Takes over what all ranks wrote down; run() does so itself.
  void collect_all() {
    for (std::uint32_t i = 0; i < world_size(); ++i) collect(Rank{i});
  }

  // What has completed at `rank` so far, oldest first, without effects still to be collected.
  const std::vector<Completion>& completions(Rank rank) const { return members_[raw(rank)].completions; }
  // The completion of one call, or null.
  const Completion* completion(Rank rank, CallId id) const {
    for (const Completion& completion : completions(rank)) {
      if (completion.id == id) return &completion;
    }
    return nullptr;
  }
  // Effects that are neither frames nor completions.
  const std::vector<Effect>& other_effects(Rank rank) const { return members_[raw(rank)].others; }
  const std::vector<Refusal>& refusals() const { return refusals_; }
  std::uint64_t frames_sent() const { return sent_; }
  // Bytes that `rank` sent as frames, and frames, over all its links.
  std::uint64_t bytes_sent(Rank rank) const { return members_[raw(rank)].bytes_sent; }
  std::uint64_t frames_sent(Rank rank) const { return members_[raw(rank)].frames_sent; }

 private:
  struct Member {
    Neighbour parent;
    std::vector<Neighbour> children;
    std::map<Rank, LinkId> link_to;
    std::map<LinkId, std::size_t> pipe_of_link;
    std::unique_ptr<Topology> topology;
    std::unique_ptr<Effects> effects;
    std::vector<Completion> completions;
    std::vector<Effect> others;
    std::uint64_t bytes_sent = 0;
    std::uint64_t frames_sent = 0;
  };
  struct Queued {
    std::uint64_t order;
    Payload frame;
  };
  // One direction of a link.
  struct Pipe {
    Rank from{};
    Rank to{};
    LinkId to_link{};
    std::deque<Queued> control;
    std::deque<Queued> data;
    std::size_t bytes = 0;
    std::size_t peak_bytes = 0;
    bool paused = false;
    std::optional<std::size_t> busy_index;
    bool empty() const { return control.empty() && data.empty(); }
  };

  std::size_t pipe_index(Rank from, Rank to) const {
    const LinkId link = this->link(from, to);
    BANYAN_ASSERT(link != kNoLink);
    return members_[raw(from)].pipe_of_link.at(link);
  }
  const Pipe& outgoing(Rank rank, LinkId link) const { return pipes_[members_[raw(rank)].pipe_of_link.at(link)]; }

  template <typename Element>
  void shuffle(std::vector<Element>& elements) {
    for (std::size_t i = elements.size(); i > 1; --i) std::swap(elements[i - 1], elements[random_.below(i)]);
  }

  void build_table(const FormedShape& shape) {
    BANYAN_ASSERT(shape.world_size > 0 && shape.ranks_per_host > 0);
    const std::uint32_t hosts = (shape.world_size + shape.ranks_per_host - 1) / shape.ranks_per_host;
    std::vector<Rank> leader_of_host(hosts);
    for (std::uint32_t host = 0; host < hosts; ++host) {
      const std::uint32_t first = host * shape.ranks_per_host;
      const std::uint32_t count = std::min(shape.ranks_per_host, shape.world_size - first);
      leader_of_host[host] = Rank{first + static_cast<std::uint32_t>(random_.below(count))};
      if (host > 0) continue;
      leader_of_host[0] =
          shape.root_leads || count == 1 ? kRootRank : Rank{1 + static_cast<std::uint32_t>(random_.below(count - 1))};
    }
    const std::map<Rank, Position> positions = allot(leader_of_host);
    std::vector<wire::Record> records(shape.world_size);
    for (std::uint32_t i = 0; i < shape.world_size; ++i) {
      wire::Record& record = records[i];
      const std::uint32_t host = i / shape.ranks_per_host;
      record.rank = Rank{i};
      record.incarnation = Incarnation{1000 + i};
      record.attachment = Attachment{1};
      record.leader = i == 0 ? kRootRank : leader_of_host[host];
      record.position = positions.at(record.leader);
      if (record.is_leader()) {
        record.host = "host-" + std::to_string(host);
        record.endpoint = {Endpoint::Family::tcp4, static_cast<std::uint16_t>(1 + host), {std::byte{10}}};
      }
      record.blob = formed_blob(i);
    }
    std::uint32_t depth = 0;
    for (const auto& [leader, position] : positions)
      depth = std::max(depth, tree::Shape(shape.fan_out).depth(position));
    table_ = wire::Table::build(
        records, {.fan_out = shape.fan_out, .depth = depth, .epoch = Epoch{1, 1}, .job = {}, .lazy = shape.lazy_table});
  }

  // Rank 0 holds position 0; the other leaders come in any order, sometimes one of them to the reserved place.
  std::map<Rank, Position> allot(const std::vector<Rank>& leaders) {
    std::vector<Rank> others;
    for (const Rank leader : leaders) {
      if (leader != kRootRank) others.push_back(leader);
    }
    shuffle(others);
    std::map<Rank, Position> positions{{kRootRank, tree::kRootPosition}};
    for (std::uint32_t i = 0; i < others.size(); ++i) positions[others[i]] = Position{i + 1};
    if (others.size() > 1 && random_.below(4) == 0) positions[others.back()] = tree::kReservedPosition;
    return positions;
  }

  void build_links() {
    members_.resize(table_->world_size());
    const tree::Shape shape(table_->fan_out());
    std::map<Position, Rank> holders;
    for (std::uint32_t i = 0; i < world_size(); ++i) {
      if (table_->leader(Rank{i}) == Rank{i}) holders[table_->position(Rank{i})] = Rank{i};
    }
    std::vector<std::pair<Rank, Rank>> edges;  // parent, child
    for (std::uint32_t i = 1; i < world_size(); ++i) {
      const Rank leader = table_->leader(Rank{i});
      edges.emplace_back(leader == Rank{i} ? holders.at(shape.parent(table_->position(leader))) : leader, Rank{i});
    }
    shuffle(edges);
    for (const auto& [above, below] : edges) connect(above, below);
  }

  void connect(Rank above, Rank below) {
    Member& parent = members_[raw(above)];
    Member& child = members_[raw(below)];
    // Ids differ at the two ends, so that a test notices when one is taken for the other.
    const LinkId down{static_cast<std::uint32_t>(10 + parent.link_to.size())};
    const LinkId up{static_cast<std::uint32_t>(1000 + child.link_to.size())};
    const Position place = table_->leader(below) == below ? table_->position(below) : kNoPosition;
    parent.children.push_back({down, below, place});
    child.parent = {up, above, place == kNoPosition ? kNoPosition : table_->position(above)};
    parent.link_to[below] = down;
    child.link_to[above] = up;
    add_pipes(above, down, below, up);
  }
  void add_pipes(Rank a, LinkId at_a, Rank b, LinkId at_b) {
    members_[raw(a)].pipe_of_link[at_a] = pipes_.size();
    pipes_.push_back({.from = a, .to = b, .to_link = at_b, .control = {}, .data = {}, .busy_index = {}});
    members_[raw(b)].pipe_of_link[at_b] = pipes_.size();
    pipes_.push_back({.from = b, .to = a, .to_link = at_a, .control = {}, .data = {}, .busy_index = {}});
  }

  void collect(Rank rank) {
    Member& member = members_[raw(rank)];
    for (Effect& effect : member.effects->take()) {
      if (auto* send = std::get_if<effect::SendFrame>(&effect)) {
        const auto pipe = member.pipe_of_link.find(send->link);
        if (pipe == member.pipe_of_link.end()) continue;  // the link has ended
        ++member.frames_sent;
        member.bytes_sent += send->frame.size();
        enqueue(pipe->second, std::move(*send));
      } else if (auto* completion = std::get_if<Completion>(&effect)) {
        member.completions.push_back(std::move(*completion));
      } else {
        member.others.push_back(std::move(effect));
      }
    }
  }

  void enqueue(std::size_t index, effect::SendFrame send) {
    Pipe& pipe = pipes_[index];
    pipe.bytes += send.frame.size();
    pipe.peak_bytes = std::max(pipe.peak_bytes, pipe.bytes);
    (send.frame_class == FrameClass::control ? pipe.control : pipe.data).push_back({sent_++, std::move(send.frame)});
    update_busy(index);
  }

  wire::Frame take_from(std::size_t index) {
    Pipe& pipe = pipes_[index];
    // A data frame goes before a control frame only if it was sent before it; even then the control frame may overtake.
    const bool data_first =
        !pipe.data.empty() &&
        (pipe.control.empty() || (pipe.data.front().order < pipe.control.front().order && random_.below(2) == 0));
    std::deque<Queued>& queue = data_first ? pipe.data : pipe.control;
    const Payload bytes = std::move(queue.front().frame);
    queue.pop_front();
    pipe.bytes -= bytes.size();
    update_busy(index);
    const Topology& topology = *members_[raw(pipe.to)].topology;
    const bool in_tree =
        topology.parent().link == pipe.to_link || topology.child_index(pipe.to_link) < topology.children().size();
    wire::FrameDecoder decoder(in_tree ? kMaxFrameBytes : kMaxDirectFrameBytes);
    decoder.allow_streams();
    for (std::size_t i = 0; i < bytes.slice_count(); ++i) decoder.push(bytes.slice(i));
    auto decoded = decoder.next();
    BANYAN_ASSERT(std::holds_alternative<wire::Frame>(decoded) && decoder.buffered() == 0);
    return std::get<wire::Frame>(std::move(decoded));
  }

  void set_paused(Rank from, Rank to, bool paused) {
    const std::size_t index = pipe_index(from, to);
    pipes_[index].paused = paused;
    update_busy(index);
  }

  void update_busy(std::size_t index) {
    Pipe& pipe = pipes_[index];
    const bool busy = !pipe.empty() && !pipe.paused;
    if (busy == pipe.busy_index.has_value()) return;
    if (busy) {
      pipe.busy_index = busy_.size();
      busy_.push_back(index);
      return;
    }
    const std::size_t hole = *pipe.busy_index;
    busy_[hole] = busy_.back();
    pipes_[busy_[hole]].busy_index = hole;
    busy_.pop_back();
    pipe.busy_index.reset();
  }

  Random random_;
  std::shared_ptr<const wire::Table> table_;
  std::vector<Member> members_;
  std::vector<Pipe> pipes_;
  std::vector<std::size_t> busy_;
  std::vector<Refusal> refusals_;
  std::uint64_t sent_ = 0;
};

}  // namespace banyan::node
