// How leaders give each other what their hosts have, of which all need all: round a ring, in steps in which each sends
// to the next what it has got from the one before. So a leader sends and receives every byte once, over two direct
// links. After Chan, Heimlich, Purkayastha and van de Geijn, "Collective communication: theory, practice, and
// experience" (Concurrency and Computation 19, 2007).
#pragma once

#include <cstdint>
#include <vector>

#include "node/collective_hosts.hh"
#include "node/collective_peers.hh"

namespace banyan::node {

class HostRing {
 public:
  // `peers` outlives this object. `self` leads one of at least two hosts. `most_bytes`: of a block.
  HostRing(const Hosts& hosts, Rank self, CollectivePeers& peers, Sequence operation, std::uint64_t most_bytes);

  // Nothing is sent or asked for before.
  void begin();
  // What this host has.
  void feed(Payload block);
  // What another one has: to be fed on, but for the last. `block` is the caller's to keep.
  void on_block(const Payload& block);
  void on_sent();
  // All is here, and the next one has all that it should have from here.
  bool finished() const { return received_ == others_ && accepted_ == others_; }

 private:
  void go_on();

  CollectivePeers& peers_;
  Sequence operation_;
  Rank next_;
  Rank before_;
  std::uint64_t most_bytes_;
  std::uint64_t others_;
  bool begun_ = false;
  std::vector<Payload> blocks_;  // for the next one, in the order in which it gets them
  bool has_own_ = false;         // in front of them
  std::uint64_t sent_ = 0;
  std::uint64_t accepted_ = 0;
  std::uint64_t asked_ = 0;
  std::uint64_t received_ = 0;
};

}  // namespace banyan::node
